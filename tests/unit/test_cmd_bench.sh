#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# facet bench loader: a rate for every augmentation, and an error for what is not a packed set.
set -u
work=$(mktemp -d)
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
echo ok
