# SPDX-License-Identifier: Apache-2.0
"""D2, D4: weights, momenta or a sum that differ on one rank are found within train.check_every steps and never saved;
the rank and the tensor are named, and what is good still."""
import os
import re

from golden import SMALL, data, facet, last_step, workspace

RUN = SMALL + ["eval.predictions=false", "train.epochs=1", "optim.optimizer=sgd"]
TENSOR = "backbone.layer3.0.downsample.0.weight"  # in the middle of the table
CASES = [ # fault at step 3 of rank 1, ranks, check_every, saves every, step it is found after, where
    ("train.weight:3:rank1", 3, 4, 0, 4, "weights", None),
    ("train.weight:3:rank1", 2, 0, 2, 4, "weights", 2), # before a save
    ("train.moment:4:rank1", 3, 2, 2, 4, "momentum", 2),
    ("train.moment:3:rank1", 2, 4, 0, 4, "weights", None), # a step later they differ too
    ("train.sum:3:rank1", 3, 1, 2, 3, "weights", 2),
]


def main():
    packed = data()
    with workspace() as top:
        for i, (fault, ranks, every, saves, found, name, good) in enumerate(CASES):
            run = os.path.join(top, str(i))
            _, _, err = facet("train", *RUN, "data.path=" + packed, "run.dir=" + run, "train.check_every=%d" % every,
                              "checkpoint.every_steps=%d" % saves, want=1, ranks=ranks, env={"FACET_FAULT": fault})
            assert err.count("facet: error:") == 1 and "after step %d " % found in err, err
            assert "first in the %s of %s" % (name, TENSOR) in err, err
            if ranks == 3:
                assert re.search(r"after step \d rank 1 on \S+ holds other numbers than the ranks that agree", err), err
            else:
                assert re.search(r"rank 0 on \S+, rank 1 on \S+ hold different numbers, and no majority", err), err
            if good:
                assert "newest good checkpoint is %s/checkpoints/step_%08d" % (run, good) in err, err
                assert last_step(run).endswith("step_%08d" % good), last_step(run)
            else:
                assert "there is no good checkpoint yet: start anew" in err and os.listdir(run + "/checkpoints") == [], err


main()
