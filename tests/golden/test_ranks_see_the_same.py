# SPDX-License-Identifier: Apache-2.0
"""1, 2, 3 and 4 ranks see the same pictures in the same order; their losses agree within a bound.

Batch norm over all ranks (sync_bn) makes the mathematics equal; what remains is float32 noise, which
grows from step to step: 2e-4 relative over the first five steps.
"""
import os

from golden import SMALL, column, data, facet, workspace

BOUND = 2e-4


def main():
    packed = data()
    with workspace() as top:
        orders, losses, evals = {}, {}, {}
        for ranks in (1, 2, 3, 4):
            folder, order = os.path.join(top, "np%d" % ranks), os.path.join(top, "order%d" % ranks)
            facet("train", *SMALL, "data.path=" + packed, "run.dir=" + folder, "train.sync_bn=true",
                  "optim.optimizer=sgd", "optim.learning_rate=0.01", "--order", order, ranks=ranks)
            orders[ranks] = open(order).read()
            losses[ranks] = column(folder, "loss")[:5]
            evals[ranks] = len(open(os.path.join(folder, "predictions", "val_epoch_001.csv")).readlines())
        for ranks in (2, 3, 4):
            assert orders[ranks] == orders[1], "another order on %d ranks" % ranks
            assert evals[ranks] == evals[1]
            worst = max(abs(a - b) / max(1, abs(b)) for a, b in zip(losses[ranks], losses[1]))
            print("%d ranks: losses within %.1e of one rank's" % (ranks, worst))
            assert worst < BOUND, (ranks, losses[ranks], losses[1])
        ids = [line.split() for line in orders[1].splitlines()]
        for epoch in ("0", "1"):
            seen = sorted(int(i) for line in ids if line[0] == epoch for i in line[2:])
            assert seen == list(range(len(seen))), "an epoch must show each picture once"


main()
