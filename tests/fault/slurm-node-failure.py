# SPDX-License-Identifier: Apache-2.0
"""C6 node failure: every process of a node dies at once. Under srun Slurm requeues the job itself when
it sees the node down; under mpirun the launcher ends first and the script of `facet submit` asks. Both go
on elsewhere."""
from slurm_lib import Sandbox, skip

with Sandbox(nodes=3) as s:
    if s.mode != "uts":
        skip("a node's processes can only be told apart as root (unshare --mount --uts)")
    # Facet's own watchdog is off under srun: it would end the job at about the moment when Slurm, whose limits are
    # seconds here instead of minutes, sees the node down; Slurm 22.05 revokes a job requeued in that very second.
    jobs = [s.job("srun", options=("cluster.limit_silence=0",)), s.job("mpirun", "mpirun", kill_s=1)]
    for job in jobs:
        job.wait_steps(7)
        assert job.facts()["NodeList"] == "n[1-2]", "the job is on " + job.facts()["NodeList"]
    s.tool("node", "kill", 2)
    for job in jobs:
        job.wait_life(2)
        assert job.facts()["NodeList"] == "n[1,3]", "the second life is on " + job.facts()["NodeList"]
        job.is_whole(lives=2)
    jobs[0].says("DUE TO NODE FAILURE")
    jobs[1].says("ORTE has lost communication", "exit code 205: back into the queue")
