# SPDX-License-Identifier: Apache-2.0
"""A4: with train.exact the whole training has the same bits on 1, 2, 4 and 8 ranks, and when every resume has
another number of ranks; what cannot be exact is refused in words."""
import csv
import hashlib
import os

import numpy
from golden import SMALL, arrays, column, data, facet, last_step, same_bits, workspace

# 117 pictures: 3 batches of 38, whose shards have 4 or 5, and one of 3, which leaves shards empty.
EXACT = SMALL + ["data.batch_size=38", "optim.ema=0.9", "train.exact=true"]
OTHERS = ["data.batch_size=24", "train.accumulate=2", "loss.use_uncertainty_weighting=auto_initial", "train.exact=true",
          "optim.optimizer=sgd", "optim.clip_norm=1", "sampler.kind=weighted", "train.exact_shards=4"]
TIMES = ("pictures_per_s", "loader_wait_s", "seconds")


def fingerprint(run_folder):
    """Of the last checkpoint's arrays and of metrics.csv, but for what names the run or tells the time."""
    h = hashlib.sha256()
    for name, value in sorted(arrays(last_step(run_folder)).items()):
        if name not in ("meta/config", "history/metrics.csv", "train/seconds"):
            h.update(name.encode() + numpy.asarray(value).tobytes())
    with open(os.path.join(run_folder, "metrics.csv")) as f:
        for row in csv.DictReader(f):
            h.update(repr([(k, v) for k, v in row.items() if k not in TIMES]).encode())
    with open(os.path.join(run_folder, "predictions", "val_epoch_001.csv"), "rb") as f:
        h.update(f.read())
    return h.hexdigest()


def check_equal(top, names):
    prints = {name: fingerprint(os.path.join(top, name)) for name in names}
    first = os.path.join(top, names[0])
    assert len(set(prints.values())) == 1, (prints, [
        (name, same_bits(last_step(first), last_step(os.path.join(top, name)))[:3]) for name in names])
    print("%s: one hash, %s" % (", ".join(names), prints[names[0]][:16]))


def main():
    packed = data()
    with workspace() as top:
        def train(name, ranks, *more, options=EXACT, want=0, env=None):
            return facet("train", *options, "data.path=" + packed, "run.dir=" + os.path.join(top, name), *more,
                         ranks=ranks, want=want, env=env)

        for ranks in (1, 8):
            train("ranks%d" % ranks, ranks)
        train("ranks2", 2, "cluster.threads=0", env={"OMP_NUM_THREADS": "2"}) # here 0 means 1
        train("ranks4nodes2", 4, env={"FACET_FAKE_NODES": "2"})
        train("moving", 1, "--stop-after", 2, want=75)
        for ranks, steps in ((2, 1), (4, 1), (8, 1), (1, 100)):
            train("moving", ranks, "--resume", os.path.join(top, "moving"), "--stop-after", steps,
                  want=0 if steps == 100 else 75)
        check_equal(top, ["ranks1", "ranks2", "ranks4nodes2", "ranks8", "moving"])
        for ranks in (1, 4):
            train("parts%d" % ranks, ranks, "train.epochs=1", options=SMALL + OTHERS)
        check_equal(top, ["parts1", "parts4"])

        # The objective is that of plain training on as many ranks as there are shards.
        train("plain", 2, "--stop-after", 1, "train.exact=false", want=75)
        train("shards", 1, "--stop-after", 1, "train.exact_shards=2", want=75)
        for name in ("loss", "grad_norm"):
            plain, exact = (column(os.path.join(top, run), name)[0] for run in ("plain", "shards"))
            assert abs(plain / exact - 1) < 1e-5, (name, plain, exact)

        # D1: what one rank's shard spoils all ranks skip.
        _, _, err = train("bad", 2, "--stop-after", 2, want=75, env={"FACET_FAULT": "train.logits:6:rank1"})
        assert "step 2 skipped" in err and "bad loss: picture" in err and ", rank 1 on" in err, err

        for ranks, option, words in ((3, "train.exact_shards=8", "3 ranks do not divide train.exact_shards 8"),
                                     (1, "train.exact_shards=6", "train.exact_shards is 6, not a power of two"),
                                     (2, "train.sync_bn=true", "train.exact and train.sync_bn exclude each other")):
            _, _, err = train("refused", ranks, option, want=2)
            assert words in err and err.count("facet: error:") == 1, err


main()
