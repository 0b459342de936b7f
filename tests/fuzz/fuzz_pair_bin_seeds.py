# SPDX-License-Identifier: Apache-2.0
"""Writes small verification .bin files into the folder named, of every producer and protocol, and one that calls."""
import os
import pickle
import sys

import numpy as np

pictures = [b"\xff\xd8\xff\xd9", b"\x89PNG", b"\xff\xd8 8", b""]
arrays = [np.frombuffer(p, np.uint8).copy().reshape(-1, 1) for p in pictures]
flags = [True, False]


class Call:
    def __reduce__(self):
        return os.system, ("true",)


seeds = [pickle.dumps(what, protocol) for protocol in range(6)
         for what in ((pictures, flags), (arrays, [np.bool_(f) for f in flags]), (tuple(pictures), np.array(flags)),
                      ([bytearray(p) for p in pictures], [1, 0]), ([Call()], flags))]
seeds.append(b"\x80\x02]q\x01(U\x04\xff\xd8\xff\xd9q\x02T\x04\x00\x00\x00\xff\xd8\xff\xd9h\x02h\x02e]q\x03(I01\nI00\ne\x86q\x04.")
for i, data in enumerate(seeds):
    with open(os.path.join(sys.argv[1], str(i)), "wb") as f:
        f.write(data)
