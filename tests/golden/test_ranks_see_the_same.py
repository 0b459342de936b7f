# SPDX-License-Identifier: Apache-2.0
"""1, 2, 3 and 4 ranks see the same pictures in the same order; their losses agree within a bound.

Batch norm over all ranks (sync_bn) makes the mathematics equal; what remains is float32 noise. The
first gradient shows it as it is; later ones jump where noise tips a ReLU, as they do between one
processor and another, so the learning rate is small and the bound on five steps' losses wider.
"""
import os

from golden import SMALL, column, data, facet, workspace

FIRST_BOUND, BOUND, GRADIENT_BOUND = 1e-5, 5e-3, 1e-5
FIRST = 3


def main():
    packed = data()
    with workspace() as top:
        orders, losses, norms, evals = {}, {}, {}, {}
        for ranks in (1, 2, 3, 4):
            folder, order = os.path.join(top, "np%d" % ranks), os.path.join(top, "order%d" % ranks)
            facet("train", *SMALL, "data.path=" + packed, "run.dir=" + folder, "train.sync_bn=true",
                  "optim.optimizer=sgd", "optim.learning_rate=0.001", "--order", order, ranks=ranks)
            orders[ranks] = open(order).read()
            losses[ranks] = column(folder, "loss")[:5]
            norms[ranks] = column(folder, "grad_norm")[0]
            evals[ranks] = len(open(os.path.join(folder, "predictions", "val_epoch_001.csv")).readlines())
        for ranks in (2, 3, 4):
            assert orders[ranks] == orders[1], "another order on %d ranks" % ranks
            assert evals[ranks] == evals[1]
            apart = [abs(a - b) / max(1, abs(b)) for a, b in zip(losses[ranks], losses[1])]
            print("%d ranks: losses within %.1e, then %.1e of one rank's"
                  % (ranks, max(apart[:FIRST]), max(apart[FIRST:])))
            assert max(apart[:FIRST]) < FIRST_BOUND and max(apart) < BOUND, (ranks, losses[ranks], losses[1])
            assert abs(norms[ranks] / norms[1] - 1) < GRADIENT_BOUND, (ranks, norms[ranks], norms[1])
        ids = [line.split() for line in orders[1].splitlines()]
        for epoch in ("0", "1"):
            seen = sorted(int(i) for line in ids if line[0] == epoch for i in line[2:])
            assert seen == list(range(len(seen))), "an epoch must show each picture once"


main()
