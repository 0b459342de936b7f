#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# facet bench: a rate of the loader for every augmentation, the parts of a step, and an error for
# what is not a packed set.
set -u
work=$(mktemp -d)
cd "$work" || exit 2
trap 'rm -rf "$work"' EXIT
fail() {
    echo "FAIL: $1"
    exit 1
}

"$FACET" synth -o "$work/faces" --expression 40 --identities 0 --size 64 --quiet >/dev/null || fail synth
"$FACET" pack "$work/faces/expression" -o "$work/set" --size 48 --quiet >/dev/null || fail pack

for augment in none shift crop all; do
    "$FACET" bench loader "$work/set" --augment $augment --threads 2 --size 32 --batch 16 \
        --seconds 0.05 --json >"$work/out" || fail "$augment: exit code"
    /usr/bin/python3 - "$work/out" $augment <<'END' || fail "$augment: $(cat "$work/out")"
import json
import sys
got = json.load(open(sys.argv[1]))
assert got["pictures_per_s"] > 0 and got["augment"] == sys.argv[2]
assert (got["threads"], got["size"], got["height"], got["encoding"]) == (2, 32, 48, "raw")
END
done

"$FACET" bench loader "$work/set" --seconds 0.05 | grep -q '^[0-9]* pictures/s  (raw 48 x 48 -> 112, ' ||
    fail 'words'
"$FACET" bench loader "$work/nowhere" 2>"$work/err"
[ $? -eq 1 ] || fail 'missing set: exit code'
grep -q nowhere "$work/err" || fail 'missing set: its name'
"$FACET" bench louder "$work/set" 2>/dev/null
[ $? -eq 2 ] || fail 'unknown measurement: exit code'
"$FACET" bench loader "$work/set" --threads 0 2>/dev/null
[ $? -eq 2 ] || fail 'no threads: exit code'

# facet bench step: the parts make up the step, on one rank and on two
step() { # step RANKS OPTIONS...
    ranks=$1
    shift
    mpirun -n "$ranks" "$FACET" bench step model.backbone=resnet18 model.embedding=8 data.val_split=train data.size=32 data.num_workers=1 \
        data.batch_size=6 cluster.threads=1 --steps 4 --warmup 1 "$@" --json >"$work/out" 2>"$work/err" ||
        fail "step: exit code: $(cat "$work/err")"
    /usr/bin/python3 - "$work/out" "$ranks" <<'END' || fail "step: $(cat "$work/out")"
import json
import sys
got = json.load(open(sys.argv[1]))
parts = got["parts_s"]
assert got["ranks"] == int(sys.argv[2]) and got["steps"] == 4 and got["batch"] == 6
assert abs(sum(parts.values()) / got["step_s"] - 1) < 0.02, (sum(parts.values()), got["step_s"])
assert all(parts[k] > 0.01 * got["step_s"] for k in ("forward", "backward", "optimiser"))
assert abs(got["pictures_per_s"] * got["step_s"] / got["batch"] - 1) < 1e-6
assert got["sampler_batch_s"] > 0 and got["step_median_s"] > 0
END
}
step 1 "data.path=$work/set"
step 2 "data.path=$work/set"
"$FACET" bench step "data.path=$work/set" data.val_split=train model.embedding=8 data.size=32 data.batch_size=8 --steps 1 --warmup 0 |
    grep -q '^  forward .* ms .* %  network' || fail 'step: words'
# a head of identities behind PK sampling
"$FACET" synth -o "$work/people" --expression 0 --identities 6 --per-identity 3 --size 32 --quiet >/dev/null ||
    fail 'synth: people'
"$FACET" pack "$work/people/identity" -o "$work/persons" --size 32 --quiet >/dev/null 2>&1 || fail 'pack: people'
step 2 "data.path=$work/persons" tasks.identity=true tasks.expression=false tasks.landmarks=false \
    sampler.kind=pk sampler.identities_per_batch=3 sampler.images_per_identity=2
/usr/bin/python3 - "$work/out" <<'END' || fail "step, identities: $(cat "$work/out")"
import json
import sys
got = json.load(open(sys.argv[1]))
assert got["persons"] == 6 and got["parts_s"]["head"] > 0
END
"$FACET" bench step "data.path=$work/nowhere" 2>"$work/err"
[ $? -eq 1 ] || fail 'step, missing set: exit code'
[ ! -e runs ] || fail 'step wrote a run'
echo ok
