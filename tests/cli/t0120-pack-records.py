# SPDX-License-Identifier: Apache-2.0
"""facet pack reads InsightFace's RecordIO: the pictures and persons of the same JPEGs in folders, on any number of
ranks; whatever is wrong in .rec, .idx or property is told in one line or listed, and nothing else is lost."""
import csv
import filecmp
import io
import math
import os
import signal
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np
from PIL import Image

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from record_write import MAGIC, payload, write, write_index  # noqa: E402

FACET = os.environ["FACET"]
failed = 0
rng = np.random.default_rng(11)
LABELS = [0, 0, 0, 1, 1, 3, 3, 3, 3, 12]  # 2 has none: numbers stay dense


def claim(holds, text):
    global failed
    if not holds:
        print("FAILED:", text, flush=True)
        failed = 1


def draw(kind="JPEG"):
    data = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((40, 40), Image.BICUBIC).save(data, kind)
    return data.getvalue()


def with_magic(at):
    """A PPM whose pixels are the magic at multiples of four of the record's data, twice in a row and once more."""
    head = b"P6 40 40 255\n"
    pixels = bytearray(rng.integers(0, 256, 40 * 40 * 3, np.uint8).tobytes())
    first = -(at + len(head)) % 4
    for place in (first, first + 4, first + 400):
        pixels[place:place + 4] = MAGIC
    return head + bytes(pixels)


def pack(source, target, *options, ranks=1):
    launch = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
    return subprocess.run([*launch, FACET, "pack", source, "-o", target, "--size", "32", "--quiet", *options],
                          capture_output=True, text=True)


def packed(folder):
    with h5py.File(f"{folder}/train.h5") as f:
        return [p.decode() for p in f["path"][:]], list(f["identity"][:]), f["images"][:]


def bad_list(folder):
    with open(f"{folder}/bad.csv", newline="", encoding="utf-8") as f:
        return dict(list(csv.reader(f))[1:])


def refused(done, *words):
    text = done.stderr.strip()
    error = text[text.find("facet: error: "):]
    claim(done.returncode != 0 and all(w in error for w in words) and len(error.splitlines()) in (1, 2), f"wanted a refusal with {words}, got {done.returncode}: {text}")


def check_against_folders(root):
    """The judge is pack itself on the same JPEGs as files: its pictures are checked against Pillow elsewhere."""
    pictures = [draw("PNG" if i == 4 else "JPEG") for i in range(len(LABELS))]
    pictures[1] = with_magic(24)
    pictures[6] = with_magic(24 + 8)
    for i, (label, data) in enumerate(zip(LABELS, pictures)):
        os.makedirs(f"{root}/files/{label:02d}", exist_ok=True)
        with open(f"{root}/files/{label:02d}/{i + 1:02d}.jpg", "wb") as f:
            f.write(data)
    claim(pack(f"{root}/files", f"{root}/o", "--format", "identity").returncode == 0, "the folders are packed")
    want = packed(f"{root}/o")
    images = [(i + 1, payload(label, data, i + 1, (float(label), 0.5) if i == 6 else ()))
              for i, (label, data) in enumerate(zip(LABELS, pictures))]
    n = len(images)
    persons = [(n + 1 + i, payload(0, b"", more=(float(i), float(i + 1)))) for i in range(4)]
    header = [(0, payload(0, b"", more=(float(n + 1), float(n + 5))))]
    sets = {"indexed": (header + images + persons, "in order"), "backwards": (header + images + persons, "reversed"),
            "shuffled": (images[::-1] + persons + header, "reversed"), "scanned": (header + images + persons, None),
            "plain": (images, "in order")}
    for name, (payloads, index) in sets.items():
        write(f"{root}/{name}", payloads, index, classes=13)
        done = pack(f"{root}/{name}", f"{root}/{name}-out")
        claim(done.returncode == 0 and "bad pictures: 0" in done.stdout, f"{name}: {done.stderr}{done.stdout}")
        got = packed(f"{root}/{name}-out")
        claim(got[0] == want[0] and got[1] == want[1] == [0, 0, 0, 1, 1, 2, 2, 2, 2, 3],
              f"{name}: names and persons {got[:2]}")
        claim(np.array_equal(got[2], want[2]), f"{name}: the same pixels as from files")
    # im2rec: keys from 0, no header, no index
    write(f"{root}/im2rec", [(k - 1, data) for k, data in images], None)
    done = pack(f"{root}/im2rec/train.rec", f"{root}/im2rec-out")
    got = packed(f"{root}/im2rec-out")
    claim(got[0][0] == "00/0.jpg" and got[1] == want[1] and np.array_equal(got[2], want[2]), f"im2rec: {got[:2]}")


def check_filters(root):
    source = f"{root}/indexed"
    with open(f"{root}/list", "w", encoding="ascii") as f:
        f.write("# who is in the test set\n0\r\n\n99\n")
    done = pack(source, f"{root}/f", "--min-pictures", "2", "--leave-out", f"{root}/list")
    claim("4 pictures; persons on the list: 1, with fewer than 2 pictures: 1" in done.stdout and
          "no person here has: 1" in done.stdout, f"filters are told: {done.stdout}{done.stderr}")
    claim(packed(f"{root}/f")[1] == [0, 0, 1, 1, 1, 1], "persons that stay are numbered from 0")
    done = pack(f"{root}/files", f"{root}/f2", "--format", "identity", "--leave-out", f"{root}/list")
    claim("left out with" not in done.stdout and "no person here has: 2" in done.stdout, "a folder's name is its name: 0 is not 00")
    refused(pack(source, f"{root}/f3", "--min-pictures", "9"), "no picture is left")
    refused(pack(source, f"{root}/f3", "--min-pictures", "2", "--format", "flat"), "--min-pictures leaves out persons")
    refused(pack(source, f"{root}/f3", "--leave-out", f"{root}/none"), "none")
    refused(pack(source, f"{root}/f", "--min-pictures", "3"), "another packed set")


def check_lies(root):
    images = [(i, payload(i % 3, draw(), i)) for i in range(6)]
    base = f"{root}/lies"
    places = write(base, images)
    rows = sorted(places.items())
    size = os.path.getsize(f"{base}/train.rec")

    def index(rows, *words):
        write_index(base, rows)
        refused(pack(base, f"{root}/l"), "train.idx:", *words)
    index(rows[:3] + [(3, size + 400)] + rows[4:], "record 3", "the file ends before it")
    index(rows[:3] + [(3, places[3] + 4)] + rows[4:], "record 3", "no record begins here")
    index(rows[:3] + [(3, places[3] + 1)] + rows[4:], "record 3", "no record begins here")
    index(rows + [(2, 0)], "record 2 was named in line 3")
    index(rows + [(7, places[2])], "record 7 lies where line 3")
    write_index(base, rows[:4])
    done = pack(base, f"{root}/l")
    claim("belong to no record" in done.stderr and len(packed(f"{root}/l")[0]) == 4, f"unnamed bytes: {done.stderr}")
    with open(f"{base}/train.idx", "wb") as f:
        f.write(b"0\t0\n\0\xff\n")
    refused(pack(base, f"{root}/l2"), "train.idx: is no text")
    write_index(base, rows)
    for text in ("x,112,112", "", "0,112,112"):
        with open(f"{base}/property", "w", encoding="ascii") as f:
            f.write(text)
        refused(pack(base, f"{root}/l2"), "property:1: does not begin with the number of classes")
    os.remove(f"{base}/property")
    # cut short: with the index it is told; without one, what is whole is packed
    with open(f"{base}/train.rec", "r+b") as f:
        f.truncate(places[5] + 100)
    refused(pack(base, f"{root}/l2"), "train.idx:6: record 5", "the file ends within this record")
    with open(f"{base}/train.rec", "r+b") as f:
        f.seek(places[2])
        f.write(b"oops")
    os.remove(f"{base}/train.idx")
    done = pack(base, f"{root}/l2")
    bad = bad_list(f"{root}/l2")
    claim(len(packed(f"{root}/l2")[0]) == 4 and len(bad) == 2 and
          "no record begins here; %d bytes" % (places[3] - places[2]) in bad[f"train.rec/byte {places[2]}"] and
          "the file ends within this record" in bad[f"train.rec/byte {places[5]}"], f"salvage: {bad}, {done.stderr}")
    refused(pack(base, f"{root}/l3", "--on-bad", "stop"), "train.rec/byte")
    os.truncate(f"{base}/train.rec", 0)
    refused(pack(base, f"{root}/l3"), "holds no picture")


def check_labels(root):
    labels = [1.0, math.nan, -1.0, 0.5, 5.0, math.inf, 2.0 ** 25, 4.0]
    images = [(i, payload(label, draw(), i)) for i, label in enumerate(labels)]
    images += [(8, payload(0, b"", 8)), (9, payload(0, b"", 9, (1.0, 2.0))), (10, payload(2, b"not a picture", 10))]
    write(f"{root}/labels", images, classes=5)
    done = pack(f"{root}/labels", f"{root}/b")
    bad = bad_list(f"{root}/b")
    claim(packed(f"{root}/b")[0] == ["1/00.jpg", "4/07.jpg"] and packed(f"{root}/b")[1] == [0, 2], "good labels stay")
    wanted = {"train.rec/1": "label nan", "train.rec/2": "label -1", "train.rec/3": "label 0.5",
              "train.rec/4": "property says 5 classes", "train.rec/5": "label inf", "train.rec/6": "label 3.35544e+07",
              "train.rec/8": "holds no picture", "train.rec/9": "holds no picture", "2/10.jpg": ""}
    claim(set(bad) == set(wanted) and all(wanted[k] in bad[k] for k in bad), f"bad labels: {bad} {done.stderr}")


def check_ranks_and_resume(root):
    images = [(i, payload(i // 10, draw(), i)) for i in range(400)]
    source, options = f"{root}/many", ("--shard-size", "20", "--threads", "1", "--split", "val=0.2")
    write(source, images, "reversed")
    golden = f"{root}/golden"
    claim(pack(source, golden, *options).returncode == 0, "many records are packed")
    names = sorted(os.listdir(golden))
    for ranks, kill in ((2, False), (1, True), (2, True)):
        out = f"{root}/out"
        command = [*(["mpirun", "-n", str(ranks)] if ranks > 1 else []), FACET, "pack", source, "-o", out, "--size",
                   "32", "--quiet", *options]
        if kill:
            job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while job.poll() is None and not any(n.endswith(".done.tmp") for n in
                                                 (os.listdir(out) if os.path.isdir(out) else [])):
                time.sleep(0.001)
            job.send_signal(signal.SIGTERM)
            job.wait()
        done = pack(source, out, *options, ranks=3 - ranks)
        claim(done.returncode == 0 and sorted(os.listdir(out)) == names and
              filecmp.cmpfiles(golden, out, names, shallow=False)[0] == names,
              f"{ranks} ranks, stopped {kill}: the same bytes: {done.stderr}")
        subprocess.run(["rm", "-rf", out], check=True)
    # another .rec under the same name is not taken for the one that was begun
    with open(f"{source}/train.rec", "ab") as f:
        f.write(b"\0\0\0\0")
    refused(pack(source, golden, *options), "another packed set")


with tempfile.TemporaryDirectory() as folder:
    check_against_folders(folder)
    check_filters(folder)
    check_lies(folder)
    check_labels(folder)
    check_ranks_and_resume(folder)
sys.exit(failed)
