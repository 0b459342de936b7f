# SPDX-License-Identifier: Apache-2.0
"""What train.exact costs: steps with it and without, in turns, on 1 and on 2 ranks of 1 thread.

usage: exact.py FACET [ROUNDS]; ResNet-18 at 112, global batch 64, 8 shards. Prints the pictures/s of each turn
(median of the steps after the first two) and the medians of the rounds' ratios of step times.
"""
import csv
import os
import statistics
import subprocess
import sys
import tempfile

STEPS, WARM, BATCH, SIZE = 8, 2, 64, 112


def rate(program, data, ranks, exact):
    with tempfile.TemporaryDirectory() as top:
        run = os.path.join(top, "run")
        launch = ["mpirun", "-n", str(ranks), "--bind-to", "none"] if ranks > 1 else []
        env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   OMPI_MCA_rmaps_base_oversubscribe="1")
        done = subprocess.run(launch + [program, "train", "data.path=" + data, "run.dir=" + run, "model.stem=imagenet",
                                        "model.embedding=0", "tasks.landmarks=false", "data.batch_size=%d" % BATCH,
                                        "optim.optimizer=sgd", "data.num_workers=1", "cluster.threads=1",
                                        "train.exact=" + exact, "--stop-after", str(STEPS)],
                              env=env, capture_output=True, text=True)
        assert done.returncode == 75, done.stderr
        with open(os.path.join(run, "steps.csv")) as f:
            return statistics.median([float(row["pictures_per_s"]) for row in csv.DictReader(f)][WARM:])


def main():
    program, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as top:
        drawn, packed = os.path.join(top, "drawn"), os.path.join(top, "packed")
        subprocess.run([program, "synth", "-o", drawn, "--expression", str(BATCH * STEPS * 2), "--identities", "0",
                        "--size", str(SIZE), "--quiet"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([program, "pack", os.path.join(drawn, "expression"), "-o", packed, "--size", str(SIZE),
                        "--split", "val=0.1"], check=True, capture_output=True)
        ratios = {1: [], 2: []}
        for turn in range(rounds):
            for ranks in ratios:
                plain, exact = (rate(program, packed, ranks, on) for on in ("false", "true"))
                ratios[ranks].append(plain / exact)
                print("  round %d, %d rank%s: plain %.1f, exact %.1f pictures/s: a step takes %.2fx"
                      % (turn + 1, ranks, "s" * (ranks > 1), plain, exact, ratios[ranks][-1]), flush=True)
    print("exact over plain, step time: 1 rank %.2fx, 2 ranks %.2fx (medians of the rounds' ratios)" % tuple(
        statistics.median(ratios[ranks]) for ranks in ratios))


if __name__ == "__main__":
    main()
