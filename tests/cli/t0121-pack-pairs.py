# SPDX-License-Identifier: Apache-2.0
"""facet pack and verification pairs: a .bin becomes a set with its pairs beside it, pairs.txt goes with a folder, and
the .bin that is written is what Python's pickle and Pillow read."""
import csv
import io
import os
import pickle
import subprocess
import sys
import tempfile

import h5py
import numpy as np
from PIL import Image

FACET = os.environ["FACET"]
PEOPLE = {"Ann_Bo": 3, "Cy": 2, "Di_Eff_Gee": 1}
PAIRS = [("Ann_Bo", 1, "Ann_Bo", 3), ("Cy", 1, "Cy", 2), ("Ann_Bo", 1, "Cy", 2), ("Di_Eff_Gee", 1, "Ann_Bo", 2)]
failed = 0
rng = np.random.default_rng(12)


def claim(holds, text):
    global failed
    if not holds:
        print("FAILED:", text, flush=True)
        failed = 1


def pack(source, target, *options, launch=()):
    return subprocess.run([*launch, FACET, "pack", source, "-o", target, "--size", "48", "--quiet", *options],
                          capture_output=True, text=True)


def refused(done, *words):
    error = done.stderr[done.stderr.find("facet: error: "):].split("\n---")[0].strip()
    claim(done.returncode != 0 and all(w in error for w in words) and len(error.splitlines()) in (1, 2),
          f"wanted a refusal with {words}, got {done.returncode}: {done.stderr}")


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def name(person, i):
    return f"{person}/{person}_{i:04d}.jpg"


def draw_people(root):
    for person, n in PEOPLE.items():
        for i in range(1, n + 1):
            data = io.BytesIO()
            small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
            small.resize((60, 60), Image.BICUBIC).save(data, "JPEG", quality=95)
            write(f"{root}/people/{name(person, i)}", data.getvalue())
    lines = ["%s\t%d\t%d" % (a, i, j) if a == b else "%s\t%d\t%s\t%d" % (a, i, b, j) for a, i, b, j in PAIRS]
    write(f"{root}/pairs.txt", ("1\t2\n" + "\n".join(lines) + "\n").encode())


def packed(folder, split):
    with h5py.File(f"{folder}/{split}.h5") as f:
        paths, images = [p.decode() for p in f["path"][:]], f["images"][:]
    with open(f"{folder}/{split}.pairs.csv", encoding="ascii") as f:
        claim(f.readline().startswith("# facet pairs 1 "), "the pairs' file says what it is")
        rows = list(csv.DictReader(f))
    return paths, images, [(int(r["first"]), int(r["second"]), int(r["same"])) for r in rows]


def check_folder(root):
    done = pack(f"{root}/people", f"{root}/set", "--pairs", f"{root}/pairs.txt")
    claim("pairs: 4, 2 of one person, 2 of two" in done.stdout, f"{done.stdout}{done.stderr}")
    paths, _, pairs = packed(f"{root}/set", "train")
    want = [(name(a, i), name(b, j), int(a == b)) for a, i, b, j in PAIRS]
    claim([(paths[a], paths[b], same) for a, b, same in pairs] == want, f"pairs by row: {pairs}")
    said = subprocess.run([FACET, "inspect", f"{root}/set"], capture_output=True, text=True)
    claim("  pairs: 4, 2 of one person, 2 of two\n" in said.stdout, f"inspect knows of the pairs: {said}")
    # stopped just before the pairs were written: the same command writes them
    os.remove(f"{root}/set/train.pairs.csv")
    done = pack(f"{root}/people", f"{root}/set", "--pairs", f"{root}/pairs.txt")
    claim("nothing to do" in done.stdout and packed(f"{root}/set", "train")[2] == pairs, f"again: {done.stderr}")
    done = pack(f"{root}/people", f"{root}/set", "--force", "--height", "40")
    claim(done.returncode == 0 and not os.path.exists(f"{root}/set/train.pairs.csv"),
          f"pairs of another packing are removed with it: {done.stderr}")


def check_written(root):
    out = f"{root}/lfw.bin"
    done = pack(f"{root}/people", out, "--pairs", f"{root}/pairs.txt")
    claim("4 pairs (2 of one person, 2 of two) of 6 pictures of 48x48" in done.stdout, f"{done.stdout}{done.stderr}")
    with open(out, "rb") as f:
        bins, same = pickle.load(f, encoding="bytes")  # as load_bin of insightface does
        claim(f.read() == b"", "nothing behind the pickle")
    claim(same == [True, True, False, False] and all(isinstance(s, bool) for s in same), f"flags {same}")
    claim(len(bins) == 8 and all(isinstance(b, bytes) for b in bins), "two pictures a pair, as bytes")
    claim(bins[0] == bins[4] and bins[0] != bins[1], "a picture is the same wherever it stands")
    claim(pack(f"{root}/people", f"{root}/raw").returncode == 0, "the folder is packed")
    with h5py.File(f"{root}/raw/train.h5") as f:
        raw = {p.decode(): image for p, image in zip(f["path"][:], f["images"][:])}
    for k, path in enumerate(n for a, i, b, j in PAIRS for n in (name(a, i), name(b, j))):
        got = np.asarray(Image.open(io.BytesIO(bins[k])).convert("RGB"), float)
        claim(got.shape == (48, 48, 3) and abs(got - raw[path]).mean() < 4, f"picture {k} is {path}")
    refused(pack(f"{root}/people", out, "--pairs", f"{root}/pairs.txt"), "already there")
    claim(pack(f"{root}/people", out, "--pairs", f"{root}/pairs.txt", "--force").returncode == 0, "replaced")
    refused(pack(f"{root}/people", f"{root}/b.bin"), "--pairs")
    refused(pack(f"{root}/people", f"{root}/b.bin", "--pairs", f"{root}/pairs.txt", "--split", "val=0.5"), "across splits")
    write(f"{root}/people/{name('Cy', 2)}x", b"")
    claim(not [n for n in os.listdir(root) if n.endswith(".tmp")], "nothing is left beside it")
    # and back: facet's own reader, against Pillow's pixels
    done = pack(out, f"{root}/back")
    paths, images, pairs = packed(f"{root}/back", "test")
    claim(paths == [f"{bins.index(b)}.jpg" for i, b in enumerate(bins) if bins.index(b) == i] and len(paths) == 6,
          f"back: each picture once: {paths} {done.stderr}")
    want = [np.asarray(Image.open(io.BytesIO(b)).convert("RGB")) for b in bins]
    claim([p[2] for p in pairs] == [1, 1, 0, 0] and all(np.array_equal(images[p[side]], want[2 * i + side])
          for i, p in enumerate(pairs) for side in (0, 1)), "the pixels of each pair are those that Pillow decodes")


def check_bins(root):
    pictures = []
    for i in range(12):
        data = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (48, 48, 3), np.uint8)).save(data, "PNG" if i % 2 else "JPEG")
        pictures.append(data.getvalue())
    want = [np.asarray(Image.open(io.BytesIO(p)).convert("RGB")) for p in pictures]
    flags = [True, False, False, True, True, False]
    for protocol in range(2, 6):
        write(f"{root}/p{protocol}.bin", pickle.dumps((pictures, flags), protocol))
        done = pack(f"{root}/p{protocol}.bin", f"{root}/p{protocol}", "--split", "val")
        paths, images, pairs = packed(f"{root}/p{protocol}", "val")
        claim(done.returncode == 0 and paths[10] == "10.jpg" and np.array_equal(images, want) and
              pairs == [(2 * i, 2 * i + 1, int(s)) for i, s in enumerate(flags)], f"protocol {protocol}: {done.stderr}")
    spoilt = list(pictures)
    spoilt[3] = b"no picture"
    write(f"{root}/bad.bin", pickle.dumps((spoilt, flags)))
    done = pack(f"{root}/bad.bin", f"{root}/bad", launch=("mpirun", "-n", "2"))
    paths, images, pairs = packed(f"{root}/bad", "test")
    claim("03.jpg" not in paths and len(paths) == 11 and "1 pairs are left out" in done.stderr, f"bad: {done.stderr}")
    claim([(paths[a], paths[b], s) for a, b, s in pairs] ==
          [(f"{2 * i:02d}.jpg", f"{2 * i + 1:02d}.jpg", int(s)) for i, s in enumerate(flags) if i != 1],
          "the other pairs keep their pictures")
    refused(pack(f"{root}/bad.bin", f"{root}/bad1", "--on-bad", "stop"), "03.jpg")
    refused(pack(f"{root}/bad.bin", f"{root}/bad1", "--pairs", f"{root}/pairs.txt"), "pairs of its own")
    refused(pack(f"{root}/bad.bin", f"{root}/bad1", "--split", "val=0.5"), "across splits")
    refused(pack(f"{root}/bad.bin", f"{root}/bad1", "--min-pictures", "2"), "--min-pictures leaves out persons")


def check_bad_input(root):
    class Call:
        def __reduce__(self):
            return os.system, (f"touch {root}/called",)

    write(f"{root}/evil.bin", pickle.dumps(([Call()], [True])))
    refused(pack(f"{root}/evil.bin", f"{root}/evil"), "evil.bin", "system")
    claim(not os.path.exists(f"{root}/called"), "nothing in a pickle is called")
    write(f"{root}/missing.txt", b"Ann_Bo 1 2\nNobody 1 2\n")
    for target in (f"{root}/m", f"{root}/m.bin"):
        refused(pack(f"{root}/people", target, "--pairs", f"{root}/missing.txt"), "missing.txt:2: Nobody")
    refused(pack(f"{root}/people", f"{root}/m.bin", "--pairs", f"{root}/pairs.txt", "--min-pictures", "2"),
            "a .bin has all of its pairs")
    write(f"{root}/list", b"Cy\n")
    refused(pack(f"{root}/people", f"{root}/m", "--format", "identity", "--pairs", f"{root}/pairs.txt", "--leave-out", f"{root}/list"),
            "Cy: no such person", "more are left out")
    write(f"{root}/people/{name('Cy', 2)}", b"no picture")
    refused(pack(f"{root}/people", f"{root}/m.bin", "--pairs", f"{root}/pairs.txt"), "Cy_0002.jpg", "no picture")
    refused(pack(f"{root}/people", f"{root}/m.bin", "--pairs", f"{root}/pairs.txt", launch=("mpirun", "-n", "2")),
            "one rank writes a .bin")
    claim(not os.path.exists(f"{root}/m.bin"), "no half of a .bin")
    write(f"{root}/a.txt", b"x")
    refused(pack(f"{root}/a.txt", f"{root}/m"), "neither a folder nor a .rec or .bin")


with tempfile.TemporaryDirectory() as folder:
    draw_people(folder)
    check_folder(folder)
    check_written(folder)
    check_bins(folder)
    check_bad_input(folder)
sys.exit(failed)
