# SPDX-License-Identifier: Apache-2.0
"""Draws N small pictures per class into FOLDER/<class>/ for the tests of facet pack: pack_draw.py FOLDER N [SIDE]."""
import os
import sys

import numpy as np
from PIL import Image

folder, n = sys.argv[1], int(sys.argv[2])
side = int(sys.argv[3]) if len(sys.argv) > 3 else 40
rng = np.random.default_rng(7)
for name in ("happy", "neutral", "sad"):
    os.makedirs(f"{folder}/{name}", exist_ok=True)
    for i in range(n):
        small = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
        kind = "png" if i % 5 == 4 else "jpg"
        small.resize((side, side + i % 7), Image.BICUBIC).save(f"{folder}/{name}/{i:04d}.{kind}")
