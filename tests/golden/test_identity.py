# SPDX-License-Identifier: Apache-2.0
"""PK batches and ArcFace tell drawn persons apart; tables, predictions and `facet eval` agree; a resumed run has the same
bits, train.exact the same on every number of ranks; a bad step is named, a failing rank ends all; wrong use is refused."""
import csv
import json
import math
import os

from golden import arrays, column, data, facet, last_step, same_bits, workspace
from people import IDENTITY, people, table

PERSONS = 12


def check_learns(packed, top):
    run = os.path.join(top, "learns")
    _, _, err = facet("train", *IDENTITY, "data.path=" + packed, "run.dir=" + run, "train.epochs=14", "eval.every=14",
                      "loss.margin_ramp_epochs=4", "loss.margin=0.1", "optim.learning_rate=0.0005")
    assert "%d persons, arcface with margin 0.1 (whole after 4 epochs), head on every rank; 4 x 4 pictures" % PERSONS in err
    rows = table(run)
    last = rows[-1]
    first, acc, val = (float(x) for x in (rows[0]["train_identity_acc"], last["train_identity_acc"], last["val_identity_acc"]))
    print("identity accuracy of %d persons: training %.1f %% -> %.1f %%, others' pictures %.1f %%" % (PERSONS, first, acc, val))
    assert acc > 20 and val > 25 and "val_id_acc: %.4f" % (val / 100) in err
    margins = [float(r["margin"]) for r in rows[:5]]
    assert all(abs(m - 0.1 * s / 12) < 1e-8 for m, s in zip(margins, (2, 5, 8, 11, 12))), margins
    assert all(float(r["logit_spread"]) > 0 and r["triplet_loss"] == "" for r in rows)
    # what was written for each picture is what was counted, and what eval finds again on any number of ranks
    with open(os.path.join(run, "predictions", "val_epoch_014.csv")) as f:
        said = list(csv.DictReader(f))
    assert len(said) == 4 * PERSONS and all(r["path"].startswith(r["identity"] + "/") for r in said)
    right = sum(r["identity"] == r["predicted_identity"] for r in said)
    assert abs(100 * right / len(said) - val) < 1e-6, (right, val)
    scores = [json.loads(facet("eval", run, packed, "--json", ranks=n)[1]) for n in (1, 3)]
    for score in scores:
        assert abs(100 * score["identity_accuracy"] - val) < 1e-6, (score, val)
    assert "48 pictures of known persons, 12 persons: accuracy %.2f%%" % val in facet("eval", run, packed)[1]
    # the best is judged by the identities
    best = os.path.join(run, "checkpoints", "best")
    assert abs(float(arrays(last_step(run))["train/best"][0]) - val / 100) < 1e-9 and os.path.exists(best)
    # other persons are not classified
    other = people(4, 8, 9)
    _, out, err = facet("eval", run, other, "--json")
    assert "identity_accuracy" not in json.loads(out) and "shows none of the 12 persons" in err, (out, err)


def check_resume(packed, top):
    """The moving average, triplets, the margin's ramp and several tasks go on where they stood."""
    more = ["tasks.landmarks=true", "optim.ema=0.9", "loss.triplet_weight=0.5", "loss.margin_ramp_epochs=1.5",
            "train.accumulate=2", "model.sub_centres=2", "loss.identity=combined", "optim.clip_norm=20"]
    whole, cut = os.path.join(top, "whole"), os.path.join(top, "cut")
    for run in (whole, cut):
        facet("train", *IDENTITY, *more, "data.path=" + packed, "run.dir=" + run, "--stop-after", 1 if run == cut else 99,
              ranks=2, want=75 if run == cut else 0)
    facet("train", *IDENTITY, *more, "data.path=" + packed, "--resume", cut, ranks=2)
    assert same_bits(last_step(whole), last_step(cut)) == []
    names = arrays(last_step(whole))
    assert names["model/identity_head.weight"].shape == (2 * PERSONS, 32)
    assert bytes(names["meta/identity_names"]).rstrip(b"\0") == b"".join(b"%04d\n" % i for i in range(PERSONS))
    rows = table(whole)
    assert float(rows[0]["triplet_loss"]) > 0 and float(rows[0]["train_lm_loss"]) > 0, rows[0]
    assert float(rows[1]["margin"]) == 1 and float(rows[0]["margin"]) < 1
    _, _, err = facet("train", *IDENTITY, *more, "data.path=" + packed, "model.head=sharded", "--resume", cut, want=2)
    assert "model.head is not what it was" in err, err


def check_exact(packed, top):
    runs = []
    for ranks in (1, 2, 4):
        runs.append(os.path.join(top, "exact%d" % ranks))
        facet("train", *IDENTITY, "train.exact=true", "train.exact_shards=4", "train.epochs=1", "tasks.landmarks=true",
              "loss.use_uncertainty_weighting=auto_initial", "data.path=" + packed, "run.dir=" + runs[-1], ranks=ranks)
        assert same_bits(last_step(runs[0]), last_step(runs[-1])) == [], ranks
        assert table(runs[0])[0]["val_identity_loss"] == table(runs[-1])[0]["val_identity_loss"] != ""


def check_bad(packed, top):
    run = os.path.join(top, "bad")
    _, _, err = facet("train", *IDENTITY, "data.path=" + packed, "run.dir=" + run, "train.epochs=1", ranks=2,
                      env={"FACET_FAULT": "train.embedding:2:rank1"})
    assert "step 2 skipped: the gradient of backbone.conv1.weight and of " in err and err.count("bad loss: picture") == 1, err
    assert ", rank 1 on" in err and column(run, "skipped") == [0, 1, 0]
    head = arrays(last_step(run))["model/identity_head.weight"]
    assert all(math.isfinite(v) for v in head.ravel()) and float(table(run)[0]["train_identity_loss"]) > 0
    _, _, err = facet("train", *IDENTITY, "data.path=" + packed, "run.dir=" + run + "2", "loss.triplet_weight=1", ranks=3, want=None,
                      env={"FACET_FAULT": "train.head:2:rank1"}, timeout=120)
    assert "injected: the identity head failed" in err, err


def check_known(top):
    """Persons are known by source, number and name: a folder that was packed again in another state knows nobody."""
    drawn = os.path.join(top, "drawn")
    facet("synth", "-o", drawn, "--expression", 0, "--identities", 6, "--per-identity", 4, "--size", 48)

    def pack(name):
        facet("pack", os.path.join(drawn, "identity"), "-o", os.path.join(top, name), "--format", "identity", "--size", 32,
              "--split", "val=0.25")
        return os.path.join(top, name)

    def told(val):
        return facet("train", *IDENTITY, "data.path=" + first, "data.val_path=" + val, "--dry-run")[2]

    first, same = pack("first"), pack("same")
    assert "show others" not in told(first) and "show others" not in told(same)
    os.rename(os.path.join(drawn, "identity", "0004"), os.path.join(drawn, "identity", "0004b"))
    err = told(pack("renamed"))
    assert "person 4 of" in err and "is 0004b there and 0004 where it was trained" in err and "show others" in err, err


def check_refused(packed, top):
    plain = data()
    _, _, err = facet("train", "data.path=" + packed, "tasks.landmarks=false", want=2)
    assert "12 identities" in err and "hint: set tasks.identity=true" in err, err
    cases = [(["model.head=sharded", "train.exact=true"], "model.head=sharded and train.exact exclude each other"),
             (["model.head_sample=0.5"], "model.head_sample 0.5: only a sharded head"),
             (["model.head=sharded", "model.head_sample=0.5", "train.accumulate=2"], "model.head_sample 0.5 and train.accumulate 2"),
             (["loss.triplet_weight=1", "train.exact=true"], "loss.triplet_weight and train.exact exclude each other"),
             (["tasks.identity=false", "tasks.landmarks=true", "model.head=sharded"], "tasks.identity is off"),
             (["data.val_path=" + people(4, 8, 9), "checkpoint.best=identity"], "show none of the persons"),
             (["loss.identity=circle"], "loss.identity"), (["loss.margin=2"], "loss.margin"),
             (["data.path=" + plain, "sampler.kind=shuffle"], "tasks.identity is on, but the training data has no identities"),
             (["tasks.identity=false", "tasks.landmarks=true", "checkpoint.best=identity"], "that task is not trained")]
    for options, words in cases:
        _, _, err = facet("train", *IDENTITY, "data.path=" + packed, "run.dir=" + os.path.join(top, "no"), *options, want=2)
        assert words in err and err.count("facet: error:") == 1, (options, err)
    _, out, _ = facet("train", *IDENTITY, "data.path=" + packed, "--dry-run")
    assert int(dict(line.split(" ", 1) for line in out.splitlines())["identity_head_bytes"]) > 0


def main():
    packed = people()
    with workspace() as top:
        check_learns(packed, top)
        check_resume(packed, top)
        check_exact(packed, top)
        check_bad(packed, top)
        check_known(top)
        check_refused(packed, top)


main()
