# SPDX-License-Identifier: Apache-2.0
"""The class-sharded identity head trains the curve of the replicated one; its checkpoint resumes with the same bits on as
many ranks, and on another number of them; a bad step names the share; a failing rank ends all, in training and evaluation."""
import json
import os

import numpy
from golden import arrays, column, facet, last_step, same_bits, workspace
from people import IDENTITY, part, people, table

SHARDED = IDENTITY + ["model.head=sharded", "train.epochs=2"]


def parts_differ(a, b, ranks):
    """Names that differ in what only rank 1 and up hold; rank 0's part is compared whole."""
    found = same_bits(last_step(a), last_step(b))
    for rank in range(1, ranks):
        one, two = part(last_step(a), rank), part(last_step(b), rank)
        assert one.keys() == two.keys() and "head/weight" in one
        found += [n for n in one if one[n].tobytes() != two[n].tobytes()]
    return found


def check_curves(packed, train):
    """12 persons on 1, 2, 3 and 5 ranks, of which not all hold equally many; clipped, accumulated, with triplets. Behind a
    frozen trunk the curves stay together; batch norm over a few small pictures makes much of the last bit within steps."""
    still = ["model.freeze=backbone", "optim.optimizer=sgd", "optim.learning_rate=0.02", "loss.margin=0.4"]
    for ranks, steps, more in ((1, 6, []), (2, 2, ["loss.triplet_weight=0.5"]),
                               (2, 6, still + ["optim.clip_norm=5", "train.accumulate=2", "loss.triplet_weight=0.5"]),
                               (3, 6, still + ["optim.optimizer=adamw", "loss.identity=cosface"]),
                               (5, 6, still + ["model.sub_centres=2", "loss.use_uncertainty_weighting=auto_initial",
                                               "tasks.landmarks=true", "optim.learning_rate=0.0005"])):
        pair = [train("%s%d-%d" % (kind, ranks, len(more)), "model.head=" + kind, *more, ranks=ranks)[0]
                for kind in ("replicated", "sharded")]
        for name in ("loss", "identity_loss", "grad_norm"):
            one, two = (numpy.array(column(run, name))[:steps] for run in pair)
            worst = numpy.abs(one / two - 1).max()
            print("%d ranks, %s of %d steps: sharded and replicated differ by %.1e" % (ranks, name, steps, worst))
            assert len(one) == len(two) == steps and worst < (1e-3 if name == "grad_norm" and steps == 2 else 1e-5), (name, one, two)
        if steps > 2:
            one, two = (table(run)[-1] for run in pair)
            for name in ("val_identity_loss", "logit_spread", "train_identity_loss"):
                assert abs(float(one[name]) / float(two[name]) - 1) < 1e-4, (name, one, two)


def check_resume(packed, train, top):
    more = ["optim.ema=0.9", "model.head_sample=0.5"]
    whole, _ = train("whole", *more, ranks=2)
    cut, _ = train("cut", *more, "--stop-after", 4, ranks=2, want=75)
    other, _ = train("other", *more, "--stop-after", 4, ranks=2, want=75)
    facet("train", *SHARDED, *more, "data.path=" + packed, "--resume", cut, ranks=2)
    assert parts_differ(whole, cut, 2) == []
    # from two ranks to three: the same classes, weights and moments to the bit, dealt anew
    held = numpy.concatenate([part(last_step(other), r)["head/weight"] for r in (0, 1)])
    moment = numpy.concatenate([part(last_step(other), r)["head/exp_avg"] for r in (0, 1)])
    facet("train", *SHARDED, *more, "data.path=" + packed, "optim.learning_rate=0", "optim.weight_decay=0", "optim.beta1=0.5",
          "--resume", other, "--stop-after", 1, ranks=3, want=75)
    now = numpy.concatenate([part(last_step(other), r)["head/weight"] for r in (0, 1, 2)])
    then = numpy.concatenate([part(last_step(other), r)["head/exp_avg"] for r in (0, 1, 2)])
    assert now.tobytes() == held.tobytes() and now.shape == (12, 32)
    untrained = [k for k in range(12) if then[k].tobytes() == moment[k].tobytes()] # not chosen by the fifth step
    assert 0 < len(untrained) < 12, untrained
    facet("train", *SHARDED, *more, "data.path=" + packed, "--resume", other, ranks=1)
    scores = [json.loads(facet("eval", whole, packed, "--json", ranks=n)[1])["identity_accuracy"] for n in (1, 3)]
    assert scores[0] == scores[1] and abs(100 * scores[0] - float(table(whole)[-1]["val_identity_acc"])) < 1e-6, scores
    check_inspect(whole)
    # a share that is damaged makes the checkpoint so: the one before it is taken
    path = os.path.join(last_step(whole), "rank_0001.h5")
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    _, _, err = facet("eval", whole, packed, "--json", ranks=2)
    assert "rank_0001.h5" in err and "taking step_00000003 instead" in err, err


def check_inspect(run):
    tensors = json.loads(facet("inspect", os.path.join(run, "checkpoints", "last"), "--json")[1])
    rows = {t.get("rank", 0): t["shape"] for t in tensors["tensors"] if t["name"] == "head/weight"}
    assert tensors["parts"] == 2 and rows == {0: [6, 32], 1: [6, 32]}, rows
    _, out, _ = facet("inspect", os.path.join(run, "checkpoints", "last"))
    assert "only rank 1's:" in out and out.count("head/weight") == 2, out


def check_bad(train):
    run, err = train("bad", "train.epochs=1", "train.nan_limit=2", ranks=2, want=1, env={"FACET_FAULT": "train.embedding:2-9:rank1"})
    assert "step 2 skipped: the gradient of backbone.conv1.weight, of identity_head.weight (persons 0 to 5, rank 0) and of " in err, err
    assert "bad loss: picture" in err and "step 3" in err, err
    with open(os.path.join(run, "diverged_step_00000003.json")) as f:
        dump = json.load(f)
    assert dump["identity_head_ranks"] == [0, 1] and dump["identity_loss"] is None, dump
    # rank 1 fails in the head while the others wait for it, in a step and in an evaluation
    for site in ("train.head:3:rank1", "evaluate.head:2:rank1"):
        _, err = train(site.split(":")[0], "train.epochs=1", ranks=3, want=None, env={"FACET_FAULT": site}, timeout=120)
        assert "injected: the identity head failed" in err, err


def main():
    packed = people()
    with workspace() as top:
        def train(name, *more, want=0, **how):
            run = os.path.join(top, name)
            _, _, err = facet("train", *SHARDED, "data.path=" + packed, "run.dir=" + run, *more, want=want, **how)
            return run, err

        check_curves(packed, train)
        check_resume(packed, train, top)
        check_bad(train)
        _, err = train("few", "data.path=" + people(4, 8, 9), ranks=5, want=2)
        assert "4 classes cannot be shared by 5 ranks" in err, err
        assert all(numpy.isfinite(v).all() for n, v in arrays(last_step(os.path.join(top, "whole"))).items() if n.startswith("head/"))


main()
