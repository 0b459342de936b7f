# SPDX-License-Identifier: Apache-2.0
"""A1, A2: mpirun, its daemon on the other host, or all ranks at once are killed, twice in a row, and while resuming:
nothing is left after 5 s, and the run goes on to the same bits."""
import os
import random
import signal
import time

from hosts import Hosts, Story, skip_when_sanitized
from golden import data, workspace

ORPHANS_S = 5


def main():
    skip_when_sanitized()
    with workspace() as top, Hosts(2) as hosts:
        story = Story(hosts, data(), top, ["train.epochs=7"])

        def kill(host, name):
            pids = hosts.named(host, name)
            assert pids, "no %s on host-%d: %s" % (name, host, hosts.words(host))
            for pid in pids:
                os.kill(pid, signal.SIGKILL)

        def kill_ranks():
            for pid in hosts.named(1, "facet") + hosts.named(2, "facet"):
                os.kill(pid, signal.SIGKILL)

        def one_rank(host):
            os.kill(hosts.named(host, "facet")[-1], signal.SIGKILL)

        def while_starting():
            """Somewhere between its start and its first step."""
            while not hosts.named(2, "facet"):
                time.sleep(0.02)
            time.sleep(random.random())
            one_rank(2)

        story.hit("mpirun killed", 6, lambda: kill(1, "mpirun"), within_s=ORPHANS_S)
        story.hit("its daemon killed", 11, lambda: kill(2, "orted"), within_s=ORPHANS_S)
        story.hit("all ranks killed", 16, kill_ranks, within_s=ORPHANS_S)
        story.hit("a rank killed", 21, lambda: one_rank(2), within_s=ORPHANS_S)
        story.hit("and one at once after", 22, lambda: one_rank(1), within_s=ORPHANS_S)
        story.hit("a rank killed while resuming", 0, while_starting, within_s=ORPHANS_S)
        story.ends_the_same()


main()
