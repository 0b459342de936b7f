# SPDX-License-Identifier: Apache-2.0
"""Writes a few .rec files into the folder named: whole, split, header and identity records, no picture."""
import os
import struct
import sys

MAGIC = b"\x0a\x23\xd7\xce"


def payload(label, picture, more=()):
    head = struct.pack("<IfQQ", len(more), 0 if more else label, 42, 0)
    return head + struct.pack("<%df" % len(more), *more) + picture


def parts(*chunks):
    kinds = [0] if len(chunks) == 1 else [1] + [2] * (len(chunks) - 2) + [3]
    return b"".join(MAGIC + struct.pack("<I", kind << 29 | len(data)) + data + b"\0" * (-len(data) % 4)
                    for kind, data in zip(kinds, chunks))


picture = b"\xff\xd8\xff\xd9X"
whole = parts(payload(7, picture))
split = parts(payload(1, b"abcd"), b"efgh", b"ijk")
header = parts(payload(0, b"", (3.0, 5.0)))
for i, data in enumerate((whole, whole + split, header + whole + whole + parts(payload(0, b"", (1.0, 3.0))),
                          whole + b"xxxx" + whole, whole[:-3], parts(payload(0, b"", [1.0] * 9)), b"")):
    with open(os.path.join(sys.argv[1], str(i)), "wb") as f:
        f.write(data)
