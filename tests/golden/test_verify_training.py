# SPDX-License-Identifier: Apache-2.0
"""eval.verify: verification.csv says of each step what facet verify says of that step's checkpoint; a run that was
stopped, within an epoch or while it verified, ends with the same table; checkpoint.best=verification marks the step
with the best accuracy."""
import csv
import glob
import json
import os
import pickle
import random

from golden import SMALL, data, facet, last_step, same_bits, workspace

EVERY = 4  # steps; an epoch has 5


def make_bins(top):
    """Drawn persons, 30 pairs of each kind in turn; and one pair."""
    facet("synth", "-o", os.path.join(top, "drawn"), "--expression", 0, "--identities", 8, "--per-identity", 4, "--size", 32)
    people = [sorted(glob.glob(os.path.join(p, "*"))) for p in sorted(glob.glob(os.path.join(top, "drawn", "identity", "*")))]
    draw, pictures, flags = random.Random(2), [], []
    for i in range(60):
        a, b = draw.sample(people, 2)
        both = [draw.choice(a), draw.choice(b)] if i % 2 else draw.sample(a, 2)
        pictures += [open(p, "rb").read() for p in both]
        flags.append(i % 2 == 0)
    paths = []
    for name, n in (("drawn.bin", 60), ("one.bin", 1)):
        paths.append(os.path.join(top, name))
        with open(paths[-1], "wb") as file:
            pickle.dump((pictures[:2 * n], flags[:n]), file, protocol=4)
    return paths


def rows(run, file="verification.csv"):
    with open(os.path.join(run, file)) as f:
        return list(csv.DictReader(f))


def best_step(run):
    return int(open(os.path.join(run, "checkpoints", "best")).readline().split("_")[1])


def as_verify_says(run, sets):
    """Of every checkpoint that is left."""
    checked = 0
    for step in sorted(glob.glob(os.path.join(run, "checkpoints", "step_*"))):
        for path in sets:
            _, out, _ = facet("verify", step, path, "--json", "--batch", 12, "--threads", 1)
            got = json.loads(out)
            row = [r for r in rows(run) if int(r["step"]) == int(step[-8:]) and r["set"] == os.path.basename(path)]
            assert len(row) == 1, (step, row)
            for key in ("accuracy", "std", "threshold", "xnorm", "auc", "eer", "tar_1e-1", "tar_1e-2", "best_accuracy", "pairs"):
                want = got[key]
                assert row[0][key] == "" if want is None else abs(float(row[0][key]) - want) <= 1e-6 * abs(want), (key, row, got)
            checked += 1
    assert checked >= 4, checked


def unreadable(top, train, sets, whole):
    """A set with a damaged picture is told of at each of its times, by name; the training and the other set go on."""
    with open(sets[0], "rb") as file:
        pictures, flags = pickle.load(file)
    pictures[70] = pictures[70][:60] + b"no more of a picture"
    bad = os.path.join(top, "bad.bin")
    with open(bad, "wb") as file:
        pickle.dump((pictures, flags), file, protocol=4)
    run, err = train("unreadable", "eval.verify=%s,%s" % (bad, sets[1]))
    assert err.count("bad.bin is not verified: ") == 4 and "(of pair 35)" in err and "training goes on" in err, err
    assert [r["step"] for r in rows(run)] == ["4", "5", "8", "10"] and {r["set"] for r in rows(run)} == {"one.bin"}
    assert [r["verify_acc"] for r in rows(run, "metrics.csv")] == ["", ""]
    assert same_bits(last_step(whole), last_step(run), skip=("train/best", "meta/config", "history/metrics.csv", "train/seconds")) == []
    assert not os.path.exists(os.path.join(run, "checkpoints", "best"))


def judged_anew(packed, train, whole):
    """Resumed with another judge: a loss does not compare with an accuracy, so the next evaluation is the best."""
    run, _ = train("judge", "checkpoint.best=landmarks", "--stop-after", 7, want=75)
    assert best_step(run) == 5
    _, err = train("judge", "checkpoint.best=loss", "--resume", run)
    assert "the best one is looked for anew" in err and best_step(run) == 10, err


def main():
    packed = data()
    with workspace() as top:
        sets = make_bins(top)

        def train(folder, *more, env=None, want=0):
            run = os.path.join(top, folder)
            _, _, err = facet("train", *SMALL, "optim.ema=0.9", "data.path=" + packed, "eval.verify=" + ",".join(sets),
                              "checkpoint.keep=9", "checkpoint.best=verification", f"eval.verify_every={EVERY}", "run.dir=" + run, *more,
                              ranks=2, env=env, want=want)
            return run, err

        whole, err = train("whole", "checkpoint.every_steps=4")
        table = rows(whole)
        assert [(r["step"], r["epoch"], r["set"]) for r in table] == [
            (s, e, n) for s, e in (("4", "1"), ("5", "1"), ("8", "2"), ("10", "2")) for n in ("drawn.bin", "one.bin")], table
        assert "step 4: drawn.bin: accuracy 0." in err and " val_verify: 0." in err, err
        epochs = {r["epoch"]: float(r["accuracy"]) for r in table if r["set"] == "drawn.bin" and r["step"] in ("5", "10")}
        assert [float(m["verify_acc"]) for m in rows(whole, "metrics.csv")] == [float("%.9g" % (100 * epochs[e])) for e in ("1", "2")]
        assert best_step(whole) == (10 if epochs["2"] > epochs["1"] else 5), epochs
        as_verify_says(whole, sets)

        cut, _ = train("cut", "--stop-after", 7, want=75)
        train("cut", "--resume", cut)
        assert rows(cut) == table and same_bits(last_step(whole), last_step(cut)) == []
        # looks of a run: step 4's sets, epoch 1's pictures, its sets: the second set's look is the fifth
        cut, _ = train("asked", env={"FACET_FAULT": "evaluate.stop:5:rank1"}, want=75)
        assert [r["step"] for r in rows(cut)] == ["4", "4"], rows(cut)
        train("asked", "--resume", cut)
        assert rows(cut) == table and same_bits(last_step(whole), last_step(cut)) == []

        # stopped before the step's verification: it is made up for
        cut, _ = train("due", "--stop-after", 4, want=75)
        assert not os.path.exists(os.path.join(cut, "verification.csv"))
        train("due", "--resume", cut)
        assert rows(cut) == table and same_bits(last_step(whole), last_step(cut)) == []
        unreadable(top, train, sets, whole)
        judged_anew(packed, train, whole)
        train("heart", "--overfit", 8, "--dry-run") # no pairs are verified then, and none are missed

        code, _, err = facet("train", *SMALL, "data.path=" + packed, "checkpoint.best=verification", "run.dir=" + top + "/no", want=None)
        assert code == 2 and "eval.verify names no set" in err, err
        code, _, err = facet("train", *SMALL, "data.path=" + packed, "eval.verify=" + packed, "run.dir=" + top + "/no", want=None)
        assert code == 2 and "which pictures are to be compared?" in err, err


main()
