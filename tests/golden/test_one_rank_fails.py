# SPDX-License-Identifier: Apache-2.0
"""A damaged shard that one rank meets, a full disk under rank 0, a failing call, a rank that is killed or
hangs: the job ends in seconds, with one message."""
import glob
import os
import shutil
import signal
import subprocess
import time

import h5py

from golden import FACET, SMALL, data, facet, workspace

LIMIT_S = 10


def ends_with_one_message(word, *arguments, ranks=2, env=None):
    start = time.monotonic()
    code, _, err = facet("train", *SMALL, *arguments, ranks=ranks, want=None, timeout=60, env=env)
    spent = time.monotonic() - start
    assert code != 0 and err.count("facet: error:") == 1 and word in err, (code, err[-3000:])
    assert spent < LIMIT_S or os.environ.get("FACET_SANITIZED") == "1", "took %.1f s" % spent
    return err


def damaged_shard(packed, top, split, row):
    copy = os.path.join(top, "damaged-" + split)
    shutil.copytree(packed, copy)
    shard = sorted(glob.glob(os.path.join(copy, split + "-*.h5")))[0]
    with h5py.File(shard, "r") as f:
        at, size = f["images"].id.get_offset(), f["images"][0].size
    with open(shard, "r+b") as f: # one byte of the picture in the middle: one rank reads it, once
        f.seek(at + row * size + 100)
        old = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([old[0] ^ 1]))
    err = ends_with_one_message("checksum", "data.path=" + copy, "run.dir=" + os.path.join(top, split))
    assert os.path.basename(shard) in err and "rank" in err


def full_disk(packed, top):
    small = os.path.join(top, "small")
    os.mkdir(small)
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", small], capture_output=True)
    if mount.returncode != 0:
        return print("no right to mount a small disk: that part was not tried")
    try:
        ends_with_one_message("no space for this run's checkpoints", "data.path=" + packed, "run.dir=" + os.path.join(small, "run"))
    finally:
        subprocess.run(["umount", small], check=True)


def failing_calls(packed, top):
    for site, word in (("checkpoint.write:1-99", "No space"), ("buckets.wait:2:rank1", "injected"),
                       ("buckets.wait:2:rank0", "injected"), ("comm.collective:20:rank1", "injected")):
        ends_with_one_message(word, "data.path=" + packed, "run.dir=" + os.path.join(top, site.replace(":", "-")),
                              "train.epochs=3", "checkpoint.failures=1",
                              env={"FACET_FAULT": site})


def rank_pids(launcher):
    """The processes that mpirun started, in order of their rank."""
    found = {}
    for entry in os.listdir("/proc"):
        try:
            with open("/proc/%s/stat" % entry) as stat, open("/proc/%s/environ" % entry) as environ:
                parent = int(stat.read().rsplit(")", 1)[1].split()[1])
                rank = [v for v in environ.read().split("\0") if v.startswith("OMPI_COMM_WORLD_RANK=")]
        except (OSError, ValueError):
            continue
        if parent == launcher and rank:
            found[int(rank[0].split("=")[1])] = int(entry)
    return found


def signalled_rank(packed, run, rank, number, env):
    """Mid-training; the job must end by itself. How many messages it printed."""
    job = subprocess.Popen(["mpirun", "-n", "2", "--bind-to", "none", FACET, "train", *SMALL, "train.epochs=500",
                            "data.path=" + packed, "run.dir=" + run], stderr=subprocess.PIPE, text=True,
                           env=dict(os.environ, OMP_NUM_THREADS="1", **env))
    while not os.path.exists(os.path.join(run, "steps.csv")):
        time.sleep(0.05)
        assert job.poll() is None, job.stderr.read()
    os.kill(rank_pids(job.pid)[rank], number)
    start = time.monotonic()
    _, err = job.communicate(timeout=60)
    assert job.returncode != 0, err
    assert time.monotonic() - start < LIMIT_S, "took %.1f s" % (time.monotonic() - start)
    return err.count("facet: error:"), err


def main():
    packed = data()
    with workspace() as top:
        damaged_shard(packed, top, "train", 40)
        damaged_shard(packed, top, "val", 30)
        full_disk(packed, top)
        failing_calls(packed, top)
        for rank in (0, 1):
            told, err = signalled_rank(packed, os.path.join(top, "killed%d" % rank), rank, signal.SIGKILL, {})
            assert told <= 1 and "signal 9" in err, err # mpirun tells it
            told, err = signalled_rank(packed, os.path.join(top, "hangs%d" % rank), rank, signal.SIGSTOP,
                                       {"FACET_COMM_LIMIT_S": "2"})
            # rank 0 repeats it: mpirun's SIGCONT wakes it before SIGTERM ends it
            assert 1 <= told <= 2 - rank and "did not come within" in err, err


main()
