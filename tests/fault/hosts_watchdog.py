# SPDX-License-Identifier: Apache-2.0
"""C1, C3 over a real network: the watchdog names a rank that is stopped on another host, a host of which nothing is
heard, and a network that carries no data; the run then goes on to the same bits."""
import os
import signal

from hosts import Hosts, Story, skip_when_sanitized
from golden import data, workspace

DATA_APART = ["--mca", "btl_tcp_if_include", "10.98.1.0/24", "--mca", "oob_tcp_if_include", "10.98.0.0/24"]
EXIT = [75]


def one_message(said, *words):
    lines = [line for line in said.split("\n") if "facet: error:" in line]
    assert len(lines) == 1 and all(word in lines[0] for word in words), said
    print(lines[0], flush=True)


def main():
    skip_when_sanitized()
    with workspace() as top, Hosts(2, nets=2) as hosts:

        def stop(how_many):
            for pid in hosts.named(2, "facet")[:how_many]:
                os.kill(pid, signal.SIGSTOP)

        story = Story(hosts, data(), top, ["train.epochs=4", "cluster.limit_silence=3", "cluster.limit_step=60"],
                      launch=DATA_APART)
        said = story.hit("a rank of host-2 stopped", 5, lambda: stop(1), codes=EXIT)
        one_message(said, "on host-2 is stopped (SIGSTOP or a debugger)", " step ", "last collective: ")
        said = story.hit("all ranks of host-2 stopped", 9, lambda: stop(2), codes=EXIT)
        one_message(said, "host host-2 (rank 2, 3) is cut off, down or stopped")
        # the cut may catch them in any phase
        story.settings += ["cluster.limit_%s=5" % phase for phase in ("step", "checkpoint", "eval")]
        said = story.hit("data's link cut", 12, lambda: hosts.do("cut", 2, 1), codes=EXIT)
        one_message(said, "all 4 ranks wait for each other", "(cluster.limit_", "does not deliver")
        hosts.do("join", 2, 1)
        story.ends_the_same()


main()
