# SPDX-License-Identifier: Apache-2.0
"""Writes a few .npy files into the folder named: numbers of all types and orders, text, faces, objects."""
import os
import sys

import numpy as np

face = np.arange(10).reshape(5, 2)
arrays = [face.astype(t) for t in ("f4", "f8", ">f4", ">i8", "i4", "u1", "i2", "bool")]
arrays += [np.array("-0.25"), np.array(b"8"), np.array("1").astype(">U3"), np.asfortranarray(np.zeros((2, 5, 2))),
           np.arange(136.0), np.zeros((68, 2)), np.full((5, 2), np.nan), np.zeros((0, 5, 2)), np.array([{}], object),
           np.zeros(3, [("x", "f4")])]
for i, array in enumerate(arrays):
    np.save(os.path.join(sys.argv[1], f"{i}.npy"), array, allow_pickle=True)
with open(os.path.join(sys.argv[1], "old.npy"), "wb") as f:
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2L,), }"
    f.write(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(16))
