# SPDX-License-Identifier: Apache-2.0
"""--overfit learns a few pictures by heart and says so; with no time to learn it fails and says that."""
import os

from golden import data, facet, workspace


def main():
    packed = data()
    with workspace() as top:
        common = ["train", "data.path=" + packed, "data.batch_size=8", "data.num_workers=1", "model.stem=imagenet",
                  "model.embedding=0", "optim.learning_rate=0.002", "optim.head_rate=1", "schedule.warmup_epochs=1",
                  "cluster.threads=1", "eval.predictions=false", "loss.log_var_min=-4"]
        _, _, err = facet(*common, "--overfit", 8, "train.epochs=120", "eval.every=10",
                          "run.dir=" + os.path.join(top, "long"), timeout=280)
        assert "overfit: passed: 8 pictures" in err, err[-2000:]
        assert "accuracy 100.0%" in err
        _, _, err = facet(*common, "--overfit", 8, "train.epochs=1", "run.dir=" + os.path.join(top, "short"), want=1)
        assert "overfit: failed" in err and "hint:" in err, err[-2000:]


main()
