# SPDX-License-Identifier: Apache-2.0
"""What the tests of a training on a device share: the stand-in of one, few steps of a tiny network, their numbers."""
import os
import sys

from golden import SMALL, column, data, facet

if not os.path.exists(os.environ.get("FACET_CUDA_LIBRARY", "")):
    print("skipped: no stand-in of a device is built")
    sys.exit(77)

# The stand-in runs kernels thread by thread: few pictures and steps.
TINY = [*SMALL, "data.batch_size=8", "cluster.autotune=false", "cluster.plan_cache=none", "log.every_steps=1",
        "cluster.self_test=false", "eval.predictions=false"]
CUDA = ["cluster.backend=cuda", "train.precision=f32"]


def train(run, *more, steps=3, ranks=1, want=75, packed=None, base=None, env=None):
    """So many steps into the folder `run`; returns what was logged."""
    _, _, err = facet("train", *(base or TINY), "data.path=" + (packed or data()), "run.dir=" + run, "--stop-after", steps, *more,
                      ranks=ranks, want=want, timeout=1500, env={"FACET_STANDIN_GPUS": str(ranks), **(env or {})})
    return err


def losses(run):
    return column(run, "loss"), column(run, "grad_norm")


def check_close(what, a, b, bound):
    worst = max(abs(x - y) / abs(y) for x, y in zip(a, b))
    print("%s: %d numbers, at most %.2g apart, allowed %.2g" % (what, len(a), worst, bound))
    assert len(a) == len(b) > 0 and worst <= bound, (a, b)
