# SPDX-License-Identifier: Apache-2.0
"""A request to stop that comes while a run evaluates is answered then; the resumed run evaluates first and ends
bit-identical, metrics included. A resumed --overfit that is over says what it is."""
import csv
import os
import signal
import subprocess
import time

from golden import FACET, SMALL, data, facet, last_step, same_bits, workspace

TIMINGS = ("pictures_per_s", "loader_wait_s", "seconds")


def metrics(run):
    with open(os.path.join(run, "metrics.csv")) as f:
        return [{k: v for k, v in row.items() if k not in TIMINGS} for row in csv.DictReader(f)]


def agreed_stop(packed, top):
    """Evaluation 1 of epoch 1, then the last one: asked on one rank, left by both."""
    def train(folder, *more, env=None, want=0):
        run = os.path.join(top, folder)
        facet("train", *SMALL, "optim.ema=0.9", "data.path=" + packed, "run.dir=" + run, *more, ranks=2, env=env, want=want)
        return run

    whole = train("whole")
    run = train("cut", env={"FACET_FAULT": "evaluate.stop:1:rank1"}, want=75)
    assert not os.path.exists(os.path.join(run, "metrics.csv")) and last_step(run).endswith("step_00000005")
    train("cut", "--resume", run, env={"FACET_FAULT": "evaluate.stop:2:rank0"}, want=75)
    assert [row["epoch"] for row in metrics(run)] == ["1"] and last_step(run).endswith("step_00000010")
    train("cut", "--resume", run)
    assert same_bits(last_step(whole), last_step(run)) == [] and metrics(whole) == metrics(run)
    with open(os.path.join(whole, "checkpoints", "best")) as a, open(os.path.join(run, "checkpoints", "best")) as b:
        assert a.read() == b.read()


def signalled(packed, top):
    """A signal sent when the first evaluation is known to be under way."""
    run = os.path.join(top, "signalled")
    job = subprocess.Popen([FACET, "train", *SMALL, "train.epochs=1", "data.path=" + packed, "run.dir=" + run, "eval.batch_size=1"],
                           stderr=subprocess.PIPE, text=True, env=dict(os.environ, OMP_NUM_THREADS="1"))
    steps = os.path.join(run, "steps.csv")
    while not os.path.exists(steps) or len(open(steps).readlines()) < 6:
        time.sleep(0.01)
        assert job.poll() is None, job.stderr.read()
    job.send_signal(signal.SIGTERM)
    _, err = job.communicate(timeout=120)
    assert job.returncode in (0, 75), err # 0: it was over before the signal came
    if job.returncode == 75:
        facet("train", *SMALL, "train.epochs=1", "data.path=" + packed, "--resume", run)
    assert [row["epoch"] for row in metrics(run)] == ["1"]


def finished_overfit(packed, top):
    run = os.path.join(top, "heart")
    common = ["train", "data.path=" + packed, "data.batch_size=32", "data.num_workers=1", "model.stem=imagenet",
              "model.embedding=0", "optim.head_rate=1", "schedule.warmup_epochs=1", "cluster.threads=1",
              "eval.predictions=false", "loss.log_var_min=-4", "optim.learning_rate=0.001", "run.dir=" + run, "--overfit", 32]
    facet(*common)
    _, _, err = facet(*common, "--resume", run)
    assert "overfit: passed: 32 pictures" in err and "accuracy 100.0%" in err, err


def main():
    packed = data()
    with workspace() as top:
        agreed_stop(packed, top)
        signalled(packed, top)
        finished_overfit(packed, top)


main()
