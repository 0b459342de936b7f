# SPDX-License-Identifier: Apache-2.0
"""--overfit learns a few pictures by heart and says so; with a rate too small to learn it fails and says that."""
import os

from golden import data, facet, workspace


def main():
    packed = data()
    with workspace() as top:
        common = ["train", "data.path=" + packed, "data.batch_size=32", "data.num_workers=1", "model.stem=imagenet",
                  "model.embedding=0", "optim.head_rate=1", "schedule.warmup_epochs=1",
                  "cluster.threads=1", "eval.predictions=false", "loss.log_var_min=-4"]
        # 32: the variance that evaluation divides by is n / (n - 1) of a batch's, where a layer is 1 x 1.
        _, _, err = facet(*common, "--overfit", 32, "optim.learning_rate=0.001", "run.dir=" + os.path.join(top, "long"))
        assert "overfit: passed: 32 pictures" in err, err[-2000:]
        assert "accuracy 100.0%" in err
        _, _, err = facet(*common, "--overfit", 2, "optim.learning_rate=1e-9", "model.freeze=backbone",
                          "run.dir=" + os.path.join(top, "slow"), want=1)
        assert "overfit: failed" in err and "hint:" in err, err[-2000:]


main()
