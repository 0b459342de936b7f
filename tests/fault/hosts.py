# SPDX-License-Identifier: Apache-2.0
"""Hosts made of network namespaces (hosts.sh), for tests: a training run on them, and what befalls it."""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
from golden import FACET, SANITIZED, SMALL, last_step, same_bits # noqa: E402

HOSTS_SH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hosts.sh")
# How soon mpirun and its daemons give up a peer that no longer answers: 2 + 3 x 2 s; as in slurm/launch.sh.
KEEPALIVE = ["--mca", "oob_tcp_keepalive_time", "2", "--mca", "oob_tcp_keepalive_intvl", "2",
             "--mca", "oob_tcp_keepalive_probes", "3"]
ENDED_S = 15 # C3: how soon a job that cannot go on must have ended on all hosts
LOADED = 4   # times as long on a machine that does much else


def skip_when_sanitized():
    if SANITIZED:
        print("skipped: the sanitizers' options do not reach the other host")
        sys.exit(77)


class Hosts:
    """with Hosts(2) as hosts: ... host-1 and host-2; ends the test with 77 where they cannot be made."""

    def __init__(self, n, nets=1):
        self.n = n
        self.folder = tempfile.mkdtemp(prefix="facet-hosts-")
        done = self.do("up", n, nets, check=False)
        if done.returncode != 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            print(done.stdout.strip() or done.stderr.strip())
            sys.exit(done.returncode)

    def do(self, verb, *arguments, check=True):
        done = subprocess.run([HOSTS_SH, verb, self.folder, *map(str, arguments)], capture_output=True, text=True)
        assert not check or done.returncode == 0, (verb, arguments, done.stdout, done.stderr)
        return done

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.do("down")

    def pids(self, host):
        return [int(p) for p in self.do("pids", host, check=False).stdout.split()]

    def named(self, host, name):
        """Processes of that program on the host."""
        found = []
        for pid in self.pids(host):
            with contextlib.suppress(OSError), open("/proc/%d/comm" % pid) as comm:
                if comm.read().strip() == name:
                    found.append(pid)
        return found

    def everywhere(self):
        return {h: self.pids(h) for h in range(1, self.n + 1)}

    def words(self, host):
        """What runs there, for messages."""
        out = []
        for pid in self.pids(host):
            with contextlib.suppress(OSError), open("/proc/%d/cmdline" % pid, "rb") as line:
                out.append(line.read().replace(b"\0", b" ").decode()[:120])
        return out

    def train(self, *arguments, ranks=2, on=None, launch=(), env=None):
        """Starts `facet train` with so many ranks on each of these hosts; a Job."""
        on = on or range(1, self.n + 1)
        full = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive", **(env or {}))
        full.pop("OMPI_MCA_btl", None)
        passed = [w for name in (env or {}) for w in ("-x", name)]
        command = [HOSTS_SH, "mpirun", self.folder, *KEEPALIVE, *launch, "-x", "OMP_NUM_THREADS", "-x", "OMP_WAIT_POLICY",
                   *passed, "--host", ",".join("host-%d:%d" % (h, ranks) for h in on), "-n", str(ranks * len(on)),
                   FACET, "train", *SMALL, *map(str, arguments)]
        return Job(self, command, full)


class Job:
    def __init__(self, hosts, command, env):
        self.hosts = hosts
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=env)

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def finish(self, want=0, timeout=240):
        code = self.process.wait(timeout)
        assert want is None or code == want, "exit %d, wanted %d:\n%s" % (code, want, self.said()[-4000:])
        return self.said()

    def wait_for_step(self, run, step, timeout=120):
        """Until the run has taken that step."""
        end = time.monotonic() + timeout
        while steps(run) < step:
            assert self.process.poll() is None, "ended before step %d:\n%s" % (step, self.said()[-4000:])
            assert time.monotonic() < end, "step %d is not reached:\n%s" % (step, self.said()[-4000:])
            time.sleep(0.05)

    def ends_everywhere(self, what, on, within_s=ENDED_S):
        """Until no process is left on these hosts, mpirun and its daemons included; prints how long it took."""
        start, seconds = time.monotonic(), {}
        while len(seconds) < len(on):
            spent = time.monotonic() - start
            seconds.update({h: spent for h in on if h not in seconds and not self.hosts.pids(h)})
            assert spent < LOADED * within_s, "%s: after %.0f s still there: %s\n%s" % (
                what, spent, {h: self.hosts.words(h) for h in on if h not in seconds}, self.said()[-4000:])
            time.sleep(0.05)
        print("%s: ended after %s (wanted: %d s)" % (
            what, ", ".join("%.1f s on host-%d" % (seconds[h], h) for h in on), within_s), flush=True)


class Story:
    """One run that is hit again and again, resumed each time, and ends as the run that never was."""

    def __init__(self, hosts, packed, top, settings, **how):
        self.hosts, self.how, self.run = hosts, how, os.path.join(top, "hit")
        self.settings = ["data.path=" + packed, "checkpoint.every_steps=2", *settings]
        self.whole = os.path.join(top, "whole")
        self.train("run.dir=" + self.whole).finish()
        self.begun = False

    def train(self, *arguments, **more):
        return self.hosts.train(*self.settings, *arguments, **dict(self.how, **more))

    def go_on(self):
        more = ["--resume", self.run] if self.begun else []
        self.begun = True
        return self.train("run.dir=" + self.run, *more)

    def hit(self, what, step, fault, on=(1, 2), within_s=ENDED_S, codes=range(1, 256)):
        """At this step `fault()` happens; the job ends on these hosts with one of these codes. What it said."""
        job = self.go_on()
        job.wait_for_step(self.run, step)
        fault()
        job.ends_everywhere(what, on, within_s)
        said = job.finish(want=None)
        code = job.process.returncode
        assert abs(code) in codes, "%s: mpirun's exit code is %d\n%s" % (what, code, said)
        print("    mpirun's exit code: %d" % code, flush=True)
        return said

    def ends_the_same(self):
        self.go_on().finish()
        differing = same_bits(last_step(self.whole), last_step(self.run))
        assert differing == [], "hit and resumed differs in %s" % differing[:5]
        print("resumed after each: the same bits as never hit")


def steps(run):
    """Steps that steps.csv tells of."""
    with contextlib.suppress(OSError), open(os.path.join(run, "steps.csv")) as file:
        return len(file.read().splitlines()) - 1
    return 0
