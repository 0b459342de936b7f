# SPDX-License-Identifier: Apache-2.0
"""Makes N small JPEG files of 24 x 24 pixels, each a file of its own with bytes of its own, in seconds per 100,000:
many_pictures.py FOLDER N [FOLDERS]. 500 pictures are drawn and encoded; each file is one of them with its number in a
comment segment. FOLDERS 0 (the default) puts all of them into FOLDER itself."""
import io
import os
import sys

import numpy as np
from PIL import Image

DRAWN = 500


def draw(rng):
    small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
    out = io.BytesIO()
    small.resize((24, 24), Image.BICUBIC).save(out, "JPEG", quality=80)
    return out.getvalue()


def main():
    folder, n = sys.argv[1], int(sys.argv[2])
    folders = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    rng = np.random.default_rng(1)
    drawn = [draw(rng) for _ in range(DRAWN)]
    for i in range(max(folders, 1)):
        os.makedirs(f"{folder}/person{i:06d}" if folders else folder, exist_ok=True)
    for i in range(n):
        note = b"\xff\xfe\x00\x0a%08d" % i
        jpeg = drawn[i % DRAWN]
        where = f"{folder}/person{i % folders:06d}" if folders else folder
        fd = os.open(f"{where}/picture-{i:08d}.jpg", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.write(fd, jpeg[:2] + note + jpeg[2:])
        os.close(fd)


main()
