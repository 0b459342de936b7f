# SPDX-License-Identifier: Apache-2.0
"""C1, C2: a rank that hangs is named with phase, step and last collective, by the limit of its phase; what was saved
before goes on to the same end; a slow disk is no hang."""
import os
import time

from watchdog_job import EXIT, SANITIZED, SMALL, Job, data, facet, last_step, message, same_bits, workspace

OVER_S = 20  # start, limit 2 s + 2 s, and what a busy machine adds


def hangs(top, site, *words, limit="2", env=None, ranks=2):
    phase = site.split(".")[0]
    run = os.path.join(top, site.replace(":", "-") + str(ranks))
    job = Job(run, "checkpoint.every_steps=3", "cluster.limit_%s=%s" % (phase, limit), ranks=ranks,
              env=dict(env or {}, FACET_FAULT=site))
    code, err, seconds = job.end()
    told = message(err)
    assert code == EXIT, (code, err)
    for word in ("hangs: has not moved for", "(cluster.limit_%s)" % phase, *words):
        assert word in told, (word, err)
    assert seconds < OVER_S or SANITIZED, "took %.1f s" % seconds
    print("%s: over after %.1f s: %s" % (site, seconds, told))
    return run


def goes_on(top, run):
    """After the hang: the same end, bit for bit, as a run that was never disturbed."""
    whole = os.path.join(top, "whole")
    same = [*SMALL, "log.every_steps=1", "checkpoint.every_steps=3", "data.path=" + data()]
    facet("train", *same, "run.dir=" + whole, ranks=2)
    facet("train", *same, "run.dir=" + run, "--resume", run, ranks=2)
    assert same_bits(last_step(whole), last_step(run)) == []


def slow_disk(top):
    """C2: a save of 6 s, for which the save after it waits in the checkpoint phase; a step may take 2 s."""
    start = time.monotonic()
    job = Job(os.path.join(top, "slow-disk"), "checkpoint.every_steps=2", "cluster.limit_step=2",
              "cluster.limit_eval=2", ranks=2, env={"FACET_FAULT": "checkpoint.slow:1:rank1"})
    code, err, _ = job.end()
    assert code == 0 and "facet: error:" not in err, (code, err)
    assert time.monotonic() - start > 6


def slow_save(top):
    """C2: a save that takes three times the limit, but gets on all the time; its main thread waits for it."""
    start = time.monotonic()
    job = Job(os.path.join(top, "slow-save"), "checkpoint.every_steps=3", "cluster.limit_checkpoint=2", ranks=2,
              env={"FACET_FAULT": "checkpoint.trickle:1:rank1"})
    code, err, _ = job.end()
    assert code == 0 and "facet: error:" not in err, (code, err)
    assert time.monotonic() - start > 6


def main():
    host = os.uname().nodename
    with workspace() as top:
        run = hangs(top, "step.hang:7:rank1", "rank 1 on " + host, "in step 7;", "last collective: ")
        goes_on(top, run)
        hangs(top, "step.hang:2", "rank 0 on " + host, "in step 2;", ranks=1)
        hangs(top, "eval.hang:1:rank0", "rank 0 on " + host, "in the evaluation after step 5;")
        hangs(top, "init.hang:1:rank1", "rank 1 on " + host, "while starting")
        hangs(top, "checkpoint.hang:1:rank1", "rank 1 on " + host, "while saving after step 3;")
        # its main thread waits for its own slow thread
        hangs(top, "checkpoint.slow:1:rank1", "rank 1 on " + host, "while saving after step 5;")
        hangs(top, "step.hang:3:rank3", "rank 3 on " + host, "in step 3;", ranks=4, env={"FACET_FAKE_NODES": "2"})
        slow_disk(top)
        slow_save(top)


main()
