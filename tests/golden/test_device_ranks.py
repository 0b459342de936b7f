# SPDX-License-Identifier: Apache-2.0
"""Two ranks on devices train as one does, by NCCL and through the hosts, also where one has no pictures; weights stay the same."""
import os
import re

from device import CUDA, TINY, check_close, losses, train
from golden import data, facet, workspace
from people import IDENTITY, people


def main():
    with workspace() as top:
        def run(name, *more, **how):
            folder = os.path.join(top, name)
            log = train(folder, *CUDA, *more, **how)
            return losses(folder), log

        together = ["train.sync_bn=true", "train.check_every=1"]
        one, _ = run("one", *together)
        nccl, log = run("nccl", *together, ranks=2)
        assert "gradients by NCCL" in log, log
        mpi, log = run("mpi", *together, "cluster.transport=mpi", ranks=2, env={"FACET_STANDIN_GPUS": "1"})
        assert "gradients through the hosts" in log, log
        for name, ranks in (("nccl", nccl), ("mpi", mpi)):
            check_close(name + ": loss", ranks[0], one[0], 1e-3)
            check_close(name + ": norm", ranks[1][:2], one[1][:2], 1e-2)
        parts, _ = run("parts", "data.batch_size=16", "train.accumulate=2", "cluster.reduce=bfloat16", ranks=2, steps=2)
        host, _ = run("parts-mpi", "data.batch_size=16", "train.accumulate=2", "cluster.transport=mpi", ranks=2, steps=2)
        check_close("bfloat16 sums: loss", parts[0], host[0], 1e-2)
        # an epoch whose last batch has one picture leaves a rank without any
        few = data(pictures=24)
        all_of = int(re.search(r"(\d+) training pictures", facet("train", *TINY, "data.path=" + few, "--dry-run")[2])[1])
        last = ["data.batch_size=%d" % (all_of - 1), "train.check_every=1"]
        tail, _ = run("tail", *last, packed=few, ranks=2, steps=2)
        again, _ = run("tail-mpi", *last, "cluster.transport=mpi", packed=few, ranks=2, steps=2)
        check_close("a rank without pictures: loss", tail[0], again[0], 1e-3)
        log = train(os.path.join(top, "two-on-one"), *CUDA, ranks=2, want=2, env={"FACET_STANDIN_GPUS": "1"})
        assert "error: GPUs: rank 0 on " in log and "have the same GPU" in log, log # worded once
        base = [*IDENTITY, *TINY[-5:], "train.sync_bn=true"]
        whole, _ = run("head-1", packed=people(), base=base)
        sharded, _ = run("head-2", "model.head=sharded", packed=people(), base=base, ranks=2)
        check_close("a sharded head: loss", sharded[0], whole[0], 1e-3)


main()
