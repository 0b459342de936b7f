# SPDX-License-Identifier: Apache-2.0
"""The start-up self-test of the network: figures on a sound one, words on a wrong interface and on a slow cable."""
import os
import re
import time

from hosts import Hosts, skip_when_sanitized
from golden import SMALL, data, facet, workspace

LINE = (r"^network: 2 nodes, [0-9.]+ ms, [0-9.]+ [GM]B/s between nodes "
        r"\(slowest: host-[12] -> host-[12] [0-9.]+ [GM]B/s\), [0-9.]+ [GM]B/s within$")


def name_like_docker(hosts):
    """The second network's interfaces look like what containers use."""
    for host in (1, 2):
        hosts.do("run", host, "ip", "link", "set", "eth1", "down")
        hosts.do("run", host, "ip", "link", "set", "eth1", "name", "docker0")
        hosts.do("run", host, "ip", "link", "set", "docker0", "up")


def through(network):
    return ["--mca", "btl_tcp_if_include", "10.98.%d.0/24" % network, "--mca", "oob_tcp_if_include", "10.98.0.0/24"]


def says(job, words, timeout=120):
    end = time.monotonic() + timeout
    while not re.search(words, job.said(), re.M):
        assert time.monotonic() < end and job.process.poll() is None, "%s\nlacks: %s" % (job.said(), words)
        time.sleep(0.1)


def main():
    skip_when_sanitized()
    with workspace() as top, Hosts(3, nets=2) as hosts:
        common = ["data.path=" + data(), "--stop-after", 1]

        def run(name):
            return "run.dir=" + os.path.join(top, name)

        said = hosts.train(*common, run("sound"), on=[1, 2], launch=through(0)).finish(want=75)
        assert re.search(LINE, said, re.M) and "warning: network" not in said, said
        with open(os.path.join(top, "sound", "train.log")) as log:
            assert "network: 2 nodes" in log.read()

        name_like_docker(hosts)
        said = hosts.train(*common, run("guests"), on=[1, 2], launch=through(1)).finish(want=75)
        assert re.search(r"warning: network: host-[12] talks to other hosts through docker0 \(and 1 more node\), .*"
                         "OMPI_MCA_btl_tcp_if_include", said), said

        hosts.do("run", 2, "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "20mbit", "burst", "32kb",
                 "latency", "50ms")
        job = hosts.train(*common, run("slow"), ranks=1, launch=through(0))
        says(job, r"^network: 3 nodes, .*slowest: host-2 -> host-3 [0-9.]+ MB/s")
        says(job, r"warning: network: host-2 -> host-3: only [0-9.]+ MB/s, the median of the nodes is ")
        for host in (1, 2, 3):
            hosts.do("signal", host, "KILL")

        for name, ranks, more in (("off", 2, ["cluster.self_test=false"]), ("alone", 1, [])):
            said = facet("train", *SMALL, *common, *more, run(name), ranks=ranks, want=75)[2]
            assert "network" not in said, said


main()
