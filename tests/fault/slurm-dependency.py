# SPDX-License-Identifier: Apache-2.0
"""C6 dependency: a chain of jobs on one run. Each link goes on where the one before stopped; the link
after a success starts with afterok, the one after exit code 75 with afterany."""
from slurm_lib import STEPS, Sandbox

with Sandbox() as s:
    run = s.folder + "/run"
    first = s.job("first", step_ms=0, run=run, options=["cluster.requeue=0"], more="--stop-after 7")
    second = s.job("second", step_ms=0, run=run, sbatch=["--dependency=afterany:" + first.number])
    third = s.job("third", step_ms=0, run=run, sbatch=["--dependency=afterok:" + second.number])
    first.wait_state("FAILED")
    first.says("exit code 75")
    second.wait_state("COMPLETED")
    third.wait_state("COMPLETED")
    assert first.facts()["Restarts"] == "0", "--stop-after must not requeue"
    assert len(third.order()) == STEPS, "%d steps were taken" % len(third.order())
    third.says("job %s, life 1" % first.number, "job %s, life 1" % second.number, "job %s, life 1" % third.number)
