# SPDX-License-Identifier: Apache-2.0
"""Training on the device against the CPU: train.py curve|checkpoint|repeat|ranks

curve: 300 steps fall as the CPU's do. checkpoint: begun on the CPU, gone on with on the device, ended on the
CPU; both devices read the same numbers out of it. repeat: with train.deterministic two runs end in the same bits,
recorded or operation by operation. ranks: two ranks that share the device see what one rank sees."""
import os
import sys

sys.path.insert(0, os.path.join(os.environ["FACET_SOURCE"], "tests", "golden"))
import numpy  # noqa: E402
from golden import column, data, facet, last_step, same_bits, workspace  # noqa: E402

QUICK = os.environ.get("FACET_GPU_QUICK") == "1"
# Deterministic pictures: a difference is the device's.
BASE = ["model.backbone=resnet18", "model.stem=small", "model.embedding=64", "data.num_workers=2", "data.size=32",
        "optim.learning_rate=0.001", "schedule.warmup_epochs=0.2", "log.every_steps=1", "eval.predictions=false"]
CPU, CUDA = "cluster.backend=cpu", "cluster.backend=cuda"


def options(steps, batch):
    """So many steps of that batch: epochs over 120 pictures (160, a quarter of them to evaluate)."""
    epochs = -(-steps * batch // 120)
    return BASE + ["data.path=" + data(), "data.batch_size=%d" % batch, "data.last_batch=drop",
                   "train.epochs=%d" % epochs, "eval.every=%d" % epochs]


def losses(*arguments, run, **more):
    facet("train", *arguments, "run.dir=" + run, timeout=900, **more)
    return numpy.array(column(run, "loss"))


def smooth(values, width):
    return numpy.convolve(values, numpy.ones(width) / width, "valid")


def curve(top):
    steps, batch = (24, 8) if QUICK else (300, 24)
    common = options(steps, batch)
    cpu = losses(*common, CPU, run=top + "/cpu")
    width = max(4, len(cpu) // 10)
    noise = numpy.std(cpu[-width:]) + 0.05 * abs(numpy.mean(cpu[:width]))
    for precision in ("f32", "bf16", "fp16"):
        cuda = losses(*common, CUDA, "train.precision=" + precision, run=top + "/" + precision)
        start = numpy.max(numpy.abs(cuda[:3] - cpu[:3]) / numpy.abs(cpu[:3]))
        apart = numpy.max(numpy.abs(smooth(cuda, width) - smooth(cpu, width)))
        print("%s: %d steps, loss %.4f -> %.4f (cpu %.4f -> %.4f); first steps within %.2g, means of %d steps within "
              "%.3g, noise %.3g" % (precision, len(cuda), cuda[0], smooth(cuda, width)[-1], cpu[0],
                                    smooth(cpu, width)[-1], start, width, apart, noise))
        assert start < (1e-3 if precision == "f32" else 0.03)
        assert smooth(cuda, width)[-1] < smooth(cuda, width)[0] - 0.2 * noise, "the loss does not fall"
        assert apart < 2 * noise, "another curve than the CPU's"


def checkpoint(top):
    steps = 6 if QUICK else 30
    run, common = top + "/run", options(3 * steps, 24)
    facet("train", *common, CPU, "run.dir=" + run, "--stop-after", steps, want=75)
    facet("train", *common, CUDA, "train.precision=f32", "run.dir=" + run, "--resume", run, "--stop-after", steps, want=75)
    middle = last_step(run)
    scores = [facet("eval", middle, data(), "--json", backend)[1] for backend in (CPU, CUDA)]
    facet("train", *common, CPU, "run.dir=" + run, "--resume", run)
    mixed = numpy.array(column(run, "loss"))
    alone = losses(*common, CPU, run=top + "/alone")
    apart = numpy.max(numpy.abs(mixed - alone) / numpy.abs(alone))
    print("cpu, cuda, cpu: %d steps within %.3g of the CPU alone" % (len(mixed), apart))
    assert len(mixed) == len(alone) and apart < 0.05
    print("evaluated on either:", *scores, sep="\n")


def repeat(top):
    steps = 8 if QUICK else 60
    common = options(steps, 24) + [CUDA, "train.deterministic=true", "optim.ema=0.99"]
    runs = []
    for name, more in (("one", []), ("two", []), ("plain", ["cluster.graph=false"])):
        facet("train", *common, *more, "run.dir=%s/%s" % (top, name), timeout=600)
        runs.append(last_step("%s/%s" % (top, name)))
    for other in runs[1:]:
        assert same_bits(runs[0], other) == [], same_bits(runs[0], other)[:5]
    print("the same bits after %d steps: twice recorded, once operation by operation" % steps)


def ranks(top):
    steps = 6 if QUICK else 30
    common = options(steps, 24) + [CUDA, "train.precision=f32", "cluster.transport=mpi", "train.sync_bn=true"]
    one = losses(*common, run=top + "/one")
    two = losses(*common, run=top + "/two", ranks=2)
    apart = numpy.abs(two - one) / numpy.abs(one)
    print("1 and 2 ranks: first steps within %.3g, all %d within %.3g" % (apart[:3].max(), len(one), apart.max()))
    assert apart[:3].max() < 1e-4 and apart.max() < 0.05


with workspace() as folder:
    {"curve": curve, "checkpoint": checkpoint, "repeat": repeat, "ranks": ranks}[sys.argv[1]](folder)
