# SPDX-License-Identifier: Apache-2.0
"""facet's training step against PyTorch's on the same card, in turns: images/s, and the ratio to the better of
PyTorch's. facet trains on packed pictures through its loader, PyTorch on pictures that are there already.

bench.py NETWORK..|all|others   rows of NETWORKS; others: all but the first
bench.py norm                   the first row with own batch norm and with cuDNN's
bench.py prepare                draws the pictures and lets PyTorch compile, so that neither is waited for later"""
import concurrent.futures
import json
import os
import subprocess
import sys

FACET, OUT = os.environ["FACET"], os.environ["FACET_GPU_OUT"]
HERE = os.path.dirname(os.path.abspath(__file__))
QUICK = os.environ.get("FACET_GPU_QUICK") == "1"
# name, backbone, size, batch, precision, persons, what PyTorch runs, wanted ratio to its compiled form
NETWORKS = [("resnet50-224-bf16", "resnet50", 224, 256, "bf16", 0, ("eager", "compiled"), 1.3),
            ("resnet50-224-fp16", "resnet50", 224, 256, "fp16", 0, (), None),
            ("resnet18-112-bf16", "resnet18", 112, 256, "bf16", 0, ("eager", "compiled", "graphs"), 1.5),
            ("iresnet50-112-10k-bf16", "iresnet50", 112, 128, "bf16", 10000, ("eager", "compiled"), 1.3)]
STEPS, WARMUP = (1, 1) if QUICK else (60, 20)


def run(command, limit=150, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=limit,
                          env={**os.environ, **more})
    if done.returncode:
        raise RuntimeError("%s\n%s" % (" ".join(map(str, command)), done.stderr[-1500:]))
    return done.stdout


def pictures(size, persons):
    """A packed set, drawn once: random faces; with persons at least as many as asked for, two of each."""
    folder = os.path.join(OUT, "pictures-%d-%d" % (size, persons))
    if not os.path.isdir(folder):
        drawn, many = folder + "-drawn", 64 if QUICK else 2048
        run([FACET, "synth", "-o", drawn, "--size", size, "--seed", 3, "--quiet"] +
            (["--expression", 0, "--identities", persons, "--per-identity", 2] if persons else
             ["--expression", many, "--identities", 0]))
        run([FACET, "pack", drawn + ("/identity" if persons else "/expression"), "-o", folder, "--size", size, "--quiet",
             "--split", "val=0.05"])
    return folder


def ours(name, backbone, size, batch, precision, persons, **more):
    task = ["tasks.identity=true", "tasks.expression=false"] if persons else []
    out = run([FACET, "bench", "step", "cluster.backend=cuda", "train.precision=" + precision,
               "model.backbone=" + backbone, "model.embedding=512", "data.path=" + pictures(size, persons),
               "data.size=%d" % size, "data.batch_size=%d" % batch, "optim.optimizer=sgd", "data.last_batch=drop",
               "cluster.plan_cache=" + os.path.join(OUT, "plans.txt"), *task, *(["cluster.autotune=false"] if QUICK else []),
               "--steps", STEPS, "--warmup", WARMUP,
               "--json"], **more)
    with open(os.path.join(OUT, "logs", name + ".json"), "w") as f:
        f.write(out)
    return json.loads(out.strip().splitlines()[-1])


def theirs(backbone, size, batch, precision, persons, mode, steps=STEPS):
    try:
        out = run([sys.executable, os.path.join(HERE, "torch_step.py"), backbone, size, batch, precision, mode, persons, steps])
        return json.loads(out.strip().splitlines()[-1])["images_per_s"]
    except (RuntimeError, subprocess.TimeoutExpired, ValueError, IndexError) as error:
        print("    PyTorch, %s: %s" % (mode, str(error).strip().splitlines()[-1][-300:]))
        return None


def ratio(a, b):
    return "%6.2f" % (a / b) if b else "     -"


def small(row):
    name, backbone, size, batch, precision, persons, modes, wanted = row
    if QUICK:
        backbone, size, batch, persons, modes = "resnet18", 32, 4, min(persons, 20), modes[:1]
    return name, backbone, size, batch, precision, persons, modes, wanted


def compare(rows):
    """What is slower than wanted, in words."""
    print("%-24s %10s %10s %10s %10s  %8s %8s" % ("network", "facet", "eager", "compiled", "graphs", "/ eager", "/ best"))
    short = []
    for name, *shape, modes, wanted in map(small, rows):
        first = ours(name, *shape)["pictures_per_s"]
        print("    %s: facet %.0f" % (name, first))
        other = {m: theirs(*shape, m) for m in modes}
        rate = max(first, ours(name, *shape)["pictures_per_s"])
        best = max((v for m, v in other.items() if v and m != "eager"), default=None)
        show = ["%10.0f" % other[m] if other.get(m) else "%10s" % "-" for m in ("eager", "compiled", "graphs")]
        print("%-24s %10.0f %s  %8s %8s" % (name, rate, " ".join(show), ratio(rate, other.get("eager")), ratio(rate, best)))
        if wanted and best and rate / best < wanted:
            short.append("%s: %.2f of the wanted %.2f" % (name, rate / best, wanted))
    return short


def norm(row):
    name, *shape, _, _ = small(row)
    for kernels in ("own", "cudnn"):
        got = ours(name + "-norm-" + kernels, *shape, FACET_CUDA_BN=kernels)
        print("%-24s batch norm %-6s %10.0f" % (name, kernels, got["pictures_per_s"]))


def prepare(rows):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        jobs = [pool.submit(theirs, *shape, mode, 1) for _, *shape, modes, _ in map(small, rows) for mode in modes if mode != "eager"]
        for _, _, size, _, _, persons, _, _ in map(small, rows):
            print(pictures(size, persons))
        print("PyTorch's compilations:", *(job.result() for job in jobs))


wanted = sys.argv[1:] or ["all"]
if wanted == ["prepare"]:
    prepare(NETWORKS)
elif wanted == ["norm"]:
    norm(NETWORKS[0])
else:
    names = {"all": [row[0] for row in NETWORKS], "others": [row[0] for row in NETWORKS[1:]]}
    chosen = sum((names.get(w, [w]) for w in wanted), [])
    for line in compare([row for row in NETWORKS if row[0] in chosen]):
        print("below what is wanted:", line)
