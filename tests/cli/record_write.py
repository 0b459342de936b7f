# SPDX-License-Identifier: Apache-2.0
"""Writes InsightFace's RecordIO files for the tests: train.rec, .idx and property in a folder, as MXNet writes them."""
import os
import struct

MAGIC = b"\x0a\x23\xd7\xce"


def payload(label, picture, key=0, more=()):
    """`more`: labels that follow the head."""
    head = struct.pack("<IfQQ", len(more), 0 if more else label, key, 0)
    return head + struct.pack("<%df" % len(more), *more) + picture


def record(data):
    """Cut where the data holds the magic at a multiple of four."""
    parts, start = [], 0
    for at in range(0, len(data) - 3, 4):
        if data[at:at + 4] == MAGIC:
            parts.append(data[start:at])
            start = at + 4
    parts.append(data[start:])
    kinds = [0] if len(parts) == 1 else [1] + [2] * (len(parts) - 2) + [3]
    return b"".join(MAGIC + struct.pack("<I", kind << 29 | len(part)) + part + b"\0" * (-len(part) % 4)
                    for kind, part in zip(kinds, parts))


def write(folder, payloads, index="in order", classes=None):
    """payloads: (key, bytes). index: "in order", "reversed" or None. Returns the records' places by key."""
    os.makedirs(folder, exist_ok=True)
    places = {}
    with open(f"{folder}/train.rec", "wb") as f:
        for key, data in payloads:
            places[key] = f.tell()
            f.write(record(data))
    if index:
        write_index(folder, sorted(places.items(), reverse=index == "reversed"))
    if classes is not None:
        with open(f"{folder}/property", "w", encoding="ascii") as f:
            f.write(f"{classes},112,112\n{len(payloads)}\n")
    return places


def write_index(folder, rows):
    with open(f"{folder}/train.idx", "w", encoding="ascii") as f:
        f.writelines(f"{key}\t{at}\n" for key, at in rows)
