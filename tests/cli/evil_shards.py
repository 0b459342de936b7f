# SPDX-License-Identifier: Apache-2.0
"""Runs facet inspect over shards made to harm it: what t0200 registers, this module tries."""
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np

FACET = os.environ["FACET"]
MAKE = os.path.join(os.environ["FACET_BUILD"], "tests/unit/make_shard")
SANITIZED = os.environ.get("FACET_SANITIZED") == "1"
LIMIT_S = 10 if SANITIZED else 3  # the machine may be busy; a bomb takes far longer
LIMIT_RSS_MIB = 64
folder = tempfile.mkdtemp(prefix="facet-evil-")
cases = []


def evil(reason, kind="raw", libver=("v110", "v110")):
    """The function changes an open good shard (h5py.File); facet must refuse it for `reason`."""
    return lambda f: cases.append((f.__name__, reason, kind, libver, f, False)) or f


def evil_bytes(reason, kind="raw"):
    """The function changes the file at a path."""
    return lambda f: cases.append((f.__name__, reason, kind, None, f, True)) or f


def replace(h, name, data, **options):
    """A dataset as the format wants it, but for what `options` and `data` change."""
    del h[name]
    if "chunks" not in options:
        options["chunks"] = (min(2, data.shape[0]),) + data.shape[1:]
    options.setdefault("fletcher32", True)
    h.create_dataset(name, data=data, **options)


def plist(layout=None):
    p = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if layout is not None:
        p.set_layout(layout)
    return p


def run(path):
    """(exit code, stderr, seconds, peak MiB) of facet inspect; ctest ends one that hangs."""
    begin = time.monotonic()
    child = subprocess.Popen([FACET, "inspect", path], stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
    err = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, err, time.monotonic() - begin, usage.ru_maxrss / 1024


def make(name, kind):
    where = os.path.join(folder, name)
    os.mkdir(where)
    return subprocess.run([MAKE, where, "train", kind, "7"], check=True, capture_output=True,
                          text=True).stdout.strip()


def main():
    wrong = []
    base_mib = 0
    for kind in ("raw", "jpeg"):
        code, err, _, mib = run(make("good-" + kind, kind))
        base_mib = max(base_mib, mib)
        if code != 0:
            wrong.append(f"the good {kind} shard is refused: {err}")
    slowest = largest = 0.0
    for name, reason, kind, libver, change, is_bytes in cases:
        path = make(name, kind)
        if is_bytes:
            change(path)
        else:
            with h5py.File(path, "r+", libver=libver) as h:
                change(h)
        code, err, seconds, mib = run(path)
        slowest, largest = max(slowest, seconds), max(largest, mib - base_mib)
        if code != 1 or reason not in err or path not in err:
            wrong.append(f"{name}: exit {code}, wanted \"{reason}\", got: {err.strip()}")
        if seconds > LIMIT_S:
            wrong.append(f"{name}: took {seconds:.1f} s")
        if not SANITIZED and mib - base_mib > LIMIT_RSS_MIB:
            wrong.append(f"{name}: took {mib - base_mib:.0f} MiB more than a good shard")
    print(f"{len(cases)} evil shards, {len(wrong)} not refused as they should; "
          f"slowest {slowest:.2f} s, largest {largest:.0f} MiB above a good one")
    print("\n".join(wrong))
    return 1 if wrong else 0


def finish():
    resource.setrlimit(resource.RLIMIT_CPU, (300, 300))
    try:
        code = main()
    finally:
        shutil.rmtree(folder)
    sys.exit(code)
