# SPDX-License-Identifier: Apache-2.0
"""facet pack decodes, turns, fits and stores what Pillow does: every format, read back with h5py."""
import io
import json
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np
from PIL import Image, ImageOps

FACET = os.environ["FACET"]
failed = 0


def claim(holds, text):
    global failed
    if not holds:
        print("FAILED:", text)
        failed = 1


def pack(source, target, *options):
    done = subprocess.run([FACET, "pack", source, "-o", target, "--quiet", *options], capture_output=True, text=True)
    claim(done.returncode == 0, f"pack {options}: {done.stderr}")
    return done


def on_black(picture):
    if "A" in picture.mode or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture).convert("RGB")
    if picture.mode.startswith("I"):
        return Image.fromarray((np.asarray(picture, np.int64) >> 8).astype(np.uint8)).convert("RGB")
    return picture.convert("RGB")


def save(folder, name, picture, kind, **options):
    data = io.BytesIO()
    picture.save(data, kind, **options)
    os.makedirs(os.path.dirname(f"{folder}/{name}"), exist_ok=True)
    with open(f"{folder}/{name}", "wb") as f:
        f.write(data.getvalue())


def draw(folder):
    rng = np.random.default_rng(1)
    base = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).resize((120, 90), Image.BICUBIC)
    alpha = base.convert("RGBA")
    alpha.putalpha(base.convert("L"))
    palette = base.quantize(16)
    deep = Image.fromarray((np.arange(90 * 120).reshape(90, 120) * 6 % 65536).astype(np.uint16))
    save(folder, "base.jpg", base, "JPEG", quality=92)
    save(folder, "progressive.jpg", base, "JPEG", progressive=True)
    save(folder, "444.jpeg", base, "JPEG", subsampling=0)
    save(folder, "grey.JPG", base.convert("L"), "JPEG")
    save(folder, "cmyk.jpg", base.convert("CMYK"), "JPEG")
    save(folder, "rgb.png", base, "PNG")
    save(folder, "grey.png", base.convert("L"), "PNG")
    save(folder, "bits.png", base.convert("1"), "PNG")
    save(folder, "palette.png", palette, "PNG")
    save(folder, "palette_transparent.png", palette, "PNG", transparency=3)
    save(folder, "alpha.png", alpha, "PNG")
    save(folder, "grey_alpha.png", base.convert("LA"), "PNG")
    save(folder, "deep.png", deep, "PNG")
    save(folder, "png_named.jpg", alpha, "PNG")
    save(folder, "jpeg_named.png", base, "JPEG")
    save(folder, "colour.ppm", base, "PPM")
    save(folder, "grey.pgm", base.convert("L"), "PPM")
    save(folder, "colour.bmp", base, "BMP")
    save(folder, "grey.bmp", base.convert("L"), "BMP")
    save(folder, "palette.bmp", palette, "BMP")
    save(folder, "na\u00efve \u5f20/\u0438\u043c\u044f, \"x\".png", base, "PNG")
    for o in range(1, 9):
        exif = Image.Exif()
        exif[274] = o
        save(folder, f"turned{o}.jpg", base, "JPEG", exif=exif.tobytes())
        save(folder, f"turned{o}.png", base, "PNG", exif=exif.tobytes())
    return base


def rows_of(path):
    with h5py.File(path, "r") as f:
        names = [n.decode() for n in f["path"][:]]
        return names, {k: f[k][:] for k in f}, dict(f.attrs)


def expected(path):
    return on_black(ImageOps.exif_transpose(Image.open(path)))


def crop_box(w, h, dw, dh):
    scale = max(dw / w, dh / h)
    cw, ch = dw / scale, dh / scale
    left, top = max(0, (w - cw) / 2), max(0, (h - ch) / 2)
    return left, top, min(w, left + cw), min(h, top + ch)


def fitted(picture, fit, dw, dh):
    w, h = picture.size
    if fit == "stretch":
        return np.asarray(picture.resize((dw, dh), Image.BILINEAR))
    if fit == "crop":
        return np.asarray(picture.resize((dw, dh), Image.BILINEAR, box=crop_box(w, h, dw, dh)))
    scale = min(dw / w, dh / h)
    nw, nh = int(w * scale + 0.5), int(h * scale + 0.5)
    out = Image.new("RGB", (dw, dh))
    out.paste(picture.resize((nw, nh), Image.BILINEAR), ((dw - nw) // 2, (dh - nh) // 2))
    return np.asarray(out)


def check_pixels(folder, packed, fit, dw, dh, most, most_mean):
    names, data, _ = rows_of(f"{packed}/train.h5")
    claim(names == sorted(names, key=lambda n: n.encode()), "rows are in the order of their names' bytes")
    claim(len(names) == sum(len(f) for _, _, f in os.walk(folder)), "every picture is there")
    for name, got in zip(names, data["images"]):
        want = fitted(expected(f"{folder}/{name}"), fit, dw, dh)
        off = np.abs(got.astype(int) - want.astype(int))
        claim(off.max() <= most and off.mean() <= most_mean,
              f"{fit} {dw}x{dh} {name}: off by {off.max()}, {off.mean():.2f} on average, from Pillow")


def check_landmarks(folder, root):
    points = {"base.jpg": [[0.5, 0.5], [0.25, 0.75], [0.75, 0.25], [0.5, 1], [0.3, 0]]}
    with open(f"{root}/lm.json", "w") as f:
        json.dump(points, f)
    p = np.array(points["base.jpg"]) * [120, 90]
    left, top, right, bottom = crop_box(120, 90, 64, 64)
    want = {"crop": (p - [left, top]) / [right - left, bottom - top],
            "pad": (p * (64 / 120) + [0, 8]) / 64,
            "stretch": p / [120, 90]}
    for fit, xy in want.items():
        target = f"{root}/lm_{fit}"
        pack(folder, target, "--size", "64", "--fit", fit, "--format", "flat", "--landmarks", f"{root}/lm.json")
        names, data, attributes = rows_of(f"{target}/train.h5")
        i = names.index("base.jpg")
        claim(data["landmarks_valid"].sum() == 1 and data["landmarks_valid"][i] == 1, "one picture has landmarks")
        claim(np.abs(data["landmarks"][i] - xy).max() < 1e-6, f"{fit}: landmarks follow")
        claim(list(attributes["landmark_names"]) == [b"left_eye", b"right_eye", b"nose", b"left_mouth",
                                                     b"right_mouth"], "the points' names are stored")


def check_jpeg(folder, root):
    pack(folder, f"{root}/jpeg", "--size", "96", "--format", "flat", "--encoding", "jpeg", "--shard-size", "10")
    pack(folder, f"{root}/raw", "--size", "96", "--format", "flat")
    _, jpeg, attributes = rows_of(f"{root}/jpeg/train.h5")
    names, raw, _ = rows_of(f"{root}/raw/train.h5")
    claim(attributes["encoding"] == b"jpeg" and attributes["shard_count"] == -(-len(names) // 10), "attributes")
    offset = jpeg["offset"]
    claim(offset[0] == 0 and offset[-1] == len(jpeg["bytes"]), "offsets span the bytes of all shards")
    for i, name in enumerate(names):
        got = Image.open(io.BytesIO(jpeg["bytes"][offset[i]:offset[i + 1]].tobytes()))
        off = np.abs(np.asarray(got).astype(int) - raw["images"][i].astype(int))
        claim(got.size == (96, 96) and off.mean() < 4, f"{name}: JPEG row is off by {off.mean():.1f}")


with tempfile.TemporaryDirectory() as root:
    folder = f"{root}/in"
    draw(folder)
    for number, (fit, w, h, most) in enumerate([("stretch", 120, 90, 1), ("crop", 100, 100, 1), ("pad", 100, 110, 1),
                                                ("stretch", 140, 31, 1), ("crop", 200, 80, 1)]):
        pack(folder, f"{root}/{number}", "--width", str(w), "--height", str(h), "--fit", fit, "--format", "flat",
             "--shard-size", "9")
        check_pixels(folder, f"{root}/{number}", fit, w, h, most, most)
    # Far smaller: a JPEG is decoded at half or a quarter of its size, which Pillow's resize only resembles;
    # a shift by part of a pixel would show in the mean.
    for number, (w, h, most_mean) in enumerate([(55, 41, 3), (29, 21, 6)]):
        pack(folder, f"{root}/small{number}", "--width", str(w), "--height", str(h), "--fit", "stretch",
             "--format", "flat")
        check_pixels(folder, f"{root}/small{number}", "stretch", w, h, 60, most_mean)
    check_landmarks(folder, root)
    check_jpeg(folder, root)
sys.exit(failed)
