#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# facet pack on real sets, where $FACET_DATA names a folder that holds them (the drawn twins: t0110 to t0113).
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
data=${FACET_DATA:-}
[ -d "$data/fer2013" ] || skip "FACET_DATA names no folder with fer2013"

run pack "$data/fer2013" -o "$folder/fer" --size 48 --quiet
exits 0 'FER2013'
prints 'train: 1120 pictures of 48x48' 'FER2013 train'
prints 'val: 345 pictures' 'FER2013 val'
prints 'imbalance ratio 1.11' 'FER2013 imbalance'
prints 'bad pictures: 0' 'FER2013 has no bad picture'

run pack "$data/lfw_train" -o "$folder/lfw" --size 112 --landmarks "$data/lfw_meta/landmarks5.json" --quiet
exits 0 'LFW'
prints '60 persons, 10 to 10 pictures each' 'LFW persons'
prints 'landmarks: 600 with, 0 without, coverage 100.0 %' 'LFW landmarks'

run pack "$data/orl" -o "$folder/orl" --size 112 --fit pad --split val=0.3 --quiet
exits 0 'ORL (PGM)'
prints 'train: 280 pictures' 'ORL train'
prints '40 persons, 3 to 3 pictures each' 'ORL val'

run pack "$data/ytf68" -o "$folder/ytf" --size 128 --format flat --landmarks "$data/ytf68/landmarks5.json" --quiet
exits 0 'YouTube frames (PNG named .jpg)'
prints 'landmarks: 66 with, 0 without' 'YouTube frames landmarks'
prints 'bad pictures: 0' 'YouTube frames are all read'

run pack "$data/pts68" -o "$folder/pts" --size 128 --format flat --landmarks "$data/pts68/landmarks5.json" --encoding jpeg --quiet
exits 0 'JPEG and PPM'
run pack "$data/faces68" -o "$folder/faces" --size 128 --fit stretch --format flat --landmarks "$data/faces68/landmarks5.json" --quiet
exits 0 'faces68'
prints 'landmarks: 22 with, 0 without' 'faces68 landmarks'

/usr/bin/python3 - "$data" "$folder" <<'PY' || complain 'h5py and Pillow agree on the rows'
import sys, h5py, json, numpy as np
from PIL import Image
data, out = sys.argv[1:]
for name, source, at, fit in (("fer", "fer2013", 48, "train"), ("lfw", "lfw_train", 112, "train"), ("faces", "faces68", 128, "train")):
    with h5py.File(f"{out}/{name}/{fit}.h5") as f:
        for i in range(0, len(f["path"]), 7):
            picture = Image.open(f"{data}/{source}/{f['path'][i].decode()}").convert("RGB")
            want = np.asarray(picture.resize((at, at), Image.BILINEAR)).astype(int)
            off = np.abs(f["images"][i].astype(int) - want).mean()
            assert off < 3, (name, f["path"][i], off)
points = json.load(open(f"{data}/lfw_meta/landmarks5.json"))
with h5py.File(f"{out}/lfw/train.h5") as f:
    for i in range(0, 600, 37):
        want = points["lfw_train/" + f["path"][i].decode()]
        assert np.allclose(f["landmarks"][i], want, atol=1e-6), f["path"][i]
PY
finish
