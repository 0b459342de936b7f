# SPDX-License-Identifier: Apache-2.0
"""Training on the device against the CPU: train.py curve|checkpoint|repeat|ranks

curve: 300 steps fall as the CPU's do. checkpoint: begun on the CPU, gone on with on the device, ended on the
CPU; both devices read the same numbers out of it. repeat: with train.deterministic two runs end in the same bits,
recorded or operation by operation. ranks: two ranks that share the device see what one rank sees."""
import concurrent.futures
import json
import os
import sys

sys.path.insert(0, os.path.join(os.environ["FACET_SOURCE"], "tests", "golden"))
import numpy  # noqa: E402
from golden import column, data, facet, last_step, same_bits, workspace  # noqa: E402

QUICK = os.environ.get("FACET_GPU_QUICK") == "1"
# Deterministic pictures: a difference is the device's.
BASE = ["model.backbone=resnet18", "model.stem=small", "model.embedding=64", "data.num_workers=2", "data.size=32",
        "optim.learning_rate=0.001", "schedule.warmup_epochs=0.2", "log.every_steps=1", "eval.predictions=false"]
if QUICK: # a stand-in of a device runs kernels thread by thread
    BASE += ["model.stem=imagenet", "model.embedding=16", "cluster.autotune=false", "cluster.self_test=false"]
CPU, CUDA = "cluster.backend=cpu", "cluster.backend=cuda"
CORES = {"OMP_NUM_THREADS": str(max(1, min(8, (os.cpu_count() or 2) // 2)))}


def options(steps, batch):
    """So many steps of that batch: epochs over 120 pictures (160, a quarter of them to evaluate)."""
    epochs = -(-steps * batch // 120)
    return BASE + ["data.path=" + data(), "data.batch_size=%d" % batch, "data.last_batch=drop",
                   "train.epochs=%d" % epochs, "eval.every=%d" % epochs]


def losses(*arguments, run, **more):
    facet("train", *arguments, "run.dir=" + run, timeout=900, env=CORES, **more)
    return numpy.array(column(run, "loss"))


def smooth(values, width):
    return numpy.convolve(values, numpy.ones(width) / width, "valid")


def curve(top):
    steps, batch = (9, 8) if QUICK else (300, 24)
    common, kinds = options(steps, batch), ("bf16",) if QUICK else ("bf16", "f32", "fp16")
    data() # drawn before several want it
    with concurrent.futures.ThreadPoolExecutor() as pool:
        jobs = {k: pool.submit(losses, *common, CUDA, "train.precision=" + k, run=top + "/" + k) for k in kinds}
        cpu = losses(*common, CPU, run=top + "/cpu")
        wrong = [k for k in kinds if not follows(k, jobs[k].result(), cpu)]
    assert not wrong, wrong


def follows(precision, cuda, cpu):
    width = max(4, len(cpu) // 10)
    noise = numpy.std(cpu[-width:]) + 0.05 * abs(numpy.mean(cpu[:width]))
    first = 3 if precision == "f32" else 1 # rounding to 16 bits soon leads elsewhere
    start = numpy.max(numpy.abs(cuda[:first] - cpu[:first]) / numpy.abs(cpu[:first]))
    apart = numpy.max(numpy.abs(smooth(cuda, width) - smooth(cpu, width)))
    print("%s: %d steps, loss %.4f -> %.4f (cpu %.4f -> %.4f); first %d within %.2g, means of %d steps within "
          "%.3g, noise %.3g" % (precision, len(cuda), cuda[0], smooth(cuda, width)[-1], cpu[0],
                                smooth(cpu, width)[-1], first, start, width, apart, noise))
    falls = QUICK or smooth(cuda, width)[-1] < smooth(cuda, width)[0] - 0.2 * noise
    ok = {"begins as the CPU's": start < (1e-3 if precision == "f32" else 0.03), "falls": falls,
          "is the CPU's": apart < 2 * noise}
    for what in ok:
        if not ok[what]:
            print("    not true: %s: its curve %s" % (precision, what))
    return all(ok.values())


def checkpoint(top):
    steps = 2 if QUICK else 10
    run, common = top + "/run", options(3 * steps, 24)
    facet("train", *common, CPU, "run.dir=" + run, "--stop-after", steps, want=75, env=CORES)
    facet("train", *common, CUDA, "train.precision=f32", "run.dir=" + run, "--resume", run, "--stop-after", steps, want=75, env=CORES)
    middle = last_step(run)
    scores = [json.loads(facet("eval", middle, data(), "--json", "--backend", backend)[1]) for backend in ("cpu", "cuda")]
    facet("train", *common, CPU, "run.dir=" + run, "--resume", run, env=CORES)
    mixed = numpy.array(column(run, "loss"))
    alone = losses(*common, CPU, run=top + "/alone")
    apart = numpy.max(numpy.abs(mixed - alone) / numpy.abs(alone))
    print("cpu, cuda, cpu: %d steps within %.3g of the CPU alone" % (len(mixed), apart))
    assert len(mixed) == len(alone) and apart < 0.05
    cpu, cuda = ([v for v in scores[i].values() if isinstance(v, (int, float))] for i in (0, 1))
    differ = max(abs(a - b) / max(abs(a), 1) for a, b in zip(cpu, cuda, strict=True))
    print("evaluated on either: %d numbers within %.3g" % (len(cpu), differ))
    assert cpu and differ < 0.06


def repeat(top):
    steps = 3 if QUICK else 60
    common = options(steps, 24) + [CUDA, "train.deterministic=true", "optim.ema=0.99"]
    runs = []
    for name, more in (("one", []), ("two", []), ("plain", ["cluster.graph=false"])):
        facet("train", *common, *more, "run.dir=%s/%s" % (top, name), timeout=600)
        runs.append(last_step("%s/%s" % (top, name)))
    for other in runs[1:]:
        assert same_bits(runs[0], other) == [], same_bits(runs[0], other)[:5]
    print("the same bits after %d steps: twice recorded, once operation by operation" % steps)


def ranks(top):
    steps = 3 if QUICK else 30
    common = options(steps, 24) + [CUDA, "train.precision=f32", "cluster.transport=mpi", "train.sync_bn=true"]
    one = losses(*common, run=top + "/one")
    two = losses(*common, run=top + "/two", ranks=2)
    apart = numpy.abs(two - one) / numpy.abs(one)
    print("1 and 2 ranks: first step within %.3g, three within %.3g, all %d within %.3g" % (
        apart[0], apart[:3].max(), len(one), apart.max()))
    assert apart[0] < 1e-4 and apart[:3].max() < 5e-3 and apart.max() < 0.05


with workspace() as folder:
    {"curve": curve, "checkpoint": checkpoint, "repeat": repeat, "ranks": ranks}[sys.argv[1]](folder)
