# SPDX-License-Identifier: Apache-2.0
"""init.freeze_epochs: the frozen part keeps its bits until the border and trains behind it; a run that stops before,
at or behind the border and resumes is bit-identical to one that does not; what is frozen for ever stays frozen."""
import os

import numpy
from golden import SMALL, arrays, column, data, facet, last_step, same_bits, workspace

# 117 pictures: five steps an epoch. The border lies in the middle of the second one.
FROZEN = SMALL + ["init.freeze_epochs=1.4", "train.epochs=3"]
BORDER = 7
VARIANTS = [
    ("adamw", 2, ["optim.optimizer=adamw", "optim.ema=0.9"], (6, 8)),
    ("parts", 1, ["optim.optimizer=sgd", "train.accumulate=2", "model.freeze=layer2"], (7,)),
]


def changed(before, after, frozen):
    """Of the parameters below and behind the frozen ones: which have other bits."""
    names = [n for n in before if n.startswith("model/")]
    inside = [n for n in names if n.startswith(frozen)]
    assert inside and len(inside) < len(names)
    moved = {n for n in names if before[n].tobytes() != after[n].tobytes()}
    return [n for n in inside if n in moved], [n for n in names if n not in inside and n not in moved]


def check_variant(packed, top, name, ranks, extra, stops):
    def train(folder, *more, want=0, ranks=ranks):
        return facet("train", *FROZEN, *extra, "data.path=" + packed, "run.dir=" + os.path.join(top, folder), *more,
                     ranks=ranks, want=want)

    _, _, err = train(name + "-whole")
    assert err.count("from step %d on everything trains" % (BORDER + 1)) == 1, err
    whole = last_step(os.path.join(top, name + "-whole"))
    for stop in stops:
        cut = os.path.join(top, "%s-cut-%d" % (name, stop))
        train(os.path.basename(cut), "--stop-after", stop, want=75)
        train(os.path.basename(cut), "--resume", cut)
        differing = same_bits(whole, last_step(cut))
        assert differing == [], "%s stopped after %d steps: %s" % (name, stop, differing[:5])
    print("%s: stopped after %s steps, resumed, bit-identical" % (name, stops))


def check_bits(packed, top):
    """What is frozen keeps its bits, running statistics and moments included, until the border and not behind it."""
    common = [*FROZEN, "data.path=" + packed, "model.freeze=layer3"]
    at = {}
    run = os.path.join(top, "bits")
    for steps in (1, BORDER - 1, 1):
        more = ["--resume", run] if at else []
        facet("train", *common, "run.dir=" + run, *more, "--stop-after", steps, want=75)
        done = sum(at) + steps if not at else max(at) + steps
        at[done] = arrays(last_step(run))
    below = tuple("model/backbone." + p for p in ("conv1.", "bn1.", "layer1.", "layer2.", "layer3."))
    moved, still = changed(at[1], at[BORDER], below)
    assert moved == [] and still == [], (moved[:3], still[:3])
    assert not any(v.any() for n, v in at[BORDER].items() if n.startswith("optim/exp_avg") and
                   n.split("/", 2)[2].startswith("backbone.layer1."))
    moved, still = changed(at[BORDER], at[BORDER + 1], below)
    assert len(moved) > 40 and still == [], still[:3]
    assert at[BORDER]["train/thawed_at"] == -1 and at[BORDER + 1]["train/thawed_at"] == BORDER


def check_first_thawed_step(packed, top):
    """AdamW's first step of a parameter is its learning rate in size, however late it comes (torch counts steps by
    parameter). The backbone's is one tenth of the heads'; the schedule does not know of the border."""
    run = os.path.join(top, "first")
    common = [*FROZEN, "data.path=" + packed, "run.dir=" + run, "optim.weight_decay=0", "optim.eps=1e-12"]
    facet("train", *common, "--stop-after", BORDER, want=75)
    before = arrays(last_step(run))
    facet("train", *common, "--resume", run, "--stop-after", 1, want=75)
    after, rate = arrays(last_step(run)), column(run, "learning_rate")[-1]
    name = "model/backbone.layer4.0.conv1.weight"
    step = numpy.abs(after[name] - before[name])[before[name] != after[name]] / rate
    assert abs(numpy.median(step) - 1) < 1e-3, numpy.median(step)
    free = os.path.join(top, "free")
    facet("train", *SMALL, "train.epochs=3", "data.path=" + packed, "run.dir=" + free, "--stop-after", BORDER + 1, want=75)
    assert column(free, "learning_rate") == column(run, "learning_rate")


def check_other_ranks(packed, top):
    """train.exact over the border: the same bits as one run on one rank, when every resume has another number."""
    one, many = os.path.join(top, "one"), os.path.join(top, "many")
    common = [*FROZEN, "train.exact=true", "train.exact_shards=2", "data.path=" + packed]
    facet("train", *common, "run.dir=" + one)
    for ranks, steps in ((2, BORDER - 2), (1, 2), (2, 1), (1, 100)):
        more = ["--resume", many] if os.path.isdir(many) else []
        facet("train", *common, "run.dir=" + many, *more, "--stop-after", steps, ranks=ranks, want=0 if steps == 100 else 75)
    differing = same_bits(last_step(one), last_step(many))
    assert differing == [], differing[:5]


def check_memory(packed, top):
    """What is planned before the first step is the larger phase's, and 'trained' counts what trains first."""
    told = []
    for extra in (["init.freeze_epochs=1.4"], ["model.freeze=backbone"], []):
        _, out, err = facet("train", *SMALL, "data.path=" + packed, *extra, "--dry-run")
        told.append((dict(line.split(None, 1) for line in out.splitlines())["activations_bytes"], err))
    thawed, frozen, free = (int(bytes) for bytes, _ in told)
    assert thawed == max(frozen, free) == free > frozen, (thawed, frozen, free)
    assert "backbone for the first 1.4 epochs (7 steps), then everything trains" in told[0][1], told[0][1]
    assert "(0.0 M trained)" in told[0][1] and "frozen  " not in told[2][1]


def main():
    packed = data()
    with workspace() as top:
        check_memory(packed, top)
        check_bits(packed, top)
        check_first_thawed_step(packed, top)
        check_other_ranks(packed, top)
        for variant in VARIANTS:
            check_variant(packed, top, *variant)


main()
