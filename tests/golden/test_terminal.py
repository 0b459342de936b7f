# SPDX-License-Identifier: Apache-2.0
"""B4, C5: a terminal that was stopped (Ctrl-S) or a reader that has left costs messages, not the run; a signal that
comes while MPI starts asks to stop, as one that comes later does."""
import os
import pty
import shutil
import subprocess
import termios

from golden import FACET, SANITIZED, SMALL, data, last_step, run, workspace


def start(packed, folder, stderr):
    return subprocess.Popen([FACET, "train", *SMALL, "train.epochs=1", "data.path=" + packed, "run.dir=" + folder],
                            stdout=subprocess.DEVNULL, stderr=stderr, env=dict(os.environ, OMP_NUM_THREADS="1"))


def log_is_whole(folder):
    with open(os.path.join(folder, "train.log")) as f:
        text = f.read()
    assert "Epoch 1/1" in text and "done: " in text, text


def stopped_terminal(packed, folder):
    ours, theirs = pty.openpty()
    job = start(packed, folder, theirs)
    termios.tcflow(theirs, termios.TCOOFF)
    assert job.wait(timeout=240) == 0
    termios.tcflow(theirs, termios.TCOON)
    log_is_whole(folder)
    os.close(theirs)
    os.close(ours)


def reader_leaves(packed, folder):
    ours, theirs = os.pipe()
    job = start(packed, folder, theirs)
    os.close(theirs)
    os.read(ours, 10)
    os.close(ours)
    assert job.wait(timeout=240) == 0
    log_is_whole(folder)


def signal_at_the_start(packed, folder):
    """strace sends it at the first connect, which is MPI's to its launcher."""
    if SANITIZED or not shutil.which("strace"):
        print("no strace: the signal at the start is not tried")
        return
    code, out, err = run(["mpirun", "-n", "1", "strace", "-qq", "-e", "trace=connect", "-e", "signal=none", "-o", folder + ".strace",
                          "-e", "inject=connect:signal=SIGUSR1:when=1", FACET, "train", *SMALL, "train.epochs=1",
                          "data.path=" + packed, "run.dir=" + folder])
    assert code == 75, (code, out, err)
    assert last_step(folder) and "SIGUSR1" in err, err


with workspace() as top:
    packed = data()
    stopped_terminal(packed, os.path.join(top, "stopped"))
    reader_leaves(packed, os.path.join(top, "left"))
    signal_at_the_start(packed, os.path.join(top, "early"))
