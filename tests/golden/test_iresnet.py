# SPDX-License-Identifier: Apache-2.0
"""IResNet in the trainer: the same bits on 1 and 2 ranks with train.exact, in the second half of a run that was
stopped; an evaluation with the running statistics; synchronised statistics; frozen parts; batches that are too small."""
import json
import os

from golden import SMALL, arrays, column, data, facet, last_step, same_bits, workspace

COMMON = [o for o in SMALL if o.split("=")[0] not in ("model.backbone", "model.stem")]
COMMON += ["model.backbone=iresnet18", "data.batch_size=32", "train.epochs=1"]


def main():
    packed = data()
    with workspace() as top:
        def train(name, *more, ranks=1, want=0):
            return facet("train", *COMMON, "data.path=" + packed, "run.dir=" + os.path.join(top, name), *more,
                         ranks=ranks, want=want)

        def last(name):
            return last_step(os.path.join(top, name))

        exact = ["train.exact=true", "train.exact_shards=4"]
        train("one", *exact)
        train("two", *exact, "--stop-after", 2, ranks=2, want=75)
        train("two", *exact, "--resume", os.path.join(top, "two"), ranks=2)
        assert same_bits(last("one"), last("two")) == []

        # features: the scale stays, the shift and the slopes move; an evaluation gives the epoch's numbers.
        state = arrays(last("one"))
        assert (state["model/backbone.features.weight"] == 1).all()
        assert (state["model/backbone.features.bias"] != 0).any()
        assert (state["model/backbone.layer3.0.prelu.weight"] != 0.25).any()
        assert state["model/backbone.features.running_var"].std() > 0
        out = json.loads(facet("eval", last("one"), packed, "--json")[1])
        error = column(os.path.join(top, "one"), "val_lm_nme", "metrics.csv")[-1]
        assert abs(out["landmark_nme"] - error) < 1e-4 * error, (out, error)

        # Synchronised statistics: two ranks do what one does with the whole batch.
        for ranks in (1, 2):
            train("sync%d" % ranks, "train.sync_bn=true", "--stop-after", 1, ranks=ranks, want=75)
        one, two = (column(os.path.join(top, "sync%d" % ranks), "grad_norm")[0] for ranks in (1, 2))
        assert abs(one / two - 1) < 1e-4, (one, two)

        train("frozen", "model.freeze=backbone", "--stop-after", 1, want=75)
        state = arrays(last("frozen"))
        assert (state["model/backbone.features.bias"] == 0).all() and (state["model/expression_head.bias"] != 0).any()

        _, _, err = train("refused", "data.batch_size=2", ranks=2, want=None)
        assert "iresnet18 needs at least 2 pictures" in err and err.count("facet: error:") == 1, err


main()
