# SPDX-License-Identifier: Apache-2.0
"""A damaged shard that one rank meets, a full disk under rank 0: the job ends with one message in 10 s."""
import glob
import os
import shutil
import subprocess
import time

import h5py

from golden import SMALL, data, facet, workspace

LIMIT_S = 10


def ends_with_one_message(word, *arguments, ranks=2):
    start = time.monotonic()
    _, _, err = facet("train", *SMALL, *arguments, ranks=ranks, want=None, timeout=60)
    spent = time.monotonic() - start
    assert err.count("facet: error:") == 1 and word in err, err[-3000:]
    assert spent < LIMIT_S or os.environ.get("FACET_SANITIZED") == "1", "took %.1f s" % spent
    return err


def damaged_shard(packed, top):
    copy = os.path.join(top, "damaged")
    shutil.copytree(packed, copy)
    shard = sorted(glob.glob(os.path.join(copy, "train-*.h5")))[0]
    with h5py.File(shard, "r") as f:
        at, size = f["images"].id.get_offset(), f["images"][0].size
    with open(shard, "r+b") as f: # one byte of the picture in the middle: one rank reads it, once
        f.seek(at + 40 * size + 100)
        old = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([old[0] ^ 1]))
    err = ends_with_one_message("checksum", "data.path=" + copy, "run.dir=" + os.path.join(top, "a"))
    assert os.path.basename(shard) in err and "rank" in err


def full_disk(packed, top):
    small = os.path.join(top, "small")
    os.mkdir(small)
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", small], capture_output=True)
    if mount.returncode != 0:
        return print("no right to mount a small disk: that part was not tried")
    try:
        ends_with_one_message("space", "data.path=" + packed, "run.dir=" + os.path.join(small, "run"))
    finally:
        subprocess.run(["umount", small], check=True)


def main():
    packed = data()
    with workspace() as top:
        damaged_shard(packed, top)
        full_disk(packed, top)


main()
