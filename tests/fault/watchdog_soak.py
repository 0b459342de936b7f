# SPDX-License-Identifier: Apache-2.0
"""C1: no false alarm on a machine with three busy programs a core. FACET_SOAK_S: how long, 10 s by default;
the promise is 3600."""
import os
import signal
import subprocess
import time

from watchdog_job import Job, workspace


def main():
    seconds = float(os.environ.get("FACET_SOAK_S", "10"))
    with workspace() as top:
        job = Job(os.path.join(top, "soak"), "train.epochs=100000", "cluster.limit_step=20", "cluster.limit_eval=20",
                  "cluster.slow_factor=0", "checkpoint.every_steps=200", "eval.every=50", "eval.predictions=false")
        job.wait_for(lambda: job.steps() > 0, "the first step")
        burners = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(3 * os.cpu_count())]
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                assert job.process.poll() is None, "false alarm:\n" + job.err()[-3000:]
                time.sleep(0.5)
        finally:
            for b in burners:
                b.kill()
                b.wait()
        job.process.send_signal(signal.SIGUSR1)
        code, err, _ = job.end()
        assert "facet: error:" not in err, err[-3000:]
        print("%.0f s, %d steps, no alarm, load %s, exit %d" % (seconds, job.steps(), os.getloadavg(), code))


main()
