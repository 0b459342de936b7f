# SPDX-License-Identifier: Apache-2.0
"""C3: a host dies with all that runs on it, or falls silent: the others end, and the run goes on, on the same hosts
to the same bits, or on what is left."""
import os
import shutil
import time

from hosts import Hosts, Story, skip_when_sanitized
from golden import data, workspace


def fall_silent(hosts, host):
    """As a host without power: nothing on it runs, nothing from it arrives."""
    hosts.do("cut", host)
    hosts.do("signal", host, "STOP")


def switch_on_again(hosts, host):
    hosts.do("signal", host, "KILL")
    while hosts.pids(host):
        time.sleep(0.05)
    hosts.do("join", host)


def main():
    skip_when_sanitized()
    with workspace() as top, Hosts(2) as hosts:
        story = Story(hosts, data(), top, ["train.epochs=6"])
        story.hit("host-2 killed", 6, lambda: hosts.do("signal", 2, "KILL"))
        story.hit("host-1 killed, with mpirun", 11, lambda: hosts.do("signal", 1, "KILL"))
        story.hit("host-2 silent", 16, lambda: fall_silent(hosts, 2), on=[1])
        switch_on_again(hosts, 2)
        copy = os.path.join(top, "alone")
        shutil.copytree(story.run, copy)
        said = story.train("run.dir=" + copy, "--resume", copy, "--stop-after", 2, on=[1]).finish(want=75)
        assert "ranks        2" in said, said
        print("resumed on one host of the two")
        job = story.go_on()
        job.wait_for_step(story.run, 21)
        fall_silent(hosts, 1)
        job.ends_everywhere("host-1 silent, with mpirun", [2])
        switch_on_again(hosts, 1)
        job.finish(want=None)
        story.ends_the_same()


main()
