# SPDX-License-Identifier: Apache-2.0
"""A9: a checkpoint that is written while later steps change the weights holds those of its own step, and the
seconds that its epoch took so far."""
import os

from golden import SMALL, arrays, data, facet, same_bits, workspace

MANY = SMALL + ["optim.ema=0.9", "checkpoint.every_steps=1", "checkpoint.keep=100", "train.epochs=2"]


def main():
    packed = data()
    with workspace() as top:
        def train(name, *more, want=75):
            run = os.path.join(top, name)
            facet("train", *MANY, "data.path=" + packed, "run.dir=" + run, *more, ranks=2, want=want)
            return os.path.join(run, "checkpoints")

        going_on = train("going-on", want=0)
        for step in (2, 5, 8):
            name = "step_%08d" % step
            # here that step was the last: nothing came after it
            stopped = train("stopped%d" % step, "checkpoint.every_steps=0", "--stop-after", step)
            differing = same_bits(os.path.join(going_on, name), os.path.join(stopped, name))
            assert differing == [], (step, differing[:5])
        spent = [arrays(os.path.join(going_on, "step_%08d" % step))["train/seconds"][0] for step in range(1, 11)]
        assert 0 < spent[0] < spent[1] < spent[2] < spent[3] and 0 < spent[5] < spent[6] < spent[7] < spent[8], spent
        print("3 of 9 checkpoints saved under way: the bits of their own step")


main()
