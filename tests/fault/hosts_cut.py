# SPDX-License-Identifier: Apache-2.0
"""C3: a link is cut in mid-training, in both directions and in one: the job ends on both hosts in 15 s, and goes on
where it was to the same bits."""
import contextlib
import threading
import time

from hosts import Hosts, Story, skip_when_sanitized
from golden import data, workspace


def cut_while_speaking(hosts):
    """What a rank says on the cut-off host is on its way to mpirun for ever, so that its daemon asks for nothing else:
    there the watchdog ends it, after cluster.limit_silence."""
    ranks = hosts.named(2, "facet")
    hosts.do("cut", 2)

    def speak():
        for _ in range(20):
            time.sleep(0.3)
            for pid in ranks:
                with contextlib.suppress(OSError), open("/proc/%d/fd/2" % pid, "w") as speech:
                    speech.write("a word\n")

    assert ranks
    threading.Thread(target=speak).start()


def main():
    skip_when_sanitized()
    with workspace() as top, Hosts(2) as hosts:
        story = Story(hosts, data(), top, ["train.epochs=6"])
        for what, step, verb, host in (("link cut", 6, "cut", 2), ("packets from host-2 lost", 11, "mute", 2),
                                       ("packets from host-1 lost", 16, "mute", 1)):
            story.hit(what, step, lambda: hosts.do(verb, host))
            hosts.do("join", host)
        story.hit("link cut while host-2 speaks", 21, lambda: cut_while_speaking(hosts))
        hosts.do("join", 2)
        story.ends_the_same()


main()
