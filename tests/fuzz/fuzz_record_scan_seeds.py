# SPDX-License-Identifier: Apache-2.0
"""Writes inputs of fuzz_record_scan into the folder named: with and without index and property."""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
from record_write import payload, record  # noqa: E402

header = record(payload(0, b"", more=(4.0, 6.0)))
pictures = [record(payload(i % 2, b"\xff\xd8\xff\xd9X", i + 1)) for i in range(3)]
persons = [record(payload(0, b"", more=(1.0, 3.0))) for i in range(2)]
records = [header, *pictures, *persons]
places = [sum(map(len, records[:i])) for i in range(len(records))]
index = "".join(f"{i}\t{at}\n" for i, at in enumerate(places)).encode()
rec = b"".join(records)


def cut(part, whole):
    """The byte that stands for `part` of `whole` bytes."""
    return next(b for b in range(256) if b * whole // 256 >= part) if part else 0


rest = 5 + len(rec)
n = next(k for k in range(len(index), len(index) + 40) if cut(k, k + rest) * (k + rest) // 256 == k)
padded = index + b"\n" * (n - len(index))
seeds = [struct.pack("BBB", cut(n, n + rest), 5, 3) + padded + b"2,3,4" + rec, b"\0\0\0" + rec,
         b"\0\x05\x02" + b"2,3,4" + rec, b"\0\0\0" + rec[:-5], b"\0\0\0" + pictures[0] + b"junk" + pictures[1]]
for i, data in enumerate(seeds):
    with open(os.path.join(sys.argv[1], str(i)), "wb") as f:
        f.write(data)
