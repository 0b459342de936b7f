# SPDX-License-Identifier: Apache-2.0
"""What checkpoint_tool's checkpoints must hold, asked of the files by h5py and xxHash, not by facet."""
import ctypes
import os
import re
import sys

import h5py
import numpy

try:
    xxh = ctypes.CDLL("libxxhash.so.0")
except OSError:
    print("skipped: no libxxhash.so.0")
    sys.exit(77)
xxh.XXH3_64bits.restype = ctypes.c_uint64
TENSORS, N = 6, 9000


def xxh3(data):
    return "%016x" % xxh.XXH3_64bits(ctypes.c_char_p(data), ctypes.c_size_t(len(data)))


def expected(step):
    """Name -> bytes of every array of this step."""
    arrays = {"model/layer%d.weight" % t: (step * 1000 + t * 100 + numpy.arange(N) % 97).astype("<f4").tobytes()
              for t in range(TENSORS)}
    arrays["train/step"] = numpy.int64(step).tobytes()
    return arrays


EXPECTED = {step: expected(step) for step in range(12)}


def read(path):
    with open(path, "rb") as file:
        return file.read()


def stored(part):
    """Name -> bytes of every array of a part, as h5py reads it."""
    found = {}
    with h5py.File(part, "r") as file:
        file.visititems(lambda name, item: found.__setitem__(name, item[()].tobytes())
                        if isinstance(item, h5py.Dataset) else None)
    return found


def commit_is_whole(step_folder):
    """Does COMMIT have its own hash, and every part the size and hash that it tells?"""
    try:
        text = read(os.path.join(step_folder, "COMMIT"))
        body, end = text[:-len("end 0123456789abcdef\n")], text[-len("end 0123456789abcdef\n"):]
        parts = re.findall(rb"^part (\d+) (\d+) (\w+) \d+$", body, re.M)
        if end.decode(errors="replace") != "end %s\n" % xxh3(body) or not parts:
            return False
        for rank, size, digest in parts:
            part = read(os.path.join(step_folder, "rank_%04d.h5" % int(rank)))
            if len(part) != int(size) or xxh3(part) != digest.decode():
                return False
    except OSError:
        return False
    return True


def whole_steps(folder):
    """The steps whose checkpoints are there, complete and right; also one that a stopped save had set aside."""
    found = set()
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        named = re.fullmatch(r"step_(\d{8})(\.old\.tmp)?", name)
        path = os.path.join(folder, name)
        if named and commit_is_whole(path) and stored(os.path.join(path, "rank_0000.h5")) == EXPECTED[int(named[1])]:
            found.add(int(named[1]))
    return sorted(found)


def dumped(out):
    """`checkpoint_tool dump`'s output -> (step, are all arrays right)."""
    arrays, at = {}, 0
    while at < len(out):
        end = out.index(b"\n", at)
        name, rest = out[at:end].decode().split(" ", 1)
        size = int(rest.rsplit(" ", 1)[1])
        arrays[name] = out[end + 1:end + 1 + size]
        at = end + 1 + size
    step = int(numpy.frombuffer(arrays["train/step"], "<i8")[0]) if "train/step" in arrays else -1
    return step, arrays == EXPECTED.get(step)


def leftovers(folder):
    return sorted(os.path.join(place, n) for place, folders, files in os.walk(folder) for n in folders + files
                  if n.endswith(".tmp") or ".note" in n)
