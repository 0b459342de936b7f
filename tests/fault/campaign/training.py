# SPDX-License-Identifier: Apache-2.0
"""A real training, small, whose end is known to the bit; what is left of it after a fault, and going on."""
import csv
import glob
import hashlib
import os
import re

import h5py
import numpy

from kind_damage import pack
from place import FACET

EPOCHS, STEPS = 2, 6
OPTIONS = ["model.backbone=resnet18", "model.stem=imagenet", "model.embedding=16", "data.batch_size=6", "data.num_workers=1",
           "train.epochs=%d" % EPOCHS, "optim.learning_rate=0.001", "optim.optimizer=sgd", "augment.flip=0.5",
           "augment.shift=0.1", "cluster.threads=1", "checkpoint.every_steps=1"]
# Named after the run's folder, or times.
DIFFERS = ("meta/config", "history/metrics.csv", "train/seconds")


def arrays(step_folder):
    """Name -> hash of every array of a checkpoint, as h5py reads it."""
    found = {}

    def add(name, item):
        if isinstance(item, h5py.Dataset) and name not in DIFFERS:
            found[name] = hashlib.sha256(numpy.asarray(item[()]).tobytes()).hexdigest()

    with h5py.File(os.path.join(step_folder, "rank_0000.h5"), "r") as part:
        part.visititems(add)
    return found


class Training:
    def __init__(self, place, ranks):
        self.place, self.ranks, self.folder = place, ranks, place.path("run")
        self.data = pack(place, "faces")
        self.fresh()
        ended = place.run(self.command(), self.folder, {"ops": OPS, "rank": 0 if ranks > 1 else None}, ranks, timeout=300)
        assert ended.code == 0, ended.err
        self.seconds = ended.seconds
        self.calls = [line.split(" ", 2) for line in ended.calls if re.match(r"\d+ ", line)]
        self.golden, self.losses = arrays(self.newest()), self.column("loss")
        assert len(self.losses) == STEPS and any(n.startswith("optim/") for n in self.golden)

    def fresh(self):
        self.place.clear("run")

    def command(self):
        argv = [FACET, "train", *OPTIONS, "data.path=" + self.data, "run.dir=" + self.folder]
        return argv + (["--resume", self.folder] if self.newest() or self.saved() else [])

    def newest(self):
        found = [f for f in glob.glob(os.path.join(self.folder, "checkpoints", "step_*")) if re.search(r"step_\d{8}$", f)]
        return max(found, default=None)

    def column(self, name, file="steps.csv"):
        path = os.path.join(self.folder, file)
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8", newline="") as rows:
            return [row[name] for row in csv.DictReader(rows)]

    def check_stopped(self, verdict):
        """Stopped early with a checkpoint: it holds every step that was taken."""
        taken, newest = self.column("step"), self.newest()
        if newest is None or not taken or int(newest[-8:]) != int(taken[-1]):
            verdict.add("lost", "stopped after step %s with %s" % (taken[-1:], newest))

    def go_on(self, verdict, had, told=""):
        """Resumes until the end; it must be the golden one. `had`: the step whose checkpoint was acknowledged before;
        `told`: what the run that was struck said (that steps.csv gets no more rows, perhaps)."""
        newest = self.newest()
        if had and (newest is None or int(newest[-8:]) < had):
            verdict.add("lost", "step %d was saved, there is %s" % (had, newest))
        for _ in range(3):
            ended = self.place.run(self.command(), self.folder, {}, self.ranks, timeout=300)
            if verdict.resume_s is None:
                verdict.resume_s = ended.seconds
            if verdict.crashed(ended):
                return
            if ended.code != 75:
                break
        if ended.code != 0:
            verdict.add("lost", "cannot be gone on with: exit %s: %s" % (ended.code, ended.tail()))
            return
        end, losses = arrays(self.newest()), self.column("loss")
        differing = [name for name in self.golden if end.get(name) != self.golden[name]]
        # A best epoch whose save failed is not the best: that is the best of those saved.
        if differing and not (differing == ["train/best"] and "warning: " in told):
            verdict.add("wrong", "the end is not the golden one: %s" % differing[:3])
        if losses != self.losses and not ("no more rows will be written" in told and set(losses) <= set(self.losses)):
            verdict.add("lost", "steps.csv holds other losses: %s, not %s" % (losses, self.losses))
        if self.column("epoch", "metrics.csv") != [str(e + 1) for e in range(EPOCHS)]:
            verdict.add("lost", "metrics.csv holds epochs %s" % self.column("epoch", "metrics.csv"))
        left = [f for f in glob.glob(os.path.join(self.folder, "**"), recursive=True) if f.endswith(".tmp")]
        if left:
            verdict.add("other", "left over: %s" % left)

    def saved(self):
        """The step of the pointer `last`: its save was acknowledged."""
        try:
            with open(os.path.join(self.folder, "checkpoints", "last"), encoding="utf-8") as last:
                return int(last.readline().strip()[5:])
        except (FileNotFoundError, ValueError):
            return 0


made = {}


def training(place, ranks):
    """One for all kinds of faults: its golden run takes a while."""
    if ranks not in made:
        made[ranks] = Training(place.apart("training-%d" % ranks), ranks)
    return made[ranks]


OPS = "open,write,pwrite,fsync,rename,unlink,mkdir,truncate,close"
