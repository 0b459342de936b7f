# SPDX-License-Identifier: Apache-2.0
# facet inspect says of a packed set what h5py sees in it, and counts picture folders as the studies do.
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy as np

FACET = os.environ["FACET"]
MAKE = os.path.join(os.environ["FACET_BUILD"], "tests/unit/make_shard")
# 49,779 files in memory where there is such a folder
folder = tempfile.mkdtemp(prefix="facet-inspect-",
                          dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
wrong = []


def claim(what, ok):
    if not ok:
        wrong.append(what)
        print("FAILED:", what)


def inspect(*arguments):
    r = subprocess.run([FACET, "inspect", *arguments], capture_output=True, text=True)
    return r.returncode, r.stdout, r.stderr


def inspect_json(*arguments):
    code, out, err = inspect(*arguments, "--json")
    claim(f"{arguments}: exit 0 ({err})", code == 0)
    return json.loads(out)


def same_as_h5py(split, h):
    names = [n.decode() for n in h.attrs["class_names"]]
    expression, valid = h["expression"][:], h["landmarks_valid"][:]
    table = split["expression"]
    counts = [int((expression == k).sum()) for k in range(len(names))]
    claim("pictures", split["pictures"] == h["checksum"].shape[0])
    claim("size", (split["height"], split["width"]) == (h.attrs["height"], h.attrs["width"]))
    claim("class names", [c["name"] for c in table["classes"]] == names)
    claim("class counts", [c["pictures"] for c in table["classes"]] == counts)
    claim("without a class", table["unlabelled"] == int((expression < 0).sum()))
    claim("imbalance ratio", abs(table["imbalance_ratio"] - max(counts) / min(counts)) < 1e-6)
    claim("balanced line", abs(table["balanced_line"] - sum(counts) / len(counts)) < 1e-5)
    claim("shares", all(abs(c["percent"] - 100 * n / sum(counts)) < 1e-3
                        for c, n in zip(table["classes"], counts)))
    with_landmarks = [int(valid[expression == k].sum()) for k in range(len(names))]
    claim("coverage a class", [c["with_landmarks"] for c in table["classes"]] == with_landmarks)
    claim("coverage", split["with_landmarks"] == int(valid.sum()))
    claim("landmark names",
          split["landmarks"] == [n.decode() for n in h.attrs["landmark_names"]])
    units = h["action_units"][:]
    claim("action units", [(u["positive"], u["negative"], u["null"]) for u in split["action_units"]]
          == [(int((c > 0).sum()), int((c == 0).sum()), int((c < 0).sum())) for c in units.T])
    _, persons = np.unique(h["identity"][:], return_counts=True)
    claim("persons", [split["identity"][k] for k in ("persons", "least", "median", "most")]
          == [len(persons), persons.min(), sorted(persons)[len(persons) // 2], persons.max()])
    claim("valence", split["with_valence_arousal"]
          == int((~np.isnan(h["valence_arousal"][:])).all(axis=1).sum()))


def test_packed():
    packed = os.path.join(folder, "packed")
    os.mkdir(packed)
    for split, kind, n in (("train", "raw", 301), ("val", "jpeg", 50)):
        subprocess.run([MAKE, packed, split, kind, str(n)], check=True, capture_output=True)
    said = inspect_json(packed)
    claim("two splits", [s["split"] for s in said["splits"]] == ["train", "val"])
    for split in said["splits"]:
        path = glob.glob(os.path.join(packed, split["split"] + "-*.h5"))[0]
        with h5py.File(path) as h:
            same_as_h5py(split, h)
        claim("one shard alone", inspect_json(path)["splits"] == [split])
    code, out, _ = inspect(packed, "--au")
    claim("text names both splits", code == 0 and "train: 301 pictures" in out
          and "val: 50 pictures in 1 shard, 8x9 RGB, jpeg" in out)
    claim("text counts action units", "AU12" in out)
    claim("low coverage is warned of", "only 66." in out)
    return packed


def test_verify(packed):
    code, out, _ = inspect(packed, "--verify")
    claim("whole: exit 0", code == 0 and "301 of 301 pictures are whole" in out
          and "50 of 50" in out)
    train = glob.glob(os.path.join(packed, "train-*.h5"))[0]
    val = glob.glob(os.path.join(packed, "val-*.h5"))[0]
    with h5py.File(train) as h, h5py.File(val) as j:
        spots = [(train, h["images"].id.get_offset() + 8 * 9 * 3 * row + 5) for row in (7, 300)]
        spots.append((val, j["bytes"].id.get_offset() + int(j["offset"][12]) + 3))
    for path, at in spots:
        with open(path, "r+b") as f:
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ 16]))
    code, out, err = inspect(packed, "--verify")
    claim("damaged: exit 1", code == 1 and "3 damaged" in err)
    for row in ("row 7 (\"folder/picture-00007.jpg\")", "row 300 (", "row 12 ("):
        claim("names " + row, row in out)
    code, out, _ = inspect(packed, "--verify", "--json")
    said = json.loads(out)
    claim("damaged rows in JSON", code == 1 and
          [[b["picture"] for b in s["bad"]] for s in said["splits"]] == [[7, 300], [12]])
    claim("without --verify the labels are shown", inspect(packed)[0] == 0)


def fill(where, n, suffix=".jpg"):
    os.makedirs(where, exist_ok=True)
    for i in range(n):
        os.close(os.open(os.path.join(where, f"{i}{suffix}"), os.O_CREAT | os.O_WRONLY))


def test_study_counts():
    raw = os.path.join(folder, "fer")
    counts = {"angry": 5920, "disgust": 5920, "fear": 5920, "happy": 11398, "neutral": 8166,
              "sad": 6535, "surprise": 5920}
    for name, n in counts.items():
        fill(os.path.join(raw, name), n)
    code, out, _ = inspect(raw)
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.split()}
    claim("happy 11,398, 22.9 %, 14.3 % expected", lines["happy"] == ["11398", "22.9%", "14.3%"])
    claim("neutral", lines["neutral"] == ["8166", "16.4%", "14.3%"])
    claim("sad", lines["sad"] == ["6535", "13.1%", "14.3%"])
    claim("angry", lines["angry"] == ["5920", "11.9%", "14.3%"])
    claim("all", lines["all"] == ["49779"])
    claim("imbalance 1.93, balanced line 7111.3",
          code == 0 and "imbalance ratio 1.93" in out and "balanced line 7111.3" in out)


def test_folders():
    raw = os.path.join(folder, "raw")
    fill(os.path.join(raw, "train", "Happiness"), 3, ".JPG")
    fill(os.path.join(raw, "train", "happy"), 2, ".png")
    fill(os.path.join(raw, "train", "fearful"), 1, ".txt")
    fill(os.path.join(raw, "train", "fearful", "deeper"), 1, ".bmp")
    fill(os.path.join(raw, "val", "sad"), 4)
    fill(os.path.join(raw, "val", "fear"), 0)
    said = inspect_json(raw)
    train, val = said["splits"]
    claim("aliases add up",
          {c["name"]: c["pictures"] for c in train["expression"]["classes"] if c["pictures"]}
          == {"happy": 5, "fear": 1})
    claim("other files", said["other_files"] == 1)
    claim("an empty class has no ratio", val["expression"]["imbalance_ratio"] is None)
    claim("in words it is inf", "imbalance ratio inf" in inspect(raw)[1])
    numbers = os.path.join(folder, "numbers")
    for k in range(8):
        fill(os.path.join(numbers, str(k)), k + 1)
    table = inspect_json(numbers)["splits"][0]["expression"]["classes"]
    claim("numbers are AffectNet's", [(c["name"], c["pictures"]) for c in table] == [
        (n, k + 1) for k, n in enumerate("neutral happy sad surprise fear disgust anger contempt"
                                         .split())])
    mapped = inspect_json(numbers, "--class-map", ",".join(
        f"{k}={'happy' if k == 3 else 'sad'}" for k in range(8)))["splits"][0]["expression"]
    claim("a class map", {c["name"]: c["pictures"] for c in mapped["classes"] if c["pictures"]}
          == {"happy": 4, "sad": 32})
    fill(os.path.join(raw, "train", "hapyness"), 2)
    code, _, err = inspect(raw)
    claim("an unknown folder is an error that names the nearest",
          code == 2 and "hapyness" in err and "happiness" in err)
    people = os.path.join(folder, "people")
    for i, n in enumerate((1, 5, 2, 9)):
        fill(os.path.join(people, f"{i:07d}"), n)
    claim("persons", inspect_json(people)["splits"][0]["identity"]
          == {"persons": 4, "pictures": 17, "least": 1, "median": 5, "most": 9})


def test_label_files():
    drawn = os.path.join(folder, "drawn")
    subprocess.run([FACET, "synth", "-o", drawn, "--expression", "64", "--size", "32", "--quiet"],
                   check=True, capture_output=True)
    faces, packed = os.path.join(drawn, "expression"), os.path.join(folder, "drawn-packed")
    cache, units = faces + "_landmarks.json", faces + "_au.csv"
    with open(cache) as f:
        points = json.load(f)
    dropped = [k for k in points if "happy" in k][:3]
    with open(cache, "w") as f:
        json.dump({k: v for k, v in points.items() if k not in dropped}, f)
    subprocess.run([FACET, "pack", faces, "-o", packed, "--size", "32", "--landmarks", cache,
                    "--au", units], check=True, capture_output=True)
    before = inspect_json(faces, "--landmarks", cache, "--au-file", units)["splits"][0]
    after = inspect_json(packed)["splits"][0]
    with h5py.File(glob.glob(os.path.join(packed, "train-*.h5"))[0]) as h:
        claim("coverage of happy", int(h["landmarks_valid"][:].sum()) == 64 - 3)
    for what in ("pictures", "expression", "with_landmarks", "action_units"):
        claim(f"the folder and its packed set have the same {what}", before[what] == after[what])
    claim("happy lacks three", [c["without_landmarks"] for c in before["expression"]["classes"]
                                if c["name"] == "happy"] == [3])


def test_real_faces():
    faces = os.path.join(os.environ.get("FACET_DATA", ""), "fer2013")
    if not os.path.isdir(faces):
        print("no real faces: FACET_DATA is not set; the drawn ones stand in")
        return
    packed = os.path.join(folder, "real")
    subprocess.run([FACET, "pack", faces, "-o", packed, "--size", "48"], check=True,
                   capture_output=True)
    before, after = inspect_json(faces)["splits"], inspect_json(packed)["splits"]
    claim("real faces: folder and packed set agree",
          [s["expression"] for s in before] == [s["expression"] for s in after])
    claim("real faces are whole", inspect(packed, "--verify")[0] == 0)


def test_wrong_use():
    empty = os.path.join(folder, "empty")
    os.mkdir(empty)
    claim("an empty folder", inspect(empty)[0] == 1 and "no pictures" in inspect(empty)[2])
    claim("no such path", inspect("/nonexistent")[0] == 1)
    claim("no path", inspect()[0] == 2)
    claim("unknown option", inspect(empty, "--verfy")[0] == 2
          and "--verify" in inspect(empty, "--verfy")[2])
    claim("help", inspect("--help")[0] == 0 and "--verify" in inspect("--help")[1])


try:
    test_verify(test_packed())
    test_study_counts()
    test_folders()
    test_label_files()
    test_real_faces()
    test_wrong_use()
finally:
    shutil.rmtree(folder)
print(f"{len(wrong)} claims failed")
sys.exit(1 if wrong else 0)
