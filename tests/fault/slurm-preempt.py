# SPDX-License-Identifier: Apache-2.0
"""C6 preemption: an urgent job takes the nodes; the training saves, waits, and goes on afterwards."""
import subprocess

from slurm_lib import STEPS, Sandbox

with Sandbox(nodes=2) as s:
    job = s.job("preempt")
    job.wait_steps(7)
    subprocess.run(["sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null",
                    "--wrap=sleep 3"], check=True, stdout=subprocess.DEVNULL)
    job.wait_life(2)
    job.is_whole(lives=2)
    job.says("DUE TO PREEMPTION", "stopping after step", "Slurm puts job %s back into the queue itself" % job.number)
    assert len(job.order()) == STEPS, "%d steps were taken" % len(job.order())
