# SPDX-License-Identifier: Apache-2.0
"""Writes a few pairs.txt, behind the byte that chooses the pictures, into the folder named."""
import os
import sys

texts = [b"1\t1\nAnn\t1\t2\nAnn\t1\tBo\t1\n", b"Ann 1 2\r\n\nBo 2 Ann 1\n", b"10 300\n", b"1\nBo 2 2\nBo 2 Ann 2\n",
         b"Bo\t1\t2\nNobody\t1\t2\n", b"Ann x 1\n", b"Ann 1 2 3 4\n"]
for i, text in enumerate(texts):
    for names in (3, 8, 9):
        with open(os.path.join(sys.argv[1], f"{i}-{names}"), "wb") as f:
            f.write(bytes([names]) + text)
