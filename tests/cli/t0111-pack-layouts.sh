#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# facet pack on the command line: layouts found by themselves, refusals with hints, exit codes, attributes.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
here=$(dirname "$0")
/usr/bin/python3 "$here/pack_draw.py" "$folder/in" 8 || exit 2

run pack "$folder/in" -o "$folder/set" --size 32 --split val=0.25 --quiet
exits 0 'a folder of classes is packed'
prints 'train: 18 pictures of 32x32 in 1 shard' 'the train split is told'
prints 'val: 6 pictures' 'the val split is told'
prints 'imbalance ratio inf' 'classes without pictures are told'
is_quiet 'nothing to complain about'

/usr/bin/python3 - "$folder/set" <<'PY' || complain 'h5py sees what was promised'
import sys, h5py, numpy as np
out = sys.argv[1]
with h5py.File(out + "/train.h5") as whole, h5py.File(out + "/train-00000-of-00001.h5") as shard:
    assert shard.attrs["format"] == b"facet-shard" and shard.attrs["version"] == 1
    assert shard.attrs["split"] == b"train" and shard.attrs["shard_count"] == 1
    assert [n.decode() for n in shard.attrs["class_names"]] == [
        "neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"]
    assert shard.attrs["color_order"] == b"RGB" and shard.attrs["encoding"] == b"raw"
    assert shard["images"].id.get_offset() % 4096 == 0 and shard["images"].chunks is None
    assert shard["checksum"].fletcher32 and shard["path"].fletcher32
    for name in shard:
        assert np.array_equal(shard[name][:], whole[name][:]), name
    labels = dict(neutral=0, happy=1, sad=2)
    for path, label in zip(shard["path"][:], shard["expression"][:]):
        assert labels[path.decode().split("/")[0]] == label
    assert np.bincount(shard["expression"][:]).tolist() == [6, 6, 6]
PY

mkdir "$folder/moved" && mv "$folder/set" "$folder/moved/here"
(cd / && /usr/bin/python3 -c "
import h5py, sys
assert h5py.File(sys.argv[1])['images'][:].any()" "$folder/moved/here/train.h5") ||
    complain 'a moved set is still seen as one'

run pack "$folder/in" -o "$folder/people" --size 32 --format identity --quiet
exits 0 'folders taken for persons'
prints '3 persons, 8 to 8 pictures each' 'persons are told'
run pack "$folder/in/sad" -o "$folder/flat" --size 32 --split test --quiet
exits 0 'pictures without folders'
[ -f "$folder/flat/test.h5" ] || complain 'the only split has the name given'

mv "$folder/in/happy" "$folder/in/hapy"
run pack "$folder/in" -o "$folder/no" --size 32
exits 2 'an unknown folder is wrong use'
tells 'folder hapy: names no expression; the nearest known name is happy' 'folder and nearest alias are named'
tells 'hint:' 'a way out is named'
run pack "$folder/in" -o "$folder/no" --size 32 --class-map hapy=happy,neutral=neutral,sad=null --quiet
exits 0 'a class map names it'
prints 'left out by their folder: 8 pictures' 'a folder left out is told'
run pack "$folder/in" -o "$folder/no" --size 64 --class-map hapy=happy,neutral=neutral,sad=null --quiet
exits 2 'a folder that holds another set is refused'
tells 'already holds another packed set' 'the reason is named'

run pack "$folder/in"
exits 2 'an output folder is needed'
run pack "$folder/nowhere" -o "$folder/x"
exits 1 'a missing input is a failure'
tells 'No such file' 'the reason is named'
run pack "$folder/in" -o "$folder/x" --fit squeeze
exits 2 'an unknown fit is wrong use'
run pack "$folder/in" -o "$folder/x" --split val=2 --class-map hapy=a,neutral=b,sad=c
exits 2 'a share above one is wrong use'
finish
