# SPDX-License-Identifier: Apache-2.0
"""C6 time limit: no signal is sent. Rank 0 knows the end, all save in time, rank 0 puts the job back
into the queue, and the next life finishes. With cluster.requeue=0 it ends with exit code 75, and
the script does not ask either."""
from slurm_lib import Sandbox

with Sandbox() as s:
    # A minute's job keeps half of it in hand: not all of the steps fit into the first life.
    job = s.job("limit", step_ms=2500, sbatch=["--time=1"])
    once = s.job("once", "mpirun", step_ms=2500, sbatch=["--time=1"], nodes=1,
                 options=["cluster.requeue=0"], kill_s=1)
    once.wait_state("FAILED")
    once.says("the job's time limit ends in", "with a checkpoint; go on with --resume", "exit code 75")
    assert once.facts()["Restarts"] == "0", "it was requeued against cluster.requeue=0"
    job.is_whole(lives=2)
    job.says("the job's time limit ends in", "job %s goes back into the queue for life 2" % job.number)
    assert "DUE TO TIME LIMIT" not in job.text(), "the time limit was reached"
