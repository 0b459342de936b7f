# SPDX-License-Identifier: Apache-2.0
"""D1: a step with NaN is skipped by all ranks, parameter and picture are named, too many in a row end the run with a
file."""
import json
import os
import re

from golden import SMALL, arrays, column, data, facet, last_step, same_bits, workspace

RUN = SMALL + ["eval.predictions=false", "log.every_steps=1"]


def finite(run):
    import numpy
    return all(numpy.isfinite(v).all() for n, v in arrays(last_step(run)).items() if n.startswith(("model/", "optim/")))


def order_of(path, step):
    with open(path) as f:
        return [int(i) for i in f.read().splitlines()[step - 1].split()[2:]]


def main():
    packed = data()
    with workspace() as top:
        def train(folder, fault, *more, want=0, ranks=2):
            run = os.path.join(top, folder)
            _, _, err = facet("train", *RUN, "data.path=" + packed, "run.dir=" + run, *more, want=want, ranks=ranks,
                              env={"FACET_FAULT": fault} if fault else {})
            return run, err

        skipped(train, top)
        too_many(train)


def skipped(train, top):
    order = os.path.join(top, "order")
    # rank 1's third step: one picture's class scores, then points; rank 0 is told by rank 1 alone
    for site, ranks, rank in (("train.logits", 2, 1), ("train.points", 3, 2)):
        run, err = train(site, "%s:3:rank%d" % (site, rank), "--order", order + site, ranks=ranks)
        told = re.search(r"step 3 skipped: the gradient of (\S+) and of (\d+) others is not finite; "
                         r"bad loss: picture (\d+) \((.+), rank (\d+) on", err)
        assert told and err.count("skipped:") == 1, err
        rows = order_of(order + site, 3)
        share = [len(rows) * r // ranks for r in range(ranks + 1)]
        assert int(told.group(5)) == rank
        low, high = share[rank], share[rank + 1]
        assert int(told.group(3)) == rows[low + (high - low) // 2], (told.group(3), rows)
        assert "images" in told.group(4) or "/" in told.group(4) or "." in told.group(4)
        assert told.group(1).startswith("backbone.conv1"), told.group(1)
        assert column(run, "skipped") == [0, 0, 1] + [0] * 7 and finite(run)
        assert column(run, "skipped_steps", "metrics.csv") == [1, 0]
    # twice the same is the same; the skipped step changed nothing
    again, _ = train("again", "train.logits:3:rank1")
    assert same_bits(last_step(os.path.join(top, "train.logits")), last_step(again)) == []
    before, _ = train("before", "train.logits:3:rank1", "--stop-after", 2, want=75)
    after, _ = train("after", "train.logits:3:rank1", "--stop-after", 3, want=75)
    differs = same_bits(last_step(before), last_step(after))
    assert differs and not [n for n in differs if n.startswith(("model/", "optim/"))], differs
    # a gradient without a bad picture
    _, err = train("gradient", "train.gradient:2:rank1", "--stop-after", 3, want=75)
    assert "step 2 skipped" in err and "no single picture's loss was bad (epoch 1, batch 2)" in err, err
    # a part of a step of two
    _, err = train("parts", "train.logits:3:rank0", "train.accumulate=2", "--stop-after", 3, "--order", order + "p", want=75)
    assert "step 2 skipped" in err and "bad loss: picture %d (" % order_of(order + "p", 3)[3] in err, err


def too_many(train):
    run, err = train("many", "train.logits:4-99:rank0", "train.nan_limit=2", "checkpoint.every_steps=2", want=1)
    assert err.count("skipped:") == 2 and err.count("facet: error:") == 1, err
    assert "2 steps in a row were not finite, the last 5" in err and "checkpoints/step_0000000" in err, err
    dump = json.load(open(os.path.join(run, "diverged_step_00000005.json")))
    assert dump["step"] == 5 and dump["epoch"] == 1 and dump["skipped_in_a_row"] == 2 and dump["learning_rate"] > 0
    assert dump["expression_loss"] is None and dump["landmarks_loss"] > 0 and dump["pictures_in_all"] == 1
    assert dump["pictures"][0]["rank"] == 0 and dump["pictures"][0]["path"] and dump["parameters_in_all"] > 60
    assert finite(run)


main()
