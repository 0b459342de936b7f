# SPDX-License-Identifier: Apache-2.0
"""C6 array: three tasks, each with its run; one asks for another life, and only that one gets it."""
import subprocess

from slurm_lib import STEPS, Job, Sandbox

with Sandbox() as s:
    array = s.job("array", sbatch=["--array=0-2"], nodes=1,
                  run=s.folder + "/run-${SLURM_ARRAY_TASK_ID}")
    tasks = []
    for i in range(3):
        task = Job(s, "%s_%d" % (array.number, i), s.folder + "/run-%d" % i, s.folder + "/array")
        tasks.append(task)
        task.wait_steps(2)
        # sbatch names the file after the task's own number
        task.output = "%s/array-%s.out" % (s.folder, task.facts()["JobId"])
        s.outputs.append(task.output)
    # The last task is the one that has the array's number: requeueing that would requeue all.
    subprocess.run(["scancel", "--signal=USR1", tasks[2].number], check=True)
    for i in range(3):
        tasks[i].wait_state("COMPLETED")
        lives = tasks[i].log().count("facet train")
        assert lives == (2 if i == 2 else 1), "task %d had %d lives" % (i, lives)
        assert len(tasks[i].order()) == STEPS, "task %d took %d steps" % (i, len(tasks[i].order()))
    tasks[2].says("stopping after step", "SIGUSR1",
                  "job %s goes back into the queue for life 2" % tasks[2].number)
