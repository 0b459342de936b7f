# SPDX-License-Identifier: Apache-2.0
"""No alarm where nobody is to blame: all ranks stopped for longer than the limit and continued; clocks that jump and
run fast (C8)."""
import os
import shutil
import signal
import time

from watchdog_job import Job, last_step, same_bits, workspace

PAUSE_S = 4


def well(job, what):
    code, err, _ = job.end()
    assert code == 0 and "facet: error:" not in err, (what, code, err)
    return last_step(job.run)


def paused(top, env, ranks):
    """Longer than limit_silence and limit_step together."""
    job = Job(os.path.join(top, "paused%d" % ranks), "train.epochs=4", "cluster.limit_step=3", ranks=ranks, env=env)
    job.wait_for(lambda: job.steps() > 0, "the first step")
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in job.pids():
            os.kill(pid, number)
        time.sleep(PAUSE_S if number == signal.SIGSTOP else 0)
    well(job, "paused")


def clocks(top):
    if not shutil.which("faketime"):
        return print("no faketime: clocks were not tried")
    golden = well(Job(os.path.join(top, "golden"), ranks=2), "golden")
    for i, fake in enumerate(("@2038-01-19 03:14:00", "-1h", "+0 x5")):
        got = well(Job(os.path.join(top, "clock%d" % i), ranks=2, wrap=("faketime", "-f", fake)), fake)
        assert same_bits(golden, got) == [], fake
    stamp = os.path.join(top, "stamp")  # jumps while it runs, the monotonic clock with it
    with open(stamp, "w") as f:
        f.write("+0\n")
    job = Job(os.path.join(top, "jumps"), ranks=2, wrap=("faketime", "-f", "+0"),
              env={"FAKETIME_TIMESTAMP_FILE": stamp, "FAKETIME_NO_CACHE": "1"})
    for jump, after in (("+3600\n", 1), ("-3600\n", 3)):
        job.wait_for(lambda: job.steps() >= after, "step %d" % after)
        with open(stamp, "w") as f:
            f.write(jump)
    assert same_bits(golden, well(job, "jumps")) == []


def main():
    with workspace() as top:
        paused(top, {}, 2)
        paused(top, {"FACET_FAKE_NODES": "2"}, 4)
        clocks(top)


main()
