# SPDX-License-Identifier: Apache-2.0
"""B1, B5: a save that fails costs a warning and changes nothing else; several in a row end the run; the last
one is tried again; `best` never names another; a disk without room is refused before the first step; a table that cannot
be written is a warning too."""
import os
import subprocess

from golden import SMALL, arrays, column, data, facet, last_step, same_bits, workspace

RUN = SMALL + ["optim.optimizer=sgd", "optim.ema=0", "eval.predictions=false"]


def pointer(run, name):
    with open(os.path.join(run, "checkpoints", name)) as f:
        return f.readline().strip()  # the second line is a hash


def nothing_left(run):
    names = os.listdir(os.path.join(run, "checkpoints"))
    assert not [n for n in names if n.endswith(".tmp") or ".note" in n], names


def main():
    packed = data()
    with workspace() as top:
        def train(folder, fault, *more, want=0, ranks=1):
            run = os.path.join(top, folder)
            _, _, err = facet("train", *RUN, "data.path=" + packed, "run.dir=" + run, *more, want=want, ranks=ranks,
                              env={"FACET_FAULT": fault} if fault else {})
            nothing_left(run)
            return run, err

        whole, _ = train("whole", "", "checkpoint.every_steps=2", ranks=2)
        # one save fails: told once by rank 0, the next is made, the result is the same
        for fault in ("checkpoint.write:1", "checkpoint.space:2", "checkpoint.sync:2:rank0"):
            run, err = train(fault.replace(":", "-"), fault, "checkpoint.every_steps=2", ranks=2)
            assert err.count("warning: the checkpoint of step") == 1 and "training goes on" in err, err
            assert same_bits(last_step(whole), last_step(run)) == [] and pointer(run, "last") == "step_00000010", fault
        # so many in a row: the end, with the newest good one named
        _, err = train("limit", "checkpoint.space:2-9", "checkpoint.every_steps=1", "checkpoint.failures=2", want=1)
        assert err.count("the checkpoint of step") == 2 and "2 checkpoints in a row" in err, err
        assert "newest good checkpoint is %s/limit/checkpoints/step_00000001" % top in err, err
        # the last one is tried again, and in vain
        run, err = train("again", "checkpoint.write:1-2", "--stop-after", 2, want=75)
        assert err.count("the checkpoint of step 2 could not be saved") == 2 and pointer(run, "last") == "step_00000002"
        _, err = train("vain", "checkpoint.write:1-99", "--stop-after", 2, "checkpoint.failures=1", want=1)
        assert "of step 2, could not be saved in 4 tries" in err and "no good checkpoint" in err, err
        # the best one is not saved: best stays where it was until a better one is saved
        run, err = train("best", "checkpoint.commit:2", "checkpoint.best=loss", "train.epochs=3", "--stop-after", 12, want=75)
        assert "of step 10 could not be saved (it was the best so far" in err, err
        assert pointer(run, "best") == "step_00000005" and pointer(run, "last") == "step_00000012"
        saved = float(arrays(last_step(run))["train/best"][0]) # what a better one must beat is what is on disk
        assert abs(saved + column(run, "val_loss", "metrics.csv")[0]) < 1e-6, saved
        train("best", "", "checkpoint.best=loss", "train.epochs=3", "--resume", run)
        assert pointer(run, "best") == "step_00000015"
        # room for what the run will hold is asked for before it starts
        _, err = train("room", "checkpoint.room:1", want=1)
        assert "no space for this run's checkpoints: 4 more" in err and "hint: make room" in err, err
        small_disk(packed, top)
        tables(packed, top)


def tables(packed, top):
    run = os.path.join(top, "tables")
    blocked = ["metrics.csv", "predictions/val_epoch_001.csv", "predictions/val_epoch_002.csv"]
    for name in blocked: # a folder in its place: root could write to anything else
        os.makedirs(os.path.join(run, name))
    command = ["train", *RUN, "data.path=" + packed, "run.dir=" + run, "eval.predictions=true", "train.epochs=3"]
    _, _, err = facet(*command, "--stop-after", 10, ranks=2, want=75)
    for name in blocked:
        assert err.count("warning: %s/%s: cannot rename" % (run, name)) == (2 if name == "metrics.csv" else 1), err
    assert "training goes on" in err and pointer(run, "last") == "step_00000010", err
    os.rmdir(os.path.join(run, "metrics.csv"))
    facet(*command, "--resume", run, ranks=2)
    assert column(run, "epoch", "metrics.csv") == [1, 2, 3] # the rows that had no file yet too
    assert os.path.isfile(os.path.join(run, "predictions", "val_epoch_003.csv"))
    os.remove(os.path.join(run, "metrics.csv")) # the last epoch's could not be written: the next life does it
    facet(*command, "--resume", run)
    assert column(run, "epoch", "metrics.csv") == [1, 2, 3]


def small_disk(packed, top):
    disk = os.path.join(top, "disk")
    os.mkdir(disk)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "none", disk], capture_output=True).returncode != 0:
        return print("no right to mount a small disk: that part was not tried")
    try: # 85 MiB each: one would fit, those that the run will hold would not
        _, _, err = facet("train", *RUN, "data.path=" + packed, "run.dir=" + os.path.join(disk, "run"), want=1)
        assert "no space for this run's checkpoints" in err and "Epoch" not in err, err
    finally:
        subprocess.run(["umount", disk], check=True)


main()
