# SPDX-License-Identifier: Apache-2.0
"""Where the campaign works and how it runs programs: under the shim, with a limit, counting seconds."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

try:
    import h5py  # noqa: F401  (the oracles read with it)
except ImportError:
    print("skipped: python3-h5py is not installed")
    sys.exit(77)

SOURCE = os.environ.get("FACET_SOURCE") or os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
BUILD = os.environ.get("FACET_BUILD") or os.path.join(SOURCE, "build")
FACET = os.environ.get("FACET") or os.path.join(BUILD, "facet")
CHECKPOINT_TOOL = os.path.join(BUILD, "tests/fault/checkpoint_tool")
LOGS_TOOL = os.path.join(BUILD, "tests/fault/campaign/logs_tool")
SHARD_DUMP = os.path.join(BUILD, "tests/fault/campaign/shard_dump")
SHIM = os.path.join(BUILD, "tests/fault/campaign/libfault_shim.so")
QUIET_MPI = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1",
             "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_hwloc_base_binding_policy": "none",
             "OMPI_MCA_btl": "vader,self,tcp", "OMP_WAIT_POLICY": "passive", "LC_ALL": "C"}
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}


class Ended:
    """How a program ended."""

    def __init__(self, code, out, err, seconds, calls):
        self.code, self.out, self.err, self.seconds, self.calls = code, out, err, seconds, calls

    def crash(self):
        """What kind of crash it was; None for an end that a program chooses, or our SIGKILL."""
        told = [line for line in self.calls if line.startswith("crash ")]
        if self.code == "hangs":
            return "hangs: " + self.tail()
        if told or -(self.code or 0) in CRASHES or self.code - 128 in CRASHES:
            return "exit %s, %s: %s" % (self.code, "; ".join(told), self.tail())
        return None

    def tail(self):
        return self.err.strip()[-400:].replace("\n", " | ")

    def names(self, text):
        return text in self.err


class Place:
    """A folder in memory for one campaign; new folders and shimmed runs in it."""

    def __init__(self):
        memory = "/dev/shm"
        roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 3 << 30
        self.home = self.top = tempfile.mkdtemp(prefix="facet-campaign-", dir=memory if roomy else None)
        self.log = os.path.join(self.top, "calls.log")

    def apart(self, name):
        """A place below this one that outlives the kind of faults that made it."""
        place = Place.__new__(Place)
        place.home, place.top = self.home, os.path.join(self.home, name)
        place.log = os.path.join(place.top, "calls.log")
        os.makedirs(place.top)
        return place

    def path(self, *names):
        return os.path.join(self.top, *names)

    def clear(self, name):
        path = self.path(name)
        shutil.rmtree(path, ignore_errors=True)
        return path

    def copy(self, source, name):
        path = self.clear(name)
        shutil.copytree(source, path, symlinks=True)
        return path

    def environment(self, root, shim):
        """Settings of the shim; `shim` has fault=, malloc=, ops=, rank=, record=."""
        if os.path.exists(self.log):
            os.unlink(self.log)
        settings = {"FSHIM_" + key.upper(): str(value) for key, value in shim.items() if value is not None}
        return dict(settings, LD_PRELOAD=SHIM, FSHIM_ROOT=root, FSHIM_LOG=self.log)

    def calls(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                return log.read().splitlines()
        except FileNotFoundError:
            return []

    def start(self, argv, root=None, shim=None, ranks=1, env=None):
        full = dict(os.environ, **QUIET_MPI, **(env or {}))
        settings = self.environment(root, shim or {}) if root else {}
        if ranks > 1:
            passed = [part for key, value in settings.items() for part in ("-x", "%s=%s" % (key, value))]
            argv = ["mpirun", "-n", str(ranks), "--bind-to", "none"] + passed + argv
        else:
            full.update(settings)
        return subprocess.Popen(argv, env=full, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, start_new_session=True)

    def wait(self, process, began, timeout=120):
        try:
            out, err = process.communicate(timeout=timeout)
            code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            code = "hangs"
        return Ended(code, out, err.decode(errors="replace"), time.monotonic() - began, self.calls())

    def run(self, argv, root=None, shim=None, ranks=1, env=None, timeout=120):
        began = time.monotonic()
        return self.wait(self.start(argv, root, shim, ranks, env), began, timeout)

    def points(self, argv, root, shim=None, **more):
        """The calls that a run makes that goes well: [(number, op, path)]."""
        ended = self.run(argv, root, shim, **more)
        assert ended.code == 0, "%s: exit %s: %s" % (argv, ended.code, ended.err)
        return [(int(n), op, path) for n, op, path in
                (line.split(" ", 2) for line in ended.calls if re.match(r"\d+ ", line))]

    def allocations(self, argv, root, **more):
        """How many allocations of its own a run makes that goes well."""
        ended = self.run(argv, root, {"malloc": 0}, **more)
        assert ended.code == 0, "%s: exit %s: %s" % (argv, ended.code, ended.err)
        return max(int(line.split()[1]) for line in ended.calls if line.startswith("allocations "))

    def remove(self):
        shutil.rmtree(self.home, ignore_errors=True)
