#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints how many times faster than PyTorch's DataLoader the loader gives the same packed pictures,
# one thread each. usage: loader.sh FACET [PACKED_FOLDER ...]; without folders it draws and packs some.
set -eu
facet=${1:?usage: loader.sh FACET [PACKED_FOLDER ...]}
shift
here=$(dirname "$0")
seconds=${SECONDS_EACH:-3}
python=${PYTHON:-/usr/bin/python3}
if [ $# -eq 0 ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    "$facet" synth -o "$work/faces" --expression 1000 --identities 0 --size 224 --quiet >/dev/null
    "$facet" pack "$work/faces/expression" -o "$work/raw112" --size 112 --quiet >/dev/null
    "$facet" pack "$work/faces/expression" -o "$work/jpeg224" --size 224 --encoding jpeg --quiet >/dev/null
    set -- "$work/raw112" "$work/jpeg224"
fi
printf '%-12s %-8s %12s %12s %8s\n' set augment facet torch ratio
for data in "$@"; do
    for augment in shift crop all; do
        ours=$("$facet" bench loader "$data" --augment "$augment" --seconds "$seconds" --json |
            sed 's/.*"pictures_per_s": \([0-9.]*\).*/\1/')
        theirs=$("$python" "$here/loader_torch.py" "$data" --augment "$augment" --seconds "$seconds")
        awk -v set="$(basename "$data")" -v augment="$augment" -v a="$ours" -v b="$theirs" \
            'BEGIN { printf "%-12s %-8s %10.0f/s %10.0f/s %7.1fx\n", set, augment, a, b, a / b }'
    done
done
