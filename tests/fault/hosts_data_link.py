# SPDX-License-Identifier: Apache-2.0
"""C3: only the network of the data is cut while mpirun's own stays: Open MPI would wait for ever (CLUSTER.md 4b)."""
from hosts import Hosts, Story, skip_when_sanitized
from golden import data, workspace

DATA_APART = ["--mca", "btl_tcp_if_include", "10.98.1.0/24", "--mca", "oob_tcp_if_include", "10.98.0.0/24"]
# The watchdogs still hear of each other over mpirun's network: what tells is that nobody moves.
LIMITS = ["cluster.limit_step=8", "cluster.limit_checkpoint=8", "cluster.limit_eval=8"]


def main():
    skip_when_sanitized()
    with workspace() as top, Hosts(2, nets=2) as hosts:
        story = Story(hosts, data(), top, ["train.epochs=3", *LIMITS], launch=DATA_APART)
        said = story.hit("data's link cut", 6, lambda: hosts.do("cut", 2, 1))
        assert said.count("facet: error:") == 1 and "cluster.limit_" in said, said
        hosts.do("join", 2, 1)
        story.ends_the_same()


main()
