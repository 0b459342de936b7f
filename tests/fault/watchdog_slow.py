# SPDX-License-Identifier: Apache-2.0
"""C4: a rank that is slow, stopped for a moment again and again, is named within 20 steps, and not killed."""
import os
import signal
import time

from watchdog_job import Job, workspace

STEPS, SLOW = 20, 2


def main():
    with workspace() as top:
        job = Job(os.path.join(top, "slow"), "train.epochs=400", "cluster.slow_factor=2.5")
        job.wait_for(lambda: job.steps() > 2, "some steps")
        pid, first = job.pids()[SLOW], job.steps()
        end = time.monotonic() + 90
        while "is slow" not in job.err():
            assert job.process.poll() is None and time.monotonic() < end, job.err()
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.15)
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.02)
        told, taken = [line for line in job.err().split("\n") if "is slow" in line], job.steps() - first
        assert "warning: rank %d on %s is slow: its steps take " % (SLOW, os.uname().nodename) in told[0], told
        print("named after %d steps: %s" % (taken, told[0]))
        assert taken <= STEPS, "%d steps" % taken
        before = job.steps()
        job.wait_for(lambda: job.steps() > before + 2, "it goes on")
        job.process.terminate()
        code, err, _ = job.end()
        assert "facet: error:" not in err, err


main()
