# SPDX-License-Identifier: Apache-2.0
"""C1, C3: a rank that is stopped is named in one message and the job is over soon after the limit, with exit code 75
and no process left; so is a whole host, over UDP."""
import os
import signal
import time

from watchdog_job import EXIT, SANITIZED, Job, gone, message, workspace

OVER_S = 8  # limit 2 s + 2 s, and what a busy machine adds


def stopped(top, victims, word, ranks=3, env=None):
    job = Job(os.path.join(top, "stopped-%s-%d" % ("".join(map(str, victims)), ranks)), "train.epochs=500",
              ranks=ranks, env=env)
    job.wait_for(lambda: job.steps() > 0, "the first step")
    time.sleep(1) # the other host has heard of it by then
    pids = job.pids()
    for rank in victims:
        os.kill(pids[rank], signal.SIGSTOP)
    code, err, seconds = job.end()
    told = message(err)
    assert code == EXIT, (code, err)
    assert word in told and " step " in told and "last collective: " in told, told
    assert told in job.log(), job.log()
    assert seconds < OVER_S or SANITIZED, "took %.1f s" % seconds
    end = time.monotonic() + 5
    while not gone(pids):
        assert time.monotonic() < end, "processes left"
        time.sleep(0.05)
    print("%s: over after %.2f s: %s" % (victims, seconds, told))


def main():
    with workspace() as top:
        for rank in range(3):
            stopped(top, [rank], "rank %d on %s is stopped (SIGSTOP or a debugger)" % (rank, os.uname().nodename))
        two_nodes = {"FACET_FAKE_NODES": "2"}
        stopped(top, [2], "rank 2 on %s is" % os.uname().nodename, ranks=4, env=two_nodes)
        stopped(top, [0], "rank 0 on %s is" % os.uname().nodename, ranks=4, env=two_nodes)
        stopped(top, [2, 3], "(rank 2, 3) is cut off, down or stopped", ranks=4, env=two_nodes)


main()
