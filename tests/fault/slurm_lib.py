# SPDX-License-Identifier: Apache-2.0
"""What the tests under a real Slurm share: a sandbox, jobs that train, waiting with a limit."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import time

SOURCE = os.environ["FACET_SOURCE"]
sys.path.insert(0, os.path.join(SOURCE, "tests", "golden"))
import golden  # noqa: E402

TOOLS = os.path.join(SOURCE, "slurm", "sandbox")
STEPS = 15  # of SMALL: 3 epochs of 5
SMALL = golden.SMALL + ["train.epochs=3", "log.every_steps=1"]
LIMIT_S = 120  # for whatever is waited for; a busy machine may take long


def skip(why):
    print("skipped: " + why)
    sys.exit(77)


def reference():
    """The weights after an uninterrupted run of two ranks on two nodes; once for all tests of a build."""
    data = golden.data()
    run = data.replace("golden-data", "slurm-reference")
    with open(os.path.join(golden.BUILD, "slurm-reference.lock"), "w") as lock:
        golden.fcntl.flock(lock, golden.fcntl.LOCK_EX)
        if not os.path.isdir(run):
            for old in glob.glob(os.path.join(golden.BUILD, "slurm-reference-*")):
                shutil.rmtree(old)
            golden.facet("train", *SMALL, "data.path=" + data, "run.dir=" + run + ".new", ranks=2,
                         env={"FACET_FAKE_NODES": "2"})
            os.rename(run + ".new", run)
    return golden.last_step(run)


class Sandbox:
    """A private Slurm: `with Sandbox() as s:`; taken down at the end, logs shown when a claim failed."""

    def __init__(self, nodes=3, cpus=2):
        for program in ("munged", "slurmctld", "slurmd", "sbatch", "srun", "mpirun"):
            if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
                skip(program + " is not installed (apt-get install slurm-wlm munge)")
        if golden.SANITIZED:
            skip("a sanitizer's library must come before the one that slows the steps")
        self.size = ("--nodes", nodes, "--cpus", cpus, "--owner", os.getpid())

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="facet-slurm-", dir="/tmp")
        self.data = golden.data()
        self.outputs = []
        self.tool("up", *self.size)
        with open(os.path.join(self.folder, "slurm", "env")) as lines:
            for line in lines:
                name, value = line.split()[1].split("=", 1)
                os.environ[name] = value.strip("'")
        with open(os.path.join(self.folder, "slurm", "run", "mode")) as file:
            self.mode = file.read().strip()
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            for path in self.outputs + [os.path.join(self.folder, "slurm", "log", "slurmctld.log")]:
                if os.path.exists(path):
                    with open(path, errors="replace") as file:
                        print("---- %s\n%s" % (path, file.read()[-6000:]))
            subprocess.run("squeue -l; sinfo -N", shell=True)
        subprocess.run([os.path.join(TOOLS, "down"), os.path.join(self.folder, "slurm"), "--purge"])
        shutil.rmtree(self.folder, ignore_errors=True)
        sys.stdout.flush()

    def tool(self, name, *arguments):
        subprocess.run([os.path.join(TOOLS, name), os.path.join(self.folder, "slurm")]
                       + [str(a) for a in arguments], check=True, stdout=subprocess.DEVNULL)

    def write(self, name, launcher, nodes, options, run):
        """What `facet submit` writes for a training of two ranks: job.sbatch in `run`, not submitted for good."""
        done = golden.facet("submit", *SMALL, *options, "data.path=" + self.data, "--nodes", nodes, "--ranks-per-node",
                            2 // nodes, "--cpus-per-rank", 1, "--launcher", launcher, "--name", name, "-o", run,
                            "--sbatch", "--hold")
        subprocess.run(["scancel", done[1].split("job ")[1].split(":")[0]], check=True)
        with open(os.path.join(run, "job.sbatch")) as file:
            return file.read()

    def job(self, name, launcher="srun", step_ms=400, sbatch=(), options=(), more="", run=None, nodes=2, kill_s=15):
        """Submits a training of two ranks, by facet submit's script with slow steps; returns the job. mpirun waits
        twice kill_s after any exit code but 0, and ends ranks that had SIGTERM after kill_s."""
        written = os.path.join(self.folder, "run-" + name)
        run = run or written
        script = self.write(name, launcher, nodes, options, written)
        for old, new in (("#SBATCH --hold\n", ""), ("sigkill_timeout 15", "sigkill_timeout %d" % kill_s),
                         ('launch "$facet"', 'launch env LD_PRELOAD=%s FACET_TEST_STEP_MS=%d "$facet"'
                          % (os.environ["SLOW_STEPS"], step_ms)),
                         ("--resume auto", "--resume auto run.dir=%s --order %s/order.txt %s" % (run, run, more)),
                         ("finish $?", "code=$?\necho \"exit code $code\"\nfinish $code")):
            assert script.count(old) == 1, (old, script)
            script = script.replace(old, new)
        path = os.path.join(self.folder, name + ".sbatch")
        with open(path, "w") as file:
            file.write(script)
        output = "%s/%s-%%j.out" % (self.folder, name)
        done = subprocess.run(["sbatch", "--parsable", "--output=" + output] + list(sbatch) + [path],
                              capture_output=True, text=True, env=dict(os.environ, OMP_NUM_THREADS="1"))
        assert done.returncode == 0, done.stderr
        job = Job(self, done.stdout.strip(), run, os.path.join(self.folder, name))
        self.outputs.append(job.output)
        return job


class Job:
    def __init__(self, sandbox, number, run, base):
        self.sandbox, self.number, self.run = sandbox, number, run
        self.output = "%s-%s.out" % (base, number)

    def facts(self):
        done = subprocess.run(["scontrol", "--oneliner", "show", "job", self.number], capture_output=True, text=True)
        return dict(word.split("=", 1) for word in done.stdout.split() if "=" in word)

    def wait(self, what, is_so, seconds=LIMIT_S):
        end = time.time() + seconds
        while not is_so():
            assert time.time() < end, "job %s: waited %d s in vain for: %s" % (self.number, seconds, what)
            time.sleep(0.2)

    def wait_steps(self, n):
        self.wait("step %d" % n, lambda: len(self.order()) >= n)

    def wait_state(self, *states):
        self.wait(" or ".join(states), lambda: self.facts().get("JobState") in states)

    def wait_life(self, life):
        self.wait("life %d" % life, lambda: "life %d of this job" % life in self.log())

    def order(self):
        """Picture numbers of every step taken, in the order of time."""
        return self.lines(os.path.join(self.run, "order.txt"))

    def lines(self, path):
        if not os.path.exists(path):
            return []
        with open(path, errors="replace") as file:
            return file.read().splitlines()

    def log(self):
        return "\n".join(self.lines(os.path.join(self.run, "train.log")))

    def text(self):
        return "\n".join(self.lines(self.output))

    def says(self, *words):
        for text in words:
            assert text in self.text() or text in self.log(), "job %s does not say: %s" % (self.number, text)

    def is_whole(self, lives):
        """Ended well after that many lives, with the weights of a run that nothing stopped."""
        self.wait_state("COMPLETED")
        steps = [int(s) for s in golden.column(self.run, "step")]
        assert steps == list(range(1, STEPS + 1)), "steps.csv: %s" % steps
        epochs = golden.column(self.run, "epoch", "metrics.csv")
        assert epochs == [1, 2, 3], "metrics.csv: %s" % epochs
        started = self.log().count("facet train")
        assert started == lives, "train.log tells of %d lives, not of %d" % (started, lives)
        for life in range(1, lives + 1):
            assert "life %d of this job" % life in self.log(), "train.log does not tell of life %d" % life
        different = golden.same_bits(reference(), golden.last_step(self.run))
        assert not different, "other bits than without a stop: %s" % different
