# SPDX-License-Identifier: Apache-2.0
"""facet pack and hostile folders: bombs, damage, links, odd names: listed with reasons, in little time and memory."""
import csv
import io
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zlib

import h5py
import numpy as np
from PIL import Image

FACET = os.environ["FACET"]
SANITIZED = os.environ.get("FACET_SANITIZED") == "1"
failed = 0


def claim(holds, text):
    global failed
    if not holds:
        print("FAILED:", text)
        failed = 1


def pack(source, target, *options, locale="C.UTF-8"):
    start, before = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    done = subprocess.run([FACET, "pack", source, "-o", target, "--quiet", "--size", "32", "--threads", "2",
                           *options], capture_output=True, text=True, env={**os.environ, "LC_ALL": locale})
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return done, time.time() - start, max(before, peak) / 1024


def bad_list(target):
    with open(f"{target}/bad.csv", newline="", encoding="utf-8") as f:
        return {row["path"]: row["reason"] for row in csv.DictReader(f)}


def encode(picture, kind, **options):
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_jpeg_size(data, marker, side):
    at = data.index(b"\xff" + marker)
    return data[:at + 5] + struct.pack(">HH", side, side) + data[at + 9:]


def bombs(folder):
    picture = Image.new("RGB", (64, 64), (90, 20, 30))
    progressive, baseline = encode(picture, "JPEG", progressive=True), encode(picture, "JPEG")
    lying = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 7900, 7900, 8, 2, 0, 0, 0))
    lying += chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    write(f"{folder}/progressive_huge.jpg", with_jpeg_size(progressive, b"\xc2", 65500))
    write(f"{folder}/progressive_large.jpg", with_jpeg_size(progressive, b"\xc2", 5500))
    write(f"{folder}/baseline_huge.jpg", with_jpeg_size(baseline, b"\xc0", 65500))
    write(f"{folder}/baseline_large.jpg", with_jpeg_size(baseline, b"\xc0", 7900))
    write(f"{folder}/lying.png", lying)
    write(f"{folder}/huge.png", lying.replace(struct.pack(">II", 7900, 7900), struct.pack(">II", 10**6, 10**6)))
    write(f"{folder}/huge.ppm", b"P6 60000 60000 255\n")
    write(f"{folder}/scans.jpg", baseline[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x11" * 5000 + b"\xff\xd9")
    with open(f"{folder}/sparse.jpg", "wb") as f:
        f.write(baseline)
        f.truncate(1 << 40)
    write(f"{folder}/good.jpg", baseline)
    return 9


def hostile_names(folder):
    good = encode(Image.new("RGB", (40, 40), (1, 2, 3)), "PNG")
    write(f"{folder}/line\nbreak.png", good)
    write(f"{folder}/" + "\u00e9" * 125 + ".png", good)
    write(f"{folder}/twin.png", good)
    write(f"{folder}/TWIN.PNG", good)
    write(f"{folder}/\u0131\u0130.TIF", b"II*\0....")
    write(os.fsencode(folder) + b"/\xff\xfe.png", good)
    os.mkfifo(f"{folder}/pipe.jpg")
    os.makedirs(f"{folder}/folder.jpg")
    os.symlink("..", f"{folder}/loop")
    os.symlink("/etc/hostname", f"{folder}/away.jpg")
    os.symlink("twin.png", f"{folder}/near.png")
    return 5


def check_bombs(root):
    n = bombs(f"{root}/bombs")
    done, seconds, mib = pack(f"{root}/bombs", f"{root}/b")
    claim(done.returncode == 0 and f"bad pictures: {n}" in done.stdout, f"bombs are skipped: {done.stdout}{done.stderr}")
    bad = bad_list(f"{root}/b")
    for name in ("progressive_huge.jpg", "baseline_huge.jpg", "progressive_large.jpg", "baseline_large.jpg",
                 "lying.png", "huge.ppm"):
        claim("header says" in bad[name] or "cut short" in bad[name], f"{name}: {bad[name]}")
    claim("scans" in bad["scans.jpg"] and "allowed" in bad["sparse.jpg"], f"{bad}")
    if not SANITIZED:
        claim(seconds < 5 and mib < 250, f"bombs took {seconds:.1f} s and {mib:.0f} MiB")


def check_names(root):
    n = hostile_names(f"{root}/names")
    seen = []
    for number, locale in enumerate(["C", "C.UTF-8", "tr_TR.UTF-8"]):
        done, _, _ = pack(f"{root}/names", f"{root}/n{number}", locale=locale)
        claim(done.returncode == 0 and f"bad pictures: {n + 1}" in done.stdout, f"{done.stdout}{done.stderr}")
        with open(f"{root}/n{number}/train-00000-of-00001.h5", "rb") as f:
            seen.append(f.read())
    claim(seen[0] == seen[1] == seen[2], "the same bytes in every locale")
    bad = bad_list(f"{root}/n0")
    claim(bad["loop"] == bad["away.jpg"] == bad["near.png"] == "symbolic link, not followed", f"links: {bad}")
    claim(bad["pipe.jpg"] == "not a regular file" and bad["\\xff\\xfe.png"] == "name is not UTF-8", f"{bad}")
    claim("TIFF" in bad["\u0131\u0130.TIF"], f"{bad}")
    with h5py.File(f"{root}/n0/train.h5") as f:
        names = [p.decode() for p in f["path"][:]]
    claim("line\nbreak.png" in names and "\u00e9" * 125 + ".png" in names and {"twin.png", "TWIN.PNG"} <= set(names),
          f"odd names are kept: {names}")
    done, _, _ = pack(f"{root}/names", f"{root}/n9", "--on-bad", "stop")
    claim(done.returncode == 1 and not os.path.exists(f"{root}/n9/train.h5"), "stop stops at what is left out")


def check_damage(root):
    random.seed(3)
    rng = np.random.default_rng(3)
    picture = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).resize((24, 20), Image.BICUBIC)
    files = {"a.jpg": encode(picture, "JPEG"), "b.jpg": encode(picture, "JPEG", progressive=True),
             "c.png": encode(picture, "PNG"), "d.png": encode(picture.quantize(8), "PNG"),
             "e.bmp": encode(picture, "BMP"), "f.ppm": encode(picture, "PPM"), "g.jpg": encode(picture.convert("CMYK"), "JPEG")}
    exif = Image.Exif()
    exif[274], exif[270] = 6, "text " * 20
    files["h.jpg"] = encode(picture, "JPEG", exif=exif.tobytes())
    n = 0
    for name, data in files.items():
        for i in range(60):
            mutant = bytearray(data)
            if i % 3 == 0:
                mutant = mutant[:random.randrange(len(mutant))]
            else:
                for _ in range(random.choice([1, 1, 3, 20])):
                    mutant[random.randrange(len(mutant) if i % 2 else min(200, len(mutant)))] = random.randrange(256)
            write(f"{root}/damaged/{i:03d}{name}", bytes(mutant))
            n += 1
    write(f"{root}/damaged/good.jpg", files["a.jpg"])
    done, _, mib = pack(f"{root}/damaged", f"{root}/d", "--format", "flat")
    claim(done.returncode == 0, f"{n} damaged files: exit code {done.returncode}: {done.stderr[-2000:]}")
    bad = bad_list(f"{root}/d")
    with h5py.File(f"{root}/d/train.h5") as f:
        claim(len(f["path"]) + len(bad) == n + 1, "every file is either packed or listed")
    claim(all(bad.values()), "every bad picture has a reason")
    claim(SANITIZED or mib < 700, f"damage took {mib:.0f} MiB")
    truncated = sum(1 for i in range(0, 60, 3) for name in files if f"{i:03d}{name}" in bad)
    claim(truncated > 0.9 * 20 * len(files), f"only {truncated} of {20 * len(files)} cut files are found out")


with tempfile.TemporaryDirectory() as root:
    check_bombs(root)
    check_names(root)
    check_damage(root)
sys.exit(failed)
