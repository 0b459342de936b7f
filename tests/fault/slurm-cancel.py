# SPDX-License-Identifier: Apache-2.0
"""C6 cancel: scancel's SIGTERM is answered with a checkpoint within KillWait, and the job stays away."""
import subprocess
import time

from slurm_lib import Sandbox, golden

with Sandbox() as s:
    jobs = [s.job("srun"), s.job("mpirun", "mpirun")]
    for job in jobs:
        job.wait_steps(7)
        subprocess.run(["scancel", job.number], check=True)
    for job in jobs:
        job.wait_state("CANCELLED")
        job.says("stopping after step", "SIGTERM", "job %s is being ended" % job.number)
        steps = len(job.order())
        saved = golden.last_step(job.run)
        assert saved.endswith("step_%08d" % steps), "%d steps were taken, %s is saved" % (steps, saved)
    time.sleep(8)  # cred_expire: a requeued job would be back
    for job in jobs:
        assert job.facts()["JobState"] == "CANCELLED" and job.facts()["Restarts"] == "0"
