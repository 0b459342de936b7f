# SPDX-License-Identifier: Apache-2.0
"""facet pack --align arcface is Umeyama's transform and cv2's bilinear warp, to the last bit; landmarks follow, and
pictures that cannot be aligned are named."""
import json
import os
import sys
import tempfile

import numpy as np
from PIL import Image

from align_numpy import FAILED, TEMPLATE, bad_list, claim, five_of, moved, pack, refused, rows, template, umeyama, warp

rng = np.random.default_rng(4)


def turned_points(middle, side, degrees):
    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    face = (TEMPLATE - TEMPLATE.mean(0)) / 112 * side
    return face @ turn.T + middle + rng.normal(0, side / 60, (5, 2))


def draw(folder):
    """Pictures and their points in pixels: small, large, turned, at the edge, mirrored, tiny."""
    os.makedirs(folder)
    points = {}
    for i, (w, h, middle, side, degrees) in enumerate([
            (150, 150, (75, 80), 90, 5), (250, 250, (125, 120), 112, -20), (900, 700, (400, 350), 600, 12),
            (300, 200, (20, 30), 80, 0), (113, 157, (60, 80), 100, 178), (64, 48, (30, 20), 20, 90),
            (1600, 1200, (700, 600), 300, 33)]):
        picture = Image.fromarray(rng.integers(0, 256, (7, 9, 3), np.uint8)).resize((w, h), Image.BICUBIC)
        noise = rng.integers(-20, 20, (h, w, 3))
        picture = Image.fromarray((np.asarray(picture).astype(int) + noise).clip(0, 255).astype(np.uint8))
        name = f"{i}.{'jpg' if i == 6 else 'png'}"
        picture.save(f"{folder}/{name}", quality=90)
        points[name] = turned_points(middle, side, degrees)
    points["4.png"] = points["4.png"][[1, 0, 2, 4, 3]]  # left for right: still no mirror image
    exif = Image.Exif()
    exif[274] = 6  # the file lies on its side, the points belong to the upright picture
    Image.open(f"{folder}/1.png").transpose(Image.Transpose.ROTATE_90).save(f"{folder}/side.png", exif=exif.tobytes())
    points["side.png"] = points["1.png"]
    return points


def in_unit(folder, points):
    size = {n: Image.open(f"{folder}/{n}").size for n in points}
    size["side.png"] = Image.open(f"{folder}/1.png").size
    return {n: (p / size[n]).tolist() for n, p in points.items()}


def seen(folder, name):
    return np.asarray(Image.open(f"{folder}/{'1.png' if name == 'side.png' else name}").convert("RGB"))


def check_set(folder, target, unit, size):
    got, attributes = rows(f"{target}/train.h5")
    claim(attributes["preprocessing"] == f"align=arcface size={size}x{size} filter=bilinear".encode(), "attribute")
    claim(set(got) == set(unit), "every picture is there")
    for name, row in got.items():
        picture = seen(folder, name)
        # As pack has them: float32 in 0..1.
        p = np.float32(unit[name]).astype(float) * [picture.shape[1], picture.shape[0]]
        m = umeyama(five_of(p), template(size))
        off = np.abs(row["images"].astype(int) - warp(picture, m, size).astype(int))
        # A JPEG's decoders may differ by a step.
        claim(off.max() <= (2 if name.endswith("jpg") else 0), f"{size} {name}: off by {off.max()}")
        want = moved(m, p) / size
        outside = ((want < -1e-5) | (want > 1 + 1e-5)).any()
        claim(row["landmarks_valid"] == (not outside), f"{size} {name}: landmarks valid")
        if not outside:
            claim(np.abs(row["landmarks"] - want.clip(0, 1)).max() < 1e-5, f"{size} {name}: landmarks follow")


def check_sizes(folder, root, unit, cache):
    for size in (112, 224, 128, 256, 896):
        pack(folder, f"{root}/{size}", "--align", "arcface", "--size", str(size), "--format", "flat", "--landmarks", cache)
        check_set(folder, f"{root}/{size}", unit, size)
    pack(folder, f"{root}/default", "--align", "arcface", "--format", "flat", "--landmarks", cache)
    claim(rows(f"{root}/default/train.h5")[1]["height"] == 112, "112 is the size when none is said")
    flat = ["--format", "flat", "--landmarks", cache, "--align", "arcface"]
    refused(2, "pictures of 200 pixels: ArcFace's template is for multiples of 112 and of 128", folder, f"{root}/no",
            *flat, "--size", "200")
    refused(2, "must be square", folder, f"{root}/no", *flat, "--size", "112", "--height", "224")
    swapped = {n: [p[k] for k in (1, 0, 2, 4, 3)] for n, p in unit.items() if n != "4.png"}
    with open(f"{root}/swapped.json", "w") as f:
        json.dump(swapped, f)
    refused(2, f"in {len(swapped)} of {len(swapped)} faces left and right are exchanged", folder, f"{root}/no", "--format",
            "flat", "--landmarks", f"{root}/swapped.json", "--align", "arcface")
    refused(2, "have no landmarks to align them by", folder, f"{root}/no", "--format", "flat", "--align", "arcface")


def check_ten(folder, root, points):
    ten = {}
    for name, p in points.items():
        l, r, nose, ml, mr = p
        eye = [6, 1]
        ten[name] = np.array([l - eye, l + eye, r - eye, r + eye, nose, nose + [0, 4], ml, mr, (ml + mr) / 2 - [0, 3],
                              (ml + mr) / 2 + [0, 3]])
    unit = in_unit(folder, ten)
    with open(f"{root}/ten.json", "w") as f:
        json.dump(unit, f)
    pack(folder, f"{root}/ten", "--align", "arcface", "--format", "flat", "--landmarks", f"{root}/ten.json")
    check_set(folder, f"{root}/ten", unit, 112)


def check_same_bytes(folder, root, cache):
    base = ["--align", "arcface", "--format", "flat", "--shard-size", "3", "--landmarks", cache]
    pack(folder, f"{root}/same1", *base, "--threads", "1")
    pack(folder, f"{root}/same4", *base, "--threads", "4")
    pack(folder, f"{root}/same2", *base, before=["mpirun", "-np", "2"])
    for name in sorted(os.listdir(f"{root}/same1")):
        with open(f"{root}/same1/{name}", "rb") as a, open(f"{root}/same4/{name}", "rb") as b, \
                open(f"{root}/same2/{name}", "rb") as c:
            one = a.read()
            claim(one == b.read() == c.read(), f"{name} is the same for 1 and 4 threads and for 2 ranks")


def check_without(folder, root, unit):
    """One picture without landmarks, one on a spot, one of another picture's pixels, in pixels in a csv."""
    cache = f"{root}/some.json"
    some = {n: p for n, p in unit.items() if n != "2.png"}
    some["3.png"] = [[0.5, 0.5]] * 5
    with open(cache, "w") as f:
        json.dump(some, f)
    align = ["--align", "arcface", "--format", "flat", "--landmarks", cache]
    done = pack(folder, f"{root}/skip", *align)
    claim("left out without landmarks to align them by: 1 pictures" in done.stdout, f"told: {done.stdout}")
    claim("bad pictures: 2 (listed in bad.csv)" in done.stdout, f"counted: {done.stdout}")
    listed = bad_list(f"{root}/skip")
    claim("2.png,has no landmarks to align it by" in listed, f"bad.csv: {listed}")
    claim("3.png,its landmarks lie on one spot" in listed, f"bad.csv: {listed}")
    claim(set(rows(f"{root}/skip/train.h5")[0]) == set(unit) - {"2.png", "3.png"}, "the others are there")
    done = pack(folder, f"{root}/centre", *align, "--no-landmarks", "centre")
    got, attributes = rows(f"{root}/centre/train.h5")
    claim(attributes["preprocessing"] == b"align=arcface size=112x112 filter=bilinear unmarked=crop", "attribute")
    claim("2.png" in got and got["2.png"]["landmarks_valid"] == 0, "a picture without landmarks is kept on demand")
    pack(folder, f"{root}/crop", "--size", "112", "--format", "flat")
    claim((rows(f"{root}/crop/train.h5")[0]["2.png"]["images"] == got["2.png"]["images"]).all(), "as --fit has it")
    refused(1, "2.png: has no landmarks to align it by", folder, f"{root}/stop", *align, "--on-bad", "stop")
    with open(f"{root}/far.csv", "w") as f:
        f.write("path" + ",x" * 10 + "\n0.png" + ",40,50,80,50,60,900,45,100,75,100\n")
        f.write("1.png,40,50,80,50,60,70,45,100,75,100\n")
    pack(folder, f"{root}/far", "--align", "arcface", "--format", "flat", "--landmarks", f"{root}/far.csv")
    claim("0.png,\"a landmark at pixel 60, 900 lies far outside of its 150 x 150\"" in bad_list(f"{root}/far"),
          f"bad.csv: {bad_list(f'{root}/far')}")


with tempfile.TemporaryDirectory() as root:
    folder = f"{root}/in"
    points = draw(folder)
    unit = in_unit(folder, points)
    with open(f"{root}/five.json", "w") as f:
        json.dump(unit, f)
    check_sizes(folder, root, unit, f"{root}/five.json")
    check_ten(folder, root, points)
    check_same_bytes(folder, root, f"{root}/five.json")
    check_without(folder, root, unit)
    refused(2, "already holds", folder, f"{root}/112", "--format", "flat", "--landmarks", f"{root}/five.json", "--size", "112")
sys.exit(FAILED[0])
