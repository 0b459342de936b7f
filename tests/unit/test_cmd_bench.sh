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
ops = got["ops"]
conv = [o for o in ops if o["node"] == "backbone.conv1"]
rows = 6 // got["ranks"]
assert [o["op"] for o in conv] == ["conv_fwd", "conv_bwd_weight"], conv
assert all(o["flops"] == 2 * rows * 64 * 32 * 32 * 3 * 9 and o["s"] > 0 for o in conv), conv
assert ops[-1]["op"] == "optimiser" and ops[-1]["bytes"] > 5 * 4 * 11e6
assert got["device"] == "cpu, f32" and got["copy_bytes_per_s"] > 1e7 and got["flops_per_s"] > 1e7
END
}
step 1 "data.path=$work/set"
step 2 "data.path=$work/set"
"$FACET" bench step "data.path=$work/set" data.val_split=train model.embedding=8 data.size=32 data.batch_size=8 --steps 1 --warmup 0 --layers >"$work/out" ||
    fail 'step: exit code'
for words in '^  forward .* ms .* %  network' '^conv_bwd_data  *[0-9]' '^conv_fwd  *backbone.layer1.0.conv1  *1 ' \
    '^all  .* 100.0 % ' '^roof  .* GB/s by a copy'; do
    grep -q "$words" "$work/out" || fail "step: $words: $(cat "$work/out")"
done
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

# facet bench allreduce: points that two ranks measure, and the model, fitted to them too
mpirun -n 2 "$FACET" bench allreduce --most 0.3 --times 3 >"$work/points" 2>"$work/err" ||
    fail "allreduce: exit code: $(cat "$work/err")"
[ "$(grep -c '^2 [0-9]* [0-9.e-]*  # ' "$work/points")" -eq 4 ] || fail "allreduce: $(cat "$work/points")"
"$FACET" bench allreduce --model --points "$work/points" --json >"$work/out" || fail 'model, fitted: exit code'
"$FACET" bench allreduce --model --batch 64 --reduce bfloat16 --json >"$work/model" || fail 'model: exit code'
/usr/bin/python3 - "$work/out" "$work/model" <<'END' || fail 'model: numbers'
import json
import sys
fitted, tables = (json.load(open(path)) for path in sys.argv[1:])
for got in (fitted, tables):
    assert [row["devices"] for row in got["scale"]] == [8, 16, 32, 64, 128, 256, 512, 1024]
    shares = [row["efficiency"] for row in got["scale"]]
    assert shares == sorted(shares, reverse=True) and 0.5 < shares[-1] < shares[0] < 1
assert abs(tables["step_s"] - 10.75e-3) < 0.03 * 10.75e-3  # as an independent count of the kernels has it
END
"$FACET" bench allreduce --model --step-ms 100 | grep -q '2560 pictures/s a device (measured)' ||
    fail 'model: a measured step'
"$FACET" bench allreduce --model --backbone resnet51 2>/dev/null
[ $? -eq 2 ] || fail 'model: unknown network: exit code'
"$FACET" bench allreduce 2>"$work/err"
[ $? -eq 2 ] || fail "one rank: $(cat "$work/err")"
echo ok
