# SPDX-License-Identifier: Apache-2.0
# facet inspect of a run and of its checkpoints: what csv and h5py see there, and damage by name.
import csv
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
folder = tempfile.mkdtemp(prefix="facet-inspect-run-")
types = {"f32": "f4", "f64": "f8", "i64": "i8", "u8": "u1"}
wrong = []


def claim(what, ok):
    if not ok:
        wrong.append(what)
        print("FAILED:", what)


def facet(*arguments):
    r = subprocess.run([FACET, *arguments], capture_output=True, text=True)
    return r.returncode, r.stdout, r.stderr


def inspect_json(*arguments):
    code, out, err = facet("inspect", *arguments, "--json")
    claim(f"{arguments}: exit 0 ({err})", code == 0)
    return json.loads(out)


def train():
    data, run = os.path.join(folder, "data"), os.path.join(folder, "run")
    os.mkdir(data)
    for split in ("train", "val"):
        subprocess.run([MAKE, data, split, "raw", "8"], check=True, capture_output=True)
    code, _, err = facet("train", "model.backbone=resnet18", "model.embedding=8", "data.size=32",
                         "data.batch_size=4", "data.num_workers=1", "train.epochs=2",
                         "cluster.threads=1", "data.path=" + data, "run.dir=" + run)
    claim("trains: " + err[-500:], code == 0)
    return run


def test_run(run):
    said = inspect_json(run)
    with open(os.path.join(run, "metrics.csv")) as f:
        rows = list(csv.DictReader(f))
    claim("kind and epochs", said["kind"] == "run" and said["epochs"] == len(rows) == 2)
    claim("the last epoch's numbers", said["last_epoch"] == {
        k: float(v) if v else None for k, v in rows[-1].items()})
    best = max(rows, key=lambda r: float(r["val_expr_acc"]))
    claim("best epoch", said["best_epochs"]["val_expr_acc"]["value"] == float(best["val_expr_acc"])
          and said["best_epochs"]["val_expr_acc"]["epoch"] == float(best["epoch"]))
    steps = [n for n in sorted(os.listdir(os.path.join(run, "checkpoints"))) if n[:5] == "step_"]
    claim("checkpoints", [c["name"] for c in said["checkpoints"]] == steps)
    for pointer in ("last", "best"):
        with open(os.path.join(run, "checkpoints", pointer)) as f:
            claim(pointer, [c["name"] for c in said["checkpoints"] if c[pointer]] == [f.readline().strip()])
    claim("in words", "epochs done: 2" in facet("inspect", run)[1])


def test_identities():
    runs = [os.path.join(folder, name) for name in ("a", "b")]
    for run, best in zip(runs, ("90.25", "51")):
        os.mkdir(run)
        with open(os.path.join(run, "metrics.csv"), "w") as f:
            f.write(f"epoch,val_loss,val_identity_acc,verify_acc\n1,9,2,50\n2,8,30.5,{best}\n3,7,20,\n")
    table = facet("inspect", *runs)[1].splitlines()
    claim(f"identities in the table: {table}", "best id acc (epoch)  best verification (epoch)" in table[0]
          and "  30.5% (2) " in table[1] and "  90.25% (2) " in table[1] and "  51% (2) " in table[2])
    claim("of one run", "best verify_acc: 90.25 in epoch 2" in facet("inspect", runs[0])[1])


def test_checkpoint(run):
    said = inspect_json(os.path.join(run, "checkpoints", "last"))
    part = os.path.join(said["path"], "rank_0000.h5")
    seen = {}
    with h5py.File(part) as h:
        h.visititems(lambda name, d: seen.__setitem__(name, d) or None
                     if isinstance(d, h5py.Dataset) else None)
        listed = {t["name"]: t for t in said["tensors"]}
        claim("tensors by name", set(listed) == set(seen) and len(seen) > 100)
        claim("shapes", all(tuple(listed[n]["shape"]) == d.shape for n, d in seen.items()))
        claim("types", all(np.dtype(types[listed[n]["type"]]) == d.dtype for n, d in seen.items()))
        weight = "model/backbone.conv1.weight"
        at = seen[weight].id.get_offset()
    claim("step", said["step"] == int(os.path.basename(said["path"])[5:]))
    claim("in words", weight in facet("inspect", said["path"])[1])
    return part, at, weight


def test_damage(run, part, at, weight):
    step = os.path.dirname(part)
    code, out, _ = facet("inspect", run, "--verify")
    claim("whole", code == 0 and os.path.basename(step) + " (last)" in out and " whole" in out)
    with open(part, "r+b") as f:
        f.seek(at + 17)
        byte = f.read(1)[0]
        f.seek(at + 17)
        f.write(bytes([byte ^ 4]))
    code, _, err = facet("inspect", step)
    claim("a damaged tensor is named: " + err, code == 1 and weight in err and part in err)
    code, out, err = facet("inspect", run, "--verify")
    claim("a run's damaged checkpoint is named", code == 1 and "bad: " + part in out)
    shutil.copy(os.path.join(run, "metrics.csv"), os.path.join(folder, "kept"))
    with open(os.path.join(run, "metrics.csv"), "a") as f:
        f.write("3,1,2\n")
    code, _, err = facet("inspect", run)
    claim("a broken metrics.csv is named by line", code == 1 and "metrics.csv:4: 3 fields" in err)


try:
    test_identities()
    run = train()
    if not wrong:
        test_run(run)
        test_damage(run, *test_checkpoint(run))
finally:
    shutil.rmtree(folder)
print(f"{len(wrong)} claims failed")
sys.exit(1 if wrong else 0)
