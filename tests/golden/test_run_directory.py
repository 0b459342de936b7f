# SPDX-License-Identifier: Apache-2.0
"""The run directory holds what it should; metrics.csv opens with the studies' columns; eval repeats the
last evaluation of the run; a signal asks for a checkpoint; wrong use ends with 2 and one line."""
import csv
import json
import os
import signal
import subprocess
import time

from golden import FACET, SMALL, arrays, data, facet, last_step, workspace

STUDY = ("epoch,train_loss,val_loss,train_expr_acc,val_expr_acc,train_lm_error,val_lm_error,expression_weight,"
         "landmark_weight,learning_rate,expression_log_var,landmark_log_var").split(",")


PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


def study_summary(path):
    """What the studies' notebook prints of metrics.csv, with its own expressions."""
    try:
        import pandas
    except ImportError:
        return print("pandas is not installed: the notebook's summary was not tried")
    df = pandas.read_csv(path)
    assert df["epoch"].max() == 2
    for name in STUDY[1:]:
        "%.4f -> %.4f" % (df[name].iloc[0], df[name].iloc[-1])
    assert 1 <= df["val_expr_acc"].idxmax() + 1 <= 2
    ratio = df["landmark_weight"] / df["expression_weight"]
    assert (ratio > 0).all()


def check_run(packed, top):
    run = os.path.join(top, "run")
    _, _, err = facet("train", *SMALL, "data.path=" + packed, "run.dir=" + run, ranks=2)
    assert "Epoch 1/2 — train_loss: " in err and " | val_loss: " in err and " val_acc: " in err
    with open(os.path.join(run, "metrics.csv")) as f:
        rows = list(csv.DictReader(f))
    assert list(rows[0])[:12] == STUDY and [r["epoch"] for r in rows] == ["1", "2"]
    assert 0 <= float(rows[1]["val_expr_acc"]) <= 100
    study_summary(os.path.join(run, "metrics.csv"))
    manifest = json.load(open(os.path.join(run, "manifest.json")))
    assert manifest["ranks"] == 2 and len(manifest["hosts"]) == 2
    for name in ("config.cfg", "train.log", "steps.csv", "predictions/val_epoch_002.csv", "checkpoints/last"):
        assert os.path.exists(os.path.join(run, name)), name
    for ranks in (1, 3):
        _, out, _ = facet("eval", os.path.join(run, "checkpoints", "last"), packed, "--json", ranks=ranks)
        score = json.loads(out)
        assert abs(100 * score["accuracy"] - float(rows[1]["val_expr_acc"])) < 1e-4
        assert abs(score["landmark_nme"] - float(rows[1]["val_lm_nme"])) < 1e-4 * score["landmark_nme"]
    _, _, err = facet("train", "data.path=" + packed, "run.dir=" + run, want=2)
    assert "already holds a run" in err and "hint:" in err


def check_single_tasks(packed, top):
    """A network of one task is scored on a set that has labels for both."""
    for task, other, number in (("expression", "landmarks", "accuracy"), ("landmarks", "expression", "landmark_nme")):
        run = os.path.join(top, task)
        facet("train", *SMALL, "train.epochs=1", "data.path=" + packed, "run.dir=" + run, "tasks.%s=false" % other)
        score = json.loads(facet("eval", run, packed, "--json")[1])
        assert number in score and len([k for k in score if k in ("accuracy", "landmark_nme")]) == 1, score


def check_resume(packed, top):
    """--resume takes a run, its checkpoints or one of them, and refuses another order of pictures."""
    run = os.path.join(top, "resumed")
    facet("train", *SMALL, "data.path=" + packed, "run.dir=" + run, "--stop-after", 2, want=75)
    for change in ("data.batch_size=12", "train.seed=7", "train.accumulate=2", "sampler.kind=weighted"):
        _, _, err = facet("train", *SMALL, "data.path=" + packed, change, "--resume", run, want=2)
        assert change.split("=")[0] in err and "hint:" in err, err
    step = os.path.join(run, "checkpoints", sorted(os.listdir(os.path.join(run, "checkpoints")))[-1])
    lives = [json.load(open(os.path.join(run, "manifest.json")))]
    for place in (step, os.path.join(run, "checkpoints"), run):
        _, _, err = facet("train", *SMALL, "data.path=" + packed, "--resume", place, "--stop-after", 1, want=75)
        assert not os.path.exists(os.path.join(step, "config.cfg"))
    assert len(open(os.path.join(run, "steps.csv")).readlines()) == 1 + 5
    manifest = json.load(open(os.path.join(run, "manifest.json")))
    assert manifest["started"] == lives[0]["started"] and manifest["lives"][:1] == lives[0]["lives"]
    assert [life["from_step"] for life in manifest["lives"]] == [0, 2, 3, 4], manifest
    assert all(life["ranks"] == 1 and len(life["hosts"]) == 1 for life in manifest["lives"])
    assert "not as in the checkpoint" not in err, err
    other = ["loss.label_smoothing=0.1", "optim.weight_decay=0.02", "augment.flip=0", "checkpoint.keep=3", "cluster.self_test=off"]
    _, _, err = facet("train", *SMALL, "data.path=" + packed, *other, "--resume", run, "--stop-after", 1, want=75, ranks=2)
    told = [line for line in err.splitlines() if "not as in the checkpoint" in line]
    assert len(told) == 1 and told[0].split("checkpoint: ")[1].split(";")[0] == (
        "augment.flip (0.5 -> 0.0), loss.label_smoothing (0.0 -> 0.1), optim.weight_decay (0.01 -> 0.02)"), err


def check_auto(packed, top):
    """--resume auto finds the newest run of these options, whatever letters its name has."""
    name = ["run.root=" + os.path.join(top, "r[oo]t"), "run.name=a*[b]?"]
    facet("train", *SMALL, "data.path=" + packed, *name, "--stop-after", 1, want=75)
    _, _, err = facet("train", *SMALL, "data.path=" + packed, *name, "--resume", "auto", "--stop-after", 1, want=75)
    assert "resumed from" in err and "step 1" in err, err
    _, _, err = facet("train", *SMALL, "data.path=" + packed, name[0], "run.name=axbx", "--resume", "auto", "--stop-after", 1, want=75)
    assert "resumed from" not in err, err


def check_init(packed, top):
    """init.from takes the moving average where there is one, and not how the tasks were balanced."""
    run, new = os.path.join(top, "averaged"), os.path.join(top, "started")
    facet("train", *SMALL, "data.path=" + packed, "run.dir=" + run, "optim.ema=0.9", "--stop-after", 3, want=75)
    _, _, err = facet("train", *SMALL, "data.path=" + packed, "run.dir=" + new, "init.from=" + run, "optim.learning_rate=0",
                      "loss.log_var_init=0.25", "--stop-after", 1, want=75)
    old, got = arrays(last_step(run)), arrays(last_step(new))
    assert "moving average" in err and (got["model/balance.log_var"] == 0.25).all(), err
    weights = [n for n in got if n.startswith("model/backbone") and n.endswith("weight")]
    assert len(weights) > 20
    for name in weights:
        assert got[name].tobytes() == old["optim/ema/" + name[6:]].tobytes() != old[name].tobytes(), name


def check_signal(packed, top):
    run = os.path.join(top, "signalled")
    env = dict(os.environ, OMP_NUM_THREADS="1")
    job = subprocess.Popen([FACET, "train", *SMALL, "train.epochs=500", "data.path=" + packed, "run.dir=" + run],
                           stderr=subprocess.PIPE, text=True, env=env)
    while not os.path.exists(os.path.join(run, "steps.csv")):
        time.sleep(0.05)
        assert job.poll() is None, job.stderr.read()
    job.send_signal(signal.SIGUSR1)
    _, err = job.communicate(timeout=60)
    assert job.returncode == 75 and "--resume" in err, err[-1000:]


def check_wrong_use(packed):
    cases = [(["train", "data.pth=x"], "data.path"), (["train", "data.path=/nowhere"], "/nowhere"),
             (["train"], "data.path is empty"), (["train", "data.path=" + packed, "model.backbone=vgg"], "resnet18"),
             (["train", "/nowhere.cfg"], "/nowhere.cfg"), (["eval", "/nowhere", packed], "/nowhere"),
             (["train", "data.path=" + packed, "data.batch_size=7", "train.accumulate=2"], "train.accumulate")]
    for arguments, word in cases:
        code, _, err = facet(*arguments, want=None)
        assert code in (1, 2) and err.count("facet: error:") == 1 and word in err, (arguments, code, err)


def check_dry_run(packed):
    _, out, _ = facet("train", *SMALL, "data.path=" + packed, "--dry-run", ranks=2)
    facts = dict(line.split(" ", 1) for line in out.splitlines())
    assert int(facts["steps"]) == 2 * int(facts["steps_per_epoch"]) > 0
    planned = int(facts["memory_per_rank_bytes"])
    assert planned > 16 * int(facts["parameters"]) # weights, gradients, two moments
    if os.environ.get("FACET_SANITIZED") == "1":
        return
    with workspace() as top: # the plan against what a run took
        job = subprocess.run(["/usr/bin/env", "python3", "-c", PEAK, FACET, "train", *SMALL, "train.epochs=1",
                              "data.path=" + packed, "run.dir=" + os.path.join(top, "run")],
                             capture_output=True, text=True, check=True, env=dict(os.environ, OMP_NUM_THREADS="1"))
    peak = int(job.stdout.split()[-1])
    print("memory planned for rank 0 of two %.0f MiB, taken by one rank %.0f MiB" % (planned / 2**20, peak / 2**20))
    assert 0.6 * peak < planned < 1.7 * peak, (planned, peak)


def main():
    packed = data()
    with workspace() as top:
        check_run(packed, top)
        check_single_tasks(packed, top)
        check_resume(packed, top)
        check_auto(packed, top)
        check_init(packed, top)
        check_signal(packed, top)
        check_wrong_use(packed)
        check_dry_run(packed)


main()
