# SPDX-License-Identifier: Apache-2.0
"""What the golden tests share: small drawn data, runs under mpirun, checkpoints as arrays."""
import fcntl
import glob
import os
import shutil
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy
except ImportError:
    print("skipped: python3-h5py is not installed")
    sys.exit(77)

FACET = os.environ["FACET"]
BUILD = os.environ["FACET_BUILD"]
SANITIZED = os.environ.get("FACET_SANITIZED") == "1"
# A tiny network on few pictures: seconds on two busy cores, yet every part of a run is there.
SMALL = ["model.backbone=resnet18", "model.stem=imagenet", "model.embedding=16", "data.batch_size=24",
         "data.num_workers=1", "train.epochs=2", "optim.learning_rate=0.001", "augment.flip=0.5",
         "augment.shift=0.1", "schedule.warmup_epochs=0.5", "cluster.threads=1"]


def run(command, timeout=300, env=None):
    """Runs to the end; returns exit code, stdout, stderr."""
    full = {**os.environ, "OMP_NUM_THREADS": "1", **(env or {})}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=full)
    return done.returncode, done.stdout, done.stderr


def facet(*arguments, ranks=1, want=0, timeout=300, env=None):
    launch = ["mpirun", "-n", str(ranks), "--bind-to", "none"] if ranks > 1 else []
    code, out, err = run(launch + [FACET] + [str(a) for a in arguments], timeout, env)
    assert want is None or code == want, "exit %d, wanted %s: facet %s\n%s%s" % (
        code, want, " ".join(map(str, arguments)), out[-2000:], err[-3000:])
    return code, out, err


def packed_once(name, make):
    """A packed set that make(raw folder, its own folder) draws, once for all tests of a build."""
    name = os.path.join(BUILD, "golden-" + name)
    folder = "%s-%x" % (name, os.stat(FACET).st_mtime_ns)
    with open(name + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(folder):
            for old in glob.glob(name + "-*"):
                shutil.rmtree(old)
            with tempfile.TemporaryDirectory(dir=BUILD) as raw:
                make(os.path.join(raw, "drawn"), folder)
    return folder


def data(classes=8, pictures=160, size=32):
    """Drawn faces with expressions and landmarks."""
    def make(drawn, folder):
        facet("synth", "-o", drawn, "--expression", pictures, "--size", 48, "--seed", 5)
        facet("pack", os.path.join(drawn, "expression"), "-o", folder, "--size", size, "--split", "val=0.25",
              "--landmarks", os.path.join(drawn, "expression_landmarks.json"))
    return packed_once("data-%d-%d-%d" % (classes, pictures, size), make)


def arrays(step_folder):
    """Every array of a checkpoint by name."""
    found = {}
    with h5py.File(os.path.join(step_folder, "rank_0000.h5"), "r") as part:
        part.visititems(lambda name, item: found.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) else None)
    return found


def last_step(run_folder):
    folder = os.path.join(run_folder, "checkpoints")
    steps = sorted(d for d in os.listdir(folder) if d.startswith("step_") and not d.endswith(".tmp"))
    return os.path.join(folder, steps[-1])


def same_bits(a, b, skip=("meta/config", "history/metrics.csv", "train/seconds")):
    """Names of arrays that differ. The configuration names the run directory; timings differ."""
    one, two = arrays(a), arrays(b)
    assert one.keys() == two.keys(), set(one) ^ set(two)
    assert any(name.startswith("model/") for name in one) and any(name.startswith("optim/") for name in one)
    return [n for n in one if n not in skip and numpy.asarray(one[n]).tobytes() != numpy.asarray(two[n]).tobytes()]


def column(run_folder, name, file="steps.csv"):
    import csv
    with open(os.path.join(run_folder, file)) as f:
        return [float(row[name]) for row in csv.DictReader(f) if row[name] != ""]


def workspace():
    return tempfile.TemporaryDirectory(dir=BUILD, prefix="golden-")
