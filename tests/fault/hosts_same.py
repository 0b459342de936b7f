# SPDX-License-Identifier: Apache-2.0
"""Two hosts over TCP train what one host that pretends to be two nodes trains, to the bit; one that stopped on two
hosts goes on there to the same end. With train.exact it is what one process alone trains."""
import os

from hosts import Hosts, skip_when_sanitized
from golden import SMALL, data, facet, last_step, same_bits, workspace

SETTINGS = ["train.epochs=2", "optim.ema=0.9"]


def main():
    skip_when_sanitized()
    packed = data()
    with workspace() as top, Hosts(2) as hosts:
        one, two, cut = (os.path.join(top, name) for name in ("one", "two", "cut"))
        hosts.train(*SETTINGS, "data.path=" + packed, "run.dir=" + two).finish()
        facet("train", *SMALL, *SETTINGS, "data.path=" + packed, "run.dir=" + one, ranks=4,
              env={"FACET_FAKE_NODES": "2"})
        differing = same_bits(last_step(one), last_step(two))
        assert differing == [], "one host and two differ in %s" % differing[:5]
        hosts.train(*SETTINGS, "data.path=" + packed, "run.dir=" + cut, "--stop-after", 4).finish(want=75)
        hosts.train(*SETTINGS, "data.path=" + packed, "run.dir=" + cut, "--resume", cut).finish()
        differing = same_bits(last_step(two), last_step(cut))
        assert differing == [], "stopped and resumed on two hosts differs in %s" % differing[:5]
        exact = [*SETTINGS, "train.exact=true", "train.exact_shards=4", "data.path=" + packed]
        alone, apart = (os.path.join(top, name) for name in ("alone", "apart"))
        facet("train", *SMALL, *exact, "run.dir=" + alone)
        hosts.train(*exact, "run.dir=" + apart).finish()
        differing = same_bits(last_step(alone), last_step(apart))
        assert differing == [], "train.exact: one process and two hosts differ in %s" % differing[:5]
        print("2 hosts x 2 ranks over TCP, 1 host x 4 ranks, stopped and resumed: the same bits")


main()
