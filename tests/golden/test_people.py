# SPDX-License-Identifier: Apache-2.0
"""--dry-run tells what the sampler makes of the data's people: the numbers counted again from the picture numbers of a
real epoch (--order) and the shards' identities. And a naive identity training is told once that it is one."""
import csv
import glob
import math
import os

import h5py
import numpy
from golden import SMALL, facet, workspace

PICTURES = [12, 10, 8, 7, 6, 5, 4, 4, 3, 2, 2] # of each person; a quarter is kept to evaluate on
QUICK = SMALL + ["model.freeze=backbone", "optim.optimizer=sgd", "eval.predictions=false", "train.epochs=1"]


def uneven(top):
    """Eleven people, who have unlike numbers of pictures."""
    drawn, packed = os.path.join(top, "drawn"), os.path.join(top, "people")
    facet("synth", "-o", drawn, "--expression", 0, "--identities", len(PICTURES), "--per-identity", 12, "--size", 48)
    faces = os.path.join(drawn, "identity")
    for person, count in zip(sorted(os.listdir(faces)), PICTURES):
        for name in sorted(os.listdir(os.path.join(faces, person)))[count:]:
            os.remove(os.path.join(faces, person, name))
    facet("pack", faces, "-o", packed, "--size", 32, "--split", "val=0.25")
    return packed


def identities(packed):
    parts = sorted(glob.glob(os.path.join(packed, "train-*.h5")))
    assert parts
    return numpy.concatenate([h5py.File(p, "r")["identity"][:] for p in parts])


def expected(packed, batches, k):
    """The lines of the dry run, but for the bound, from the batches of an epoch."""
    label, shown, people, ratios, each = identities(packed), set(), set(), [], []
    per_batch, draws = [], 0
    for batch in batches:
        who = [label[i] for i in batch if label[i] >= 0]
        runs = [who.count(p) for p in sorted(set(who))]
        per_batch.append(len(runs))
        ratios += [len(who) / len(runs)] if runs else []
        each += runs
        shown |= {i for i in batch if label[i] >= 0}
        people |= set(who)
        draws += len(who)
    counts = numpy.bincount(label[label >= 0])
    few = counts[(counts > 0) & (counts < k)]
    return {"persons": (counts > 0).sum(), "pictures": counts.sum(), "persons_per_batch_mean": numpy.mean(per_batch),
            "persons_per_batch_min": min(per_batch), "persons_per_batch_max": max(per_batch),
            "images_per_person_mean": numpy.mean(ratios), "images_per_person_min": min(each),
            "images_per_person_max": max(each), "epoch_persons_share": len(people) / (counts > 0).sum(),
            "epoch_pictures_share": len(shown) / counts.sum(), "epoch_repeats": draws - len(shown),
            "few_persons": len(few), "few_pictures": few.sum()}


def epochs_to_see_all(order, label, skipped=()):
    """In how many epochs of the written order every picture of the people who take part came up."""
    wanted = {i for i, p in enumerate(label) if p >= 0 and p not in skipped}
    for epoch in sorted(order):
        for batch in order[epoch]:
            wanted -= set(batch)
        if not wanted:
            return epoch + 1
    return None


def read_order(path):
    order = {}
    for line in open(path):
        epoch, _, *pictures = [int(v) for v in line.split()]
        order.setdefault(epoch, []).append(pictures)
    return order


def check(top, packed, name, options, epochs=1):
    plan, path, run = ["data.path=" + packed, "tasks.identity=true", *options], os.path.join(top, name), os.path.join(top, name + "-run")
    outs = [facet("train", *QUICK, *plan, "--dry-run", ranks=ranks) for ranks in (1, 3)]
    told = [dict(l.split() for l in out.splitlines() if l.startswith("pk_")) for _, out, _ in outs]
    assert told[0] == told[1], told
    facet("train", *QUICK, *plan, "run.dir=" + run, "train.epochs=%d" % epochs, "eval.every=99", "--order", path)
    order = read_order(path)
    k = int([o for o in options if o.startswith("sampler.images_per_identity=")][0].split("=")[1])
    wanted = expected(packed, order[0], k)
    for key, value in wanted.items():
        assert abs(float(told[0]["pk_" + key]) - value) < 5.1e-3, (name, key, told[0]["pk_" + key], value)
    with open(os.path.join(run, "metrics.csv")) as f: # the trainer's own count of the same
        ratio = float(list(csv.DictReader(f))[0]["images_per_identity"])
    assert abs(ratio - wanted["images_per_person_mean"]) < 1e-6, (ratio, wanted)
    return told[0], order, outs[0][2]


def main():
    with workspace() as top:
        packed = uneven(top)
        label = identities(packed)
        counts = numpy.bincount(label)
        assert len(counts) == len(PICTURES) and counts.max() > 6 and 0 < (counts < 3).sum() < 5, counts

        pk = ["sampler.kind=pk", "sampler.identities_per_batch=4", "sampler.images_per_identity=3"]
        told, order, err = check(top, packed, "repeat", pk, epochs=4)
        assert told["pk_few_policy"] == "repeat" and "%d people have fewer than 3" % (counts < 3).sum() in err, err
        assert int(told["pk_epochs_to_see_all"]) == math.ceil(counts.max() / 3) >= epochs_to_see_all(order, label)

        few = {p for p, n in enumerate(counts) if n < 3}
        told, order, err = check(top, packed, "skip", pk + ["sampler.few=skip"], epochs=4)
        assert told["pk_few_policy"] == "skip" and "they take no part" in err, err
        assert float(told["pk_epoch_persons_share"]) < 1 and not few & {label[i] for b in order[0] for i in b}
        assert int(told["pk_epochs_to_see_all"]) >= epochs_to_see_all(order, label, few)

        naive = ["sampler.images_per_identity=3", "data.batch_size=6"]
        told, _, err = check(top, packed, "shuffle", naive)
        assert told["pk_epochs_to_see_all"] == "1" and told["pk_few_policy"] == "none", told
        assert float(told["pk_images_per_person_mean"]) < 1.5 and "sampler.kind=pk" in err, err

        run = os.path.join(top, "naive")
        options = [*SMALL, "model.freeze=backbone", "data.path=" + packed, "tasks.identity=true", "run.dir=" + run, *naive]
        facet("train", *options, "train.epochs=3", "--stop-after", 10, want=75)
        facet("train", *options, "train.epochs=3", "--resume", run)
        log = open(os.path.join(run, "train.log")).read()
        assert log.count("pictures of each of its people") == 1 and "Use sampler.kind=pk" in log, log[-2000:]


main()
