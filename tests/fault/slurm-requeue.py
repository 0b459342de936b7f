# SPDX-License-Identifier: Apache-2.0
"""C6 requeue: `scontrol requeue` in the middle of a run. All of it is saved, and the second life ends
with the same weights; under srun and mpirun. Before the first checkpoint nothing is lost but steps."""
import subprocess

from slurm_lib import STEPS, Sandbox


def requeue(job):
    subprocess.run(["scontrol", "requeue", job.number], check=True)


with Sandbox(cpus=3) as s:
    jobs = [s.job("srun"), s.job("mpirun", "mpirun")]
    # Killed before its first checkpoint: the run directory is there, but nothing to resume from.
    early = s.job("early")
    early.wait_steps(2)
    subprocess.run(["scancel", "--signal=KILL", "--full", early.number], check=True)
    for job in jobs:
        job.wait_steps(7)
        requeue(job)
    early.wait_state("FAILED", "COMPLETED", "CANCELLED")
    requeue(early)
    for job in jobs:
        job.wait_life(2)
        job.is_whole(lives=2)
        job.says("stopping after step", "Slurm puts job %s back into the queue itself" % job.number)
        assert len(job.order()) == STEPS, "%d steps were taken" % len(job.order())
    early.wait_life(2)
    early.is_whole(lives=2)
