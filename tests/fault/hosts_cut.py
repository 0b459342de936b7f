# SPDX-License-Identifier: Apache-2.0
"""C3: a link is cut in mid-training, in both directions and in one: the job ends on both hosts in 15 s, and goes on
where it was to the same bits."""
from hosts import Hosts, Story, skip_when_sanitized
from golden import data, workspace


def main():
    skip_when_sanitized()
    with workspace() as top, Hosts(2) as hosts:
        story = Story(hosts, data(), top, ["train.epochs=5"])
        for what, step, verb, host in (("link cut", 6, "cut", 2), ("packets from host-2 lost", 11, "mute", 2),
                                       ("packets from host-1 lost", 16, "mute", 1)):
            story.hit(what, step, lambda: hosts.do(verb, host))
            hosts.do("join", host)
        story.ends_the_same()


main()
