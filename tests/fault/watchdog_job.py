# SPDX-License-Identifier: Apache-2.0
"""What the watchdog's tests share: a training job under mpirun whose ranks can be signalled, and its end."""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
from golden import FACET, SANITIZED, SMALL, data, facet, last_step, same_bits, workspace  # noqa: E402,F401

EXIT = 75
LIMITS = ["cluster.limit_silence=2", "cluster.limit_step=60", "log.every_steps=1"]


class Job:
    def __init__(self, run, *arguments, ranks=3, env=None, wrap=()):
        self.run, self.ranks = run, ranks
        self.err_path = run + ".stderr"
        with open(self.err_path, "w") as err:
            self.process = subprocess.Popen(
                [*wrap, "mpirun", "-n", str(ranks), "--bind-to", "none", FACET, "train", *SMALL, *LIMITS,
                 "data.path=" + data(), "run.dir=" + run, *arguments],
                stdout=subprocess.DEVNULL, stderr=err, env=dict(os.environ, OMP_NUM_THREADS="1", FACET_TEST_RUN=run, **(env or {})))

    def err(self):
        with open(self.err_path, errors="replace") as f:
            return f.read()

    def steps(self):
        try:
            with open(os.path.join(self.run, "steps.csv")) as f:
                return max(0, f.read().count("\n") - 1)
        except FileNotFoundError:
            return 0

    def wait_for(self, condition, what, seconds=120):
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, "ended early, exit %s\n%s" % (self.process.returncode, self.err())
            assert time.monotonic() < end, "%s: not within %d s\n%s" % (what, seconds, self.err())
            time.sleep(0.02)

    def pids(self):
        """The ranks' processes in order of their rank."""
        found, mine = {}, "FACET_TEST_RUN=" + self.run
        for entry in os.listdir("/proc"):
            try:
                with open("/proc/%s/environ" % entry) as f, open("/proc/%s/comm" % entry) as name:
                    variables = f.read().split("\0")
                    is_facet = name.read().strip() == "facet"
            except OSError:
                continue
            rank = [v for v in variables if v.startswith("OMPI_COMM_WORLD_RANK=")]
            if rank and is_facet and mine in variables:
                found[int(rank[0].split("=")[1])] = int(entry)
        assert sorted(found) == list(range(self.ranks)), found
        return [found[r] for r in sorted(found)]

    def end(self, timeout=120):
        """Waits; returns exit code, what was printed, seconds."""
        start = time.monotonic()
        try:
            code = self.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("still there after %d s\n%s" % (timeout, self.err()))
        return code, self.err(), time.monotonic() - start

    def log(self):
        with open(os.path.join(self.run, "train.log"), errors="replace") as f:
            return f.read()


def gone(pids):
    for pid in pids:
        try:
            with open("/proc/%d/stat" % pid) as f:
                if f.read().rsplit(")", 1)[1].split()[0] not in "ZX":
                    return False
        except OSError:
            pass
    return True


def message(err):
    """The one message of the job."""
    lines = [line for line in err.split("\n") if "facet: error:" in line]
    assert len(lines) == 1, err
    return lines[0]
