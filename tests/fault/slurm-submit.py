# SPDX-License-Identifier: Apache-2.0
"""C6 submit: `facet submit` on two nodes runs to its end, started by srun and by mpirun."""
from slurm_lib import Sandbox

with Sandbox() as s:
    for job in [s.job(launcher, launcher, step_ms=0, sbatch=["--time=30"]) for launcher in ("srun", "mpirun")]:
        job.is_whole(lives=1)
        job.says("job %s, life 1 of this job, its time limit ends at 2" % job.number, "exit code 0",
                 "2 (mpi) on n")
