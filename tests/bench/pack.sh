#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pictures a second and core: facet pack against torchvision's ImageFolder with the same decode and resize.
# CPU time, not wall time, so that a busy machine does not decide. FOLDER (of class folders) or drawn JPEGs.
# usage: FACET=build/facet tests/bench/pack.sh [FOLDER]
facet=${FACET:?the program}
here=$(dirname "$0")
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT

draw() { # draw SIDE N: smooth pictures with some grain, as photographs have it
    /usr/bin/python3 - "$folder/in$1" "$1" "$2" <<'PY'
import os, sys
import numpy as np
from PIL import Image
folder, side, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(0)
for name in ("happy", "sad"):
    os.makedirs(f"{folder}/{name}")
    for i in range(n // 2):
        smooth = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).resize((side, side), Image.BICUBIC)
        grain = rng.normal(0, 4, (side, side, 1))
        picture = np.clip(np.asarray(smooth) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(f"{folder}/{name}/{i}.jpg", quality=90)
PY
}

cpu_s() { # cpu_s COMMAND...: user and system seconds
    /usr/bin/python3 -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_utime + usage.ru_stime)' "$@"
}

compare() { # compare FOLDER SIZE [--encoding jpeg]
    source=$1 size=$2
    shift 2
    rm -rf "$folder/out" "$folder/out1"
    start=$(cpu_s "$facet" pack "$folder/one" -o "$folder/out1" --size "$size" --threads 1 --quiet "$@")
    ours=$(cpu_s "$facet" pack "$source" -o "$folder/out" --size "$size" --threads 1 --quiet "$@")
    theirs=$(/usr/bin/python3 "$here/pack_torch.py" "$source" "$size")
    n=$(find "$source" -type f | wc -l)
    awk -v o="$ours" -v b="$start" -v t="$theirs" -v n="$n" -v s="$size" -v w="$source" -v e="$*" 'BEGIN {
        o -= b # ImageFolder is not charged for its start either
        printf "%s to %d %s: facet pack %.0f, ImageFolder %.0f pictures a core-second, ratio %.1f\n",
            w, s, e, n / o, 1 / t, n * t / o }'
}

mkdir -p "$folder/one/happy"
/usr/bin/python3 -c 'import sys; from PIL import Image; Image.new("RGB", (64, 64)).save(sys.argv[1])' "$folder/one/happy/1.jpg"
if [ $# -gt 0 ]; then
    compare "$1" 112
    compare "$1" 224
    exit
fi
for side in 256 512 1024; do
    draw "$side" 240
done
compare "$folder/in256" 112
compare "$folder/in512" 112
compare "$folder/in512" 224
compare "$folder/in1024" 224
compare "$folder/in1024" 224 --encoding jpeg
