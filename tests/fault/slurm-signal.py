# SPDX-License-Identifier: Apache-2.0
"""C5, C6 signals: SIGUSR1 to the script of a job, or to the ranks of one node only. All ranks stop at
the same step with a checkpoint, the job gets its next life, and ends with the same weights."""
import subprocess

from slurm_lib import STEPS, Sandbox

with Sandbox(cpus=3) as s:
    jobs = [(s.job("script", "mpirun"), ["--batch"]),
            (s.job("nodes", "mpirun"), []),  # reaches the ranks beside the script's node alone
            (s.job("srun"), ["--batch"])]
    for job, how in jobs:
        job.wait_steps(5)
        subprocess.run(["scancel", "--signal=USR1"] + how + [job.number], check=True)
    for job, how in jobs:
        job.wait_life(2)
        job.is_whole(lives=2)
        job.says("stopping after step", "job %s goes back into the queue for life 2" % job.number)
        assert len(job.order()) == STEPS, "%d steps were taken" % len(job.order())
    assert "another rank's signal" in jobs[1][0].log() and "SIGUSR1" in jobs[0][0].log()
