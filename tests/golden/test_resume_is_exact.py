# SPDX-License-Identifier: Apache-2.0
"""Two equal runs are bit-identical; stopping at any step and resuming is bit-identical to not stopping."""
import os
import random

from golden import SMALL, data, facet, last_step, same_bits, workspace

VARIANTS = [
    ("shuffle", 2, ["optim.optimizer=adamw", "optim.ema=0.9"]),
    ("weighted", 2, ["optim.optimizer=sgd", "sampler.kind=weighted", "train.sync_bn=true"]),
    ("balanced", 1, ["sampler.kind=balanced", "train.accumulate=2", "optim.clip_norm=1"]),
]


def main():
    packed = data()
    rng = random.Random(os.getpid())
    with workspace() as top:
        for name, ranks, extra in VARIANTS:
            def train(folder, *more, want=0):
                return facet("train", *SMALL, *extra, "data.path=" + packed, "run.dir=" + os.path.join(top, folder),
                             *more, ranks=ranks, want=want)

            train(name + "-whole")
            whole = last_step(os.path.join(top, name + "-whole"))
            if name == "shuffle":
                train(name + "-again")
                assert same_bits(whole, last_step(os.path.join(top, name + "-again"))) == []
            stop = rng.randint(1, 9)
            train(name + "-cut", "--stop-after", stop, want=75)
            train(name + "-cut", "--resume", os.path.join(top, name + "-cut"))
            differing = same_bits(whole, last_step(os.path.join(top, name + "-cut")))
            assert differing == [], "%s stopped after %d steps: %s" % (name, stop, differing[:5])
            print("%s: stopped after %d steps, resumed, bit-identical" % (name, stop))


main()
