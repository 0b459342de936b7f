# SPDX-License-Identifier: Apache-2.0
"""facet pack reads landmarks in pixels from csv, detectors' lists, .pts and .npy, five or ten of 68, and says in one
line what is wrong with a file that it cannot read."""
import io
import os
import sys
import tempfile

import numpy as np
from PIL import Image

from align_numpy import FAILED, claim, five_of, pack, refused, rows, ten_of

rng = np.random.default_rng(9)
SIZES = {"a/1.png": (80, 60), "a/2.png": (640, 400), "b/1.jpg": (901, 703), "b/3.jpg": (50, 90)}


def draw(folder):
    for name, (w, h) in SIZES.items():
        os.makedirs(os.path.dirname(f"{folder}/{name}"), exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (h, w, 3), np.uint8)).save(f"{folder}/{name}")


def written(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())
    return path


def npy(array, **options):
    data = io.BytesIO()
    np.save(data, array, **options)
    return data.getvalue()


def pts(points):
    lines = [f"{x + 1:.6f} {y + 1:.6f}" for x, y in points]
    return f"version: 1\nn_points:  {len(points)}\n{{\n" + "\n".join(lines) + "\n}\n"


def check(folder, target, want, *options, size=None):
    """want: points in pixels of the picture by name, None for no face."""
    pack(folder, target, "--format", "flat", "--size", "32", "--fit", "stretch", *options)
    got, _ = rows(f"{target}/train.h5")
    for name, row in got.items():
        p = want.get(name)
        claim(row["landmarks_valid"] == (p is not None), f"{options} {name}: landmarks valid")
        if p is not None:
            p = np.asarray(p) / (size or SIZES[name])
            claim(row["landmarks"].shape == p.shape and np.abs(row["landmarks"] - p).max() < 1e-5,
                  f"{options} {name}: {row['landmarks']} for {p}")


def check_csv(folder, root, all68):
    head = "image_name," + ",".join(f"part_{k // 2}_{'xy'[k % 2]}" for k in range(136))
    bare = "," + ",".join(str(k) for k in range(136))
    line = {n: ",".join(f"{x:.4f}" for x in p.ravel()) for n, p in all68.items()}
    five = {n: five_of(p) for n, p in all68.items()}
    text = head + "\r\n" + "".join(f'"{n}",{v}\r\n' for n, v in line.items())
    check(folder, f"{root}/csv", five, "--landmarks", written(f"{root}/68.csv", text))
    check(folder, f"{root}/csv10", {n: ten_of(p) for n, p in all68.items()}, "--landmarks", f"{root}/68.csv", "--points",
          "10")
    text = bare + "\n" + "".join(f"{n},{v}\n" for n, v in list(line.items())[:2]) + "\nb/1.jpg" + "," * 136 + "\n"
    check(folder, f"{root}/bare", dict(list(five.items())[:2]), "--landmarks", written(f"{root}/bare.csv", text))
    for n, (why, text) in enumerate({
            "has 3 columns behind the picture's": "path,a,b,c\n",
            ":2: 1 of its 136 numbers are missing": head + "\na/1.png," + line["a/1.png"].rsplit(",", 1)[0] + ",nan\n",
            ":2: 135 numbers where the header names 136": head + "\na/1.png," + line["a/1.png"].rsplit(",", 1)[0] + "\n",
            ":2: 137 numbers where the header names 136": head + "\na/1.png," + line["a/1.png"] + ",1\n",
            ":3: column 137: \"4x\" is no number": head + "\n\na/1.png," + line["a/1.png"].rsplit(",", 1)[0] + ",4x\n",
            "is empty": "",
            ":1: is a row of \"a/1.png\", where a header belongs": "a/1.png," + line["a/1.png"],
            ":2: a quoted field does not end": head + "\n\"a/1.png," + line["a/1.png"],
            "which is no pixel": head + "\na/1.png," + line["a/1.png"].rsplit(",", 1)[0] + ",1e30\n",
            "holds a zero byte": head + "\n\0",
            "is named twice": head + ("\na/1.png," + line["a/1.png"]) * 2,
    }.items()):
        refused(1, why, folder, f"{root}/no", "--format", "flat", "--landmarks", written(f"{root}/bad{n}.csv", text))


def check_list(folder, root, five):
    five = {n: np.array([[float(f"{x:.3f}") for x in xy] for xy in p]) for n, p in five.items()}
    text = "".join(n + "\t" + "\t".join(f"{x:.3f}" for x in p.ravel()) + "\n" for n, p in five.items())
    check(folder, f"{root}/list", five, "--landmarks",
          written(f"{root}/list.txt", text))
    # Points of 100x50 pictures, whatever the size of those at hand.
    check(folder, f"{root}/sized", five, "--landmarks", f"{root}/list.txt",
          "--landmarks-size", "1000x800", size=(1000, 800))
    refused(1, ":1: 9 numbers behind the picture's name", folder, f"{root}/no", "--landmarks",
            written(f"{root}/bad.txt", "a/1.png 1 2 3 4 5 6 7 8 9\n"), "--format", "flat")
    refused(2, "is not WIDTHxHEIGHT", folder, f"{root}/no", "--landmarks", f"{root}/list.txt", "--landmarks-size", "250")
    check(folder, f"{root}/marked", five, "--landmarks", written(f"{root}/marked.txt", "\ufeff" + text))
    # Points of pictures twice as large: no single one is impossible, together they are told.
    half = "".join(n + "\t" + "\t".join(f"{2 * x:.3f}" for x in p.ravel()) + "\n" for n, p in five.items())
    for options, is_told in ((("--landmarks", written(f"{root}/half.txt", half)), True), (("--landmarks", f"{root}/list.txt"), False)):
        done = pack(folder, f"{root}/half{is_told}", "--format", "flat", "--align", "arcface", *options)
        claim(("have some outside of the picture" in done.stderr) == is_told, f"{options}: {done.stderr}")
    os.mkfifo(f"{root}/pipe.json")
    refused(1, "is not a regular file", folder, f"{root}/no", "--format", "flat", "--landmarks", f"{root}/pipe.json")
    refused(1, "is not a regular file", folder, f"{root}/no", "--format", "expression", "--class-map", f"{root}/pipe.json")
    written(f"{root}/unit.json", '{"a/1.png": [[0.1,0.1],[0.2,0.1],[0.2,0.2],[0.1,0.3],[0.2,0.3]]}')
    written(f"{root}/rest.txt", text.split("\n", 1)[1])
    refused(2, "its landmarks are pixels, those of the file before it are not", folder, f"{root}/no", "--format", "flat",
            "--landmarks", f"{root}/unit.json,{root}/rest.txt")


def check_folder(folder, root, all68):
    """.pts beside some pictures, .npy of several shapes and types beside others."""
    beside = f"{root}/beside"
    five = {n: five_of(p) for n, p in all68.items()}
    small = five["b/1.jpg"] * 0.2
    written(f"{beside}/a/1.pts", pts(all68["a/1.png"]))
    written(f"{beside}/a/2.npy", npy(np.asfortranarray(all68["a/2.png"].astype(">f4"))))
    written(f"{beside}/b/1.npy", npy(np.stack([small, five["b/1.jpg"]])))  # the larger face of two
    check(folder, f"{root}/beside_set", {k: v for k, v in five.items() if k != "b/3.jpg"}, "--landmarks", beside)
    written(f"{beside}/b/3.npy", npy(np.full((5, 2), np.nan)))
    check(folder, f"{root}/none_set", {k: v for k, v in five.items() if k != "b/3.jpg"}, "--landmarks", beside)
    written(f"{beside}/b/3.npy", npy(np.zeros((0, 5, 2))))
    check(folder, f"{root}/no_face_set", {k: v for k, v in five.items() if k != "b/3.jpg"}, "--landmarks", beside)
    whole = np.rint(all68["b/3.jpg"]).astype(np.int64)
    written(f"{beside}/b/3.npy", npy(whole))
    check(folder, f"{root}/whole_set", {**five, "b/3.jpg": five_of(whole)}, "--landmarks", beside)
    written(f"{beside}/b/3.npy", npy(all68["b/3.jpg"].reshape(-1)))
    check(folder, f"{root}/flat_set", five, "--landmarks", beside)
    stack = np.stack([five[n] for n in sorted(five)])
    check(folder, f"{root}/stack", five, "--landmarks", written(f"{root}/all.npy", npy(stack)))
    refused(1, "points of 3 pictures, but the folder has 4", folder, f"{root}/no", "--format", "flat", "--landmarks",
            written(f"{root}/three.npy", npy(stack[:3])))


def check_bad_arrays(folder, root, all68):
    good = npy(all68["a/1.png"])

    def header(text, data=b"\0" * 80):
        return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + data

    for n, (why, data) in enumerate({
            "is no .npy file": b"PK\3\4",
            ".npy of version 9": b"\x93NUMPY\x09\x00" + good[8:],
            "header of 118 bytes is cut off": good[:40],
            "header says more numbers": good[:-8],
            "header says 1088 bytes of numbers, 1096 follow": good + b"\0" * 8,
            "more numbers than its 80 bytes hold":
                header("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4)}"),
            "holds Python objects": npy(np.array([{}], object), allow_pickle=True),
            "records of several fields": npy(np.zeros(5, [("x", "f4"), ("y", "f4")])),
            "type <c16 is not read": npy(np.zeros((5, 2), complex)),
            "more than 4 dimensions": npy(np.zeros((1, 1, 1, 5, 2))),
            "shape (7, 2) is no face's": npy(np.zeros((7, 2))),
            "1 of its 10 numbers are NaN": npy(np.array([[1, 2]] * 4 + [[3, np.nan]])),
            "is too long": b"\x93NUMPY\x02\x00" + b"\xff\xff\xff\xff" + b"x" * 100,
            "lacks an entry": header("{'descr': '<f8', 'shape': (5, 2)}"),
            "has an entry too many": header("{'descr': '<f8', 'descr': '<f8', 'shape': (5, 2)}"),
            "has text behind it": header("{'descr': '<f8', 'fortran_order': False, 'shape': (5, 2)}; import os"),
    }.items()):
        beside = f"{root}/bad_npy{n}"
        written(f"{beside}/a/1.npy", data)
        refused(1, why, folder, f"{root}/no", "--format", "flat", "--landmarks", beside)
    text = pts(all68["a/1.png"])
    for n, (why, data) in enumerate({
            ":71: \"}\" is no number, at point 68 of 68": text.replace("68", "68", 1).rsplit("\n", 3)[0] + "\n}\n",
            "behind the last of 68 points": text.replace("}", "1 2\n}"),
            "version 1 with 67 points": text.replace(" 68", " 67"),
            "\"\" where version: belongs": "",
            "\"nan\" is no number, at point 1": "version: 1 n_points: 5 { nan 1",
    }.items()):
        beside = f"{root}/bad_pts{n}"
        written(f"{beside}/a/1.pts", data)
        refused(1, why, folder, f"{root}/no", "--format", "flat", "--landmarks", beside)
    os.symlink("/etc/passwd", f"{root}/bad_pts0/a/2.pts")
    written(f"{root}/bad_pts0/a/1.pts", text)
    refused(1, "symbolic link", folder, f"{root}/no", "--format", "flat", "--landmarks", f"{root}/bad_pts0")


with tempfile.TemporaryDirectory() as root:
    folder = f"{root}/in"
    draw(folder)
    all68 = {n: np.round((0.1 + 0.8 * rng.random((68, 2))) * s, 4) for n, s in SIZES.items()}
    check_csv(folder, root, all68)
    check_list(folder, root, {n: five_of(p) for n, p in all68.items()})
    check_folder(folder, root, all68)
    check_bad_arrays(folder, root, all68)
sys.exit(FAILED[0])
