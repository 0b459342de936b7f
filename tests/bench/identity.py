# SPDX-License-Identifier: Apache-2.0
"""Training steps with an ArcFace head of many persons, facet against the better of PyTorch's two
layouts, taking turns. facet's step is that of `facet train`: pictures decoded, augmented and
waited for, gradient norm and update included; PyTorch's has its batch in memory.
With --threads 1 processor time counts, so that a busy machine does not; facet's loader is in it.
usage: identity.py FACET [--rounds 3] [--threads 2] [--steps 5] [--persons 10000] [--batch 64]
                   [--only resnet18 iresnet50] [--size 112]"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True}


def measured(command, options):
    """Standard output, and the largest memory in MiB."""
    env = dict(os.environ, OMP_NUM_THREADS=str(options.threads))
    p = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    out = p.stdout.read()
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode:
        sys.exit(f"{' '.join(command)}: exit code {p.returncode}")
    return out, usage.ru_maxrss // 1024


def facet(name, folder, options):
    out, peak = measured(
        [options.facet, "bench", "step", "data.path=" + folder, "data.val_split=train", f"data.size={options.size}",
         f"data.batch_size={options.batch}", "data.num_workers=1", "model.backbone=" + name, "model.embedding=512",
         "tasks.identity=true", "tasks.expression=false", "tasks.landmarks=false",
         "optim.optimizer=sgd", "optim.learning_rate=0.01", "schedule.warmup_epochs=0",
         f"cluster.threads={options.threads}", "--steps", str(options.steps), "--warmup", "2", "--json"], options)
    got = json.loads(out)
    took = got["cpu_s"] if options.threads == 1 else got["step_median_s"]
    return options.batch / took, peak, got["parts_s"]["head"] / got["step_s"]


def torch(name, layout, options):
    out, peak = measured([sys.executable, os.path.join(HERE, "step_torch.py"), name, str(options.size),
                          str(options.batch), str(options.threads), str(options.steps), layout,
                          str(options.persons)], options)
    return float(out.split()[0]), peak


def measure(name, folder, options):
    found = {"facet": [], "contiguous": [], "channels_last": []}
    for _ in range(options.rounds):
        found["facet"].append(facet(name, folder, options))
        for layout in ("contiguous", "channels_last"):
            found[layout].append(torch(name, layout, options))
    ratios = [f[0] / max(c[0], l[0]) for f, c, l in zip(*found.values())]
    cells = [f"{statistics.median(r[0] for r in rows):6.2f}/s {max(r[1] for r in rows):5d} MiB"
             for rows in found.values()]
    share = statistics.median(f[2] for f in found["facet"])
    print(f"{name:10} {cells[0]:>18} {cells[1]:>18} {cells[2]:>20} "
          f"{statistics.median(ratios):8.2f} ({min(ratios):.2f}..{max(ratios):.2f}) head {100 * share:5.1f} %  "
          f"load {os.getloadavg()[0]:.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("facet")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--persons", type=int, default=10000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--only", nargs="*", default=["resnet18", "iresnet50"])
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="facet-identity-")
    try:
        subprocess.run([options.facet, "synth", "-o", folder + "/faces", "--expression", "0", "--identities",
                        str(options.persons), "--per-identity", "1", "--size", "32", "--quiet"], **QUIET)
        subprocess.run([options.facet, "pack", folder + "/faces/identity", "-o", folder + "/set", "--size", "32",
                        "--quiet"], **QUIET)
        print(f"{'model':10} {'facet':>18} {'torch contiguous':>18} {'torch channels_last':>20} ratio to the better")
        for name in options.only:
            measure(name, folder + "/set", options)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
