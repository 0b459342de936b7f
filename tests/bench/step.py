# SPDX-License-Identifier: Apache-2.0
"""Whole training steps, facet against the better of PyTorch's two layouts, in alternating rounds so
that a machine whose speed drifts treats both alike.
usage: step.py BENCH_STEP [--rounds 3] [--threads 2] [--steps 5] [--only resnet18:112:64 ...]"""
import argparse
import os
import statistics
import subprocess
import sys

CASES = ["resnet18:224:32", "resnet18:112:64", "resnet50:224:32", "resnet50:112:64",
         "iresnet18:112:64", "iresnet50:112:64"]
HERE = os.path.dirname(os.path.abspath(__file__))


def measure(command, case, options):
    setting = case.split(":") + [str(options.threads), str(options.steps)]
    env = dict(os.environ, OMP_NUM_THREADS=str(options.threads))
    out = subprocess.run(command[:2] + setting + command[2:],
                         env=env, check=True, capture_output=True, text=True).stdout.split()
    return float(out[0]), int(out[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench_step")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=CASES)
    options = parser.parse_args()
    torch = [sys.executable, os.path.join(HERE, "step_torch.py")]
    peers = {"facet": [options.bench_step], "contiguous": torch + ["contiguous"],
             "channels_last": torch + ["channels_last"]}
    print(f"{'case':16} {'facet':>18} {'torch contiguous':>18} {'torch channels_last':>20} "
          f"{'ratio to the better':>20} {'peak':>6}")
    for case in options.only:
        found = {name: [] for name in peers}
        for _ in range(options.rounds):
            for name, command in peers.items():
                found[name].append(measure(command, case, options))
        speed = {name: [f[0] for f in rows] for name, rows in found.items()}
        peak = {name: max(f[1] for f in rows) for name, rows in found.items()}
        ratios = [f / max(c, l) for f, c, l in zip(*speed.values())]
        best = min(peak["contiguous"], peak["channels_last"])
        cells = [f"{statistics.median(speed[n]):6.2f}/s {peak[n]:5d} MiB" for n in peers]
        print(f"{case:16} {cells[0]:>18} {cells[1]:>18} {cells[2]:>20} "
              f"{statistics.median(ratios):12.2f} ({min(ratios):.2f}..{max(ratios):.2f}) "
              f"{peak['facet'] / best:5.2f}x  load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
