# SPDX-License-Identifier: Apache-2.0
"""facet pack reads AffectNet as it is given out, made here of drawn faces: images beside annotations of .npy, and
lists in csv of faces in larger pictures."""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

from align_numpy import FACET, FAILED, bad_list, claim, five_of, pack, refused, rows, template, umeyama, warp

rng = np.random.default_rng(2)
NAMES = ["neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"]
SIDE = 96


def points68(ten):
    """68 points whose five are the drawn face's: the others lie where nothing looks."""
    p = np.full((68, 2), 7.0)
    p[36:39], p[39:42], p[42:45], p[45:48] = ten[0], ten[1], ten[2], ten[3]
    p[30], p[33], p[48], p[54], p[51], p[57] = ten[4:]
    return p


def draw(root):
    subprocess.run([FACET, "synth", "-o", f"{root}/drawn", "--expression", "36", "--identities", "1", "--per-identity", "1",
                    "--landmarks", "10", "--layout", "numeric", "--difficulty", "0.2", "--quiet"], check=True,
                   stdout=subprocess.DEVNULL)
    with open(f"{root}/drawn/expression_landmarks.json", encoding="utf-8") as f:
        cache = json.load(f)
    faces = []
    for n, (path, ten) in enumerate(sorted(cache.items())):
        faces.append({"n": n, "from": f"{root}/drawn/{path}", "expression": int(path.split("/")[1]), "none": 0,
                      "points": points68(np.array(ten) * SIDE), "val": round(rng.uniform(-1, 1), 4),
                      "aro": round(rng.uniform(-1, 1), 4)})
    for f, e in zip(faces[5:15:2], (8, 9, 9, 10, 8)):
        f["expression"], f["val"], f["aro"] = e, -2, -2
    faces[3]["val"] = -2
    return faces


def set_of(face):
    return "val_set" if face["n"] % 4 == 3 else "train_set"


def save_arrays(root, faces):
    for s in ("train_set", "val_set"):
        for part in ("images", "annotations"):
            os.makedirs(f"{root}/{s}/{part}")
    for f in faces:
        base = f"{root}/{set_of(f)}"
        with open(f["from"], "rb") as src, open(f"{base}/images/{f['n']}.jpg", "wb") as dst:
            dst.write(src.read())
        kept = f"{base}/annotations/{f['n']}_"
        # Text and numbers: both are found in the releases.
        np.save(kept + "exp.npy", np.array(str(f["expression"])) if f["n"] % 2 else np.int64(f["expression"]))
        np.save(kept + "val.npy", np.array(str(f["val"])) if f["n"] % 3 else np.float64(f["val"]))
        np.save(kept + "aro.npy", np.array(str(f["aro"])) if f["n"] % 3 else np.float64(f["aro"]))
        if f["n"] != 20:
            np.save(kept + "lnd.npy", f["points"].reshape(-1))


def spoil(root, faces):
    """A picture without expression, one with objects, one with a number too large, one in no set, a torn array."""
    bad = [f for f in faces if f["expression"] < 8 and f["n"] >= 24][:4]
    kept = [f"{root}/{set_of(f)}/annotations/{f['n']}_" for f in bad]
    os.remove(kept[0] + "exp.npy")
    np.save(kept[1] + "lnd.npy", np.array([{}], object), allow_pickle=True)
    np.save(kept[2] + "exp.npy", np.int64(11))
    with open(kept[3] + "aro.npy", "rb+") as f:
        f.truncate(130)
    Image.new("RGB", (9, 9)).save(f"{root}/stray.png")
    for f in bad:
        f["bad"] = f"{set_of(f)}/images/{f['n']}.jpg"
    return [(bad[0]["bad"], "_exp.npy: is not there or not a number"), (bad[1]["bad"], "holds Python objects"),
            (bad[2]["bad"], "expression 11 is none of 0 .. 10"), (bad[3]["bad"], "is cut off"),
            ("stray.png", "lies in no class folder")]


def check_labels(got, attributes, want, name_of):
    claim([n.decode() for n in attributes["class_names"]] == NAMES, "AffectNet's classes in its order")
    claim(set(got) == {name_of(f) for f in want}, f"the pictures with an expression are there: {sorted(got)}")
    for f in want:
        row = got.get(name_of(f))
        if row is None:
            continue
        claim(row["expression"] == f["expression"], f"{name_of(f)}: expression")
        affect = np.array([np.nan if x == -2 else x for x in (f["val"], f["aro"])], np.float32)
        claim(np.array_equal(row["valence_arousal"], affect, equal_nan=True),
              f"{name_of(f)}: {row['valence_arousal']} for {affect}")


def check_arrays(root, faces):
    folder = f"{root}/arrays"
    save_arrays(folder, faces)
    reasons = spoil(folder, faces)
    counts = [sum(f["expression"] == e for f in faces) for e in (8, 9, 10)]
    good = [f for f in faces if f["expression"] < 8 and "bad" not in f]
    for options in ([], ["--format", "affectnet"]):
        done = pack(folder, f"{root}/a{len(options)}", "--size", "48", *options)
        claim("left out by their expression: 5 pictures (none %d, uncertain %d, no face %d)" % tuple(counts) in done.stdout,
              f"dropped and counted: {done.stdout}")
        claim("other files" not in done.stdout, f"annotations are no foreign files: {done.stdout}")
        listed = bad_list(f"{root}/a{len(options)}")
        for path, why in reasons:
            claim(any(path in line and why in line for line in listed.split("\n")), f"{path}: {why} is in {listed}")
    told = subprocess.run([FACET, "inspect", folder], capture_output=True, text=True).stdout
    claim("surprise" in told and "person" not in told and "5 points" in told, f"inspect knows the set: {told}")
    for s in ("train", "val"):
        got, attributes = rows(f"{root}/a0/{s}.h5")
        check_labels(got, attributes, [f for f in good if set_of(f) == s + "_set"],
                     lambda f: f"{set_of(f)}/images/{f['n']}.jpg")
        for f in good:
            row = got.get(f"{set_of(f)}/images/{f['n']}.jpg")
            if row is not None and f["n"] == 20:
                claim(row["landmarks_valid"] == 0, "no _lnd.npy, no landmarks")
            elif row is not None:
                claim(np.abs(row["landmarks"] - five_of(f["points"]) / SIDE).max() < 1e-5, "five of 68 landmarks")
    done = pack(f"{folder}/train_set", f"{root}/part", "--size", "48", "--split", "val=0.5", "--class-map",
                "0=neutral,1=happy,2=sad,3=surprise,4=fear,5=disgust,6=anger,7=null")
    got, attributes = rows(f"{root}/part/val.h5")
    claim([n.decode() for n in attributes["class_names"]] ==
          ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"] and len(got) > 5, "seven classes by a map")
    refused(2, "holds neither images/ beside annotations/", f"{root}/drawn/expression", f"{root}/no", "--format",
            "affectnet")
    return good


def place(face, folder):
    """The face somewhere in a larger picture, and where it is."""
    n = face["n"]
    left, top = 20 + n, 31 - n % 7
    picture = Image.fromarray(rng.integers(0, 256, (150, 190, 3), np.uint8))
    picture.paste(Image.open(face["from"]), (left, top))
    face["name"] = f"{n % 3}/{n:04x}.png"
    os.makedirs(f"{folder}/Manually_Annotated_Images/{n % 3}", exist_ok=True)
    picture.save(f"{folder}/Manually_Annotated_Images/{face['name']}")
    face["box"] = (left, top, SIDE, SIDE)
    face["whole"] = face["points"] + [left, top]


def line_of(face):
    if face["expression"] == 10:
        return f"{face['name']},NULL,NULL,NULL,NULL,NULL,10,-2,-2"
    points = ";".join(f"{x:.2f}" for x in face["whole"].ravel())
    return ",".join(map(str, [face["name"], *face["box"], points, face["expression"], face["val"], face["aro"]]))


def check_lists(root, faces):
    folder = f"{root}/lists"
    for f in faces:
        place(f, folder)
    Image.new("RGB", (9, 9)).save(f"{folder}/Manually_Annotated_Images/0/unlisted.png")
    head = ("subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n")
    for name, part in (("training", [f for f in faces if f["n"] % 4 != 3]), ("validation", faces[3::4])):
        with open(f"{folder}/{name}.csv", "w", encoding="utf-8") as f:
            f.write(head + "".join(line_of(x) + "\n" for x in part))
            f.write(f"9/gone_{name}.png,1,2,3,4,,0,0,0\n")
    done = pack(folder, f"{root}/l", "--size", str(SIDE))
    for text in ("left out by their expression: 5 pictures", "left out since no list names them: 1 pictures",
                 "listed faces of no picture here: 2"):
        claim(text in done.stdout, f"{text} is told: {done.stdout}")
    good = [f for f in faces if f["expression"] < 8]
    pack(folder, f"{root}/la", "--align", "arcface")
    with open(f"{folder}/validation.csv", encoding="utf-8") as f:
        text = f.read()
    with open(f"{folder}/validation.csv", "w", encoding="utf-8") as f:
        f.write("".join(sorted(text.removeprefix(head).splitlines(True), key=lambda line: "NULL" in line)))
    pack(folder, f"{root}/lb", "--size", str(SIDE))
    with open(f"{root}/l/val.h5", "rb") as a, open(f"{root}/lb/val.h5", "rb") as b:
        claim(a.read() == b.read(), "a list without a header has the official order")
    for s, part in (("train", [f for f in good if f["n"] % 4 != 3]), ("val", [f for f in good if f["n"] % 4 == 3])):
        got, attributes = rows(f"{root}/l/{s}.h5")
        check_labels(got, attributes, part, lambda f: "Manually_Annotated_Images/" + f["name"])
        aligned, _ = rows(f"{root}/la/{s}.h5")
        for f in part:
            row = got["Manually_Annotated_Images/" + f["name"]]
            claim((row["images"] == np.asarray(Image.open(f["from"]))).all(), f"{f['name']}: the face's box is cut out")
            claim(np.abs(row["landmarks"] - five_of(f["points"]) / SIDE).max() < 1e-3, "landmarks are the box's")
            whole = np.asarray(Image.open(f"{folder}/Manually_Annotated_Images/{f['name']}"))
            five = np.float32(five_of(np.array([[float(f"{x:.2f}") for x in p] for p in f["whole"]]))).astype(float)
            want = warp(whole, umeyama(five, template(112)), 112)
            off = np.abs(aligned["Manually_Annotated_Images/" + f["name"]]["images"].astype(int) - want)
            claim((off > 0).mean() < 1e-3 and off.max() <= 8, f"{f['name']}: aligned in the whole picture, {off.max()}")
    return folder, head, good


def check_bad_lists(root, folder, head, face):
    os.remove(f"{folder}/validation.csv")
    fields = line_of(face).split(",")

    def swapped(column, text):
        return head + "\n" + ",".join(fields[:column] + [text] + fields[column + 1:]) + "\n"

    for why, text in {
            "training.csv:1: has no column expression": head.replace("expression", "expr"),
            "training.csv:3: expression 11 is none": swapped(6, "11"),
            "training.csv:3: face_x \"x\" is no number": swapped(1, "x"),
            "training.csv:3: the face's box": swapped(3, ""),
            "box 20,": swapped(3, "0"),
            "training.csv:3: 2 numbers of landmarks": swapped(5, "1;2"),
            "landmark 0: \"a\" is no number": swapped(5, "a;2"),
            "training.csv:3: 5 is neither in -1 .. 1 nor -2 (none)": swapped(7, "5"),
            "training.csv:3: 8 fields where the header names 9": head + "\n" + ",".join(fields[:8]) + "\n",
            "training.csv:3: a quoted field does not end": head + "\n\"" + ",".join(fields),
            "face_width 1e+12 is no pixel": swapped(3, "1e12"),
    }.items():
        with open(f"{folder}/training.csv", "w", encoding="utf-8") as f:
            f.write(text)
        refused(1, why, folder, f"{root}/no", "--size", "48")
    with open(f"{folder}/training.csv", "w", encoding="utf-8") as f:
        f.write(swapped(1, "5000") + line_of({**face, "name": "1/0001.png"}) + "\n")
    pack(folder, f"{root}/outside", "--size", "48")
    claim("lies outside of its 190 x 150" in bad_list(f"{root}/outside"), "a box outside of its picture is told")


with tempfile.TemporaryDirectory() as root:
    faces = draw(root)
    check_arrays(root, faces)
    folder, head, good = check_lists(root, faces)
    check_bad_lists(root, folder, head, good[0])
sys.exit(FAILED[0])
