# SPDX-License-Identifier: Apache-2.0
"""Scaling inside a node: 1 rank of 2 threads, 2 ranks of 1 thread, PyTorch DDP (gloo) on 2 processes.

usage: ranks.py FACET [ROUNDS]; ResNet-18 at 112, global batch 64. The three take turns; prints pictures/s
(median of the steps after the first two of each turn, then of the turns) and the two ratios.
"""
import csv
import os
import statistics
import subprocess
import sys
import tempfile

STEPS, WARM, BATCH, SIZE = 8, 2, 64, 112


def torch_worker(rank, port, out):
    os.environ["OMP_NUM_THREADS"] = "1"
    import time
    import torch
    import torch.distributed as dist
    import torchvision
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method="tcp://127.0.0.1:%d" % port, rank=rank, world_size=2)
    net = torchvision.models.resnet18(num_classes=8).to(memory_format=torch.channels_last)
    x = torch.randn(BATCH // 2, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    y = torch.randint(0, 8, (BATCH // 2,))
    ddp = torch.nn.parallel.DistributedDataParallel(net, gradient_as_bucket_view=True)
    optimizer = torch.optim.SGD(ddp.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(ddp(x), y).backward()
        optimizer.step()
        dist.barrier()
        times.append(time.perf_counter() - start)
    if rank == 0:
        out.put(BATCH / statistics.median(times[WARM:]))
    dist.destroy_process_group()


def torch_ddp(turn):
    import multiprocessing
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    workers = [context.Process(target=torch_worker, args=(r, 29600 + turn, out)) for r in range(2)]
    for w in workers:
        w.start()
    rate = out.get()
    for w in workers:
        w.join()
    return rate


def facet(program, data, ranks, threads):
    with tempfile.TemporaryDirectory() as top:
        run = os.path.join(top, "run")
        launch = ["mpirun", "-n", str(ranks), "--bind-to", "none"] if ranks > 1 else []
        env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        subprocess.run(launch + [program, "train", "data.path=" + data, "run.dir=" + run, "model.stem=imagenet",
                                 "model.embedding=0", "tasks.landmarks=false", "data.batch_size=%d" % BATCH,
                                 "optim.optimizer=sgd", "data.num_workers=1", "cluster.threads=%d" % threads,
                                 "--stop-after", str(STEPS)], env=env, capture_output=True)
        with open(os.path.join(run, "steps.csv")) as f:
            rates = [float(row["pictures_per_s"]) for row in csv.DictReader(f)]
        return statistics.median(rates[WARM:])


def main():
    program, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as top:
        drawn, packed = os.path.join(top, "drawn"), os.path.join(top, "packed")
        subprocess.run([program, "synth", "-o", drawn, "--expression", str(BATCH * STEPS * 2), "--identities", "0",
                        "--size", str(SIZE), "--quiet"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([program, "pack", os.path.join(drawn, "expression"), "-o", packed, "--size", str(SIZE),
                        "--split", "val=0.1"], check=True, capture_output=True)
        rows = []
        for turn in range(rounds):
            rows.append((facet(program, packed, 1, 2), facet(program, packed, 2, 1), torch_ddp(turn)))
            print("  round %d: 1 rank x 2 threads %.1f, 2 ranks x 1 thread %.1f, DDP gloo %.1f pictures/s"
                  % ((turn + 1,) + rows[-1]), flush=True)
    print("2 ranks over 1 rank: %.2fx   2 ranks over PyTorch DDP: %.2fx (medians of the rounds' ratios)" % (
        statistics.median(b / a for a, b, _ in rows), statistics.median(b / c for _, b, c in rows)))


if __name__ == "__main__":
    main()
