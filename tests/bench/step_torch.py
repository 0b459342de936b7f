# SPDX-License-Identifier: Apache-2.0
"""PyTorch's training step on the same terms as bench_step.c; prints the same line.
usage: step_torch.py BACKBONE SIZE BATCH THREADS STEPS contiguous|channels_last"""
import os
import resource
import statistics
import sys
import time

import torch
import torchvision

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
from iresnet import IResNet  # noqa: E402

name, size, batch, threads, steps, layout = sys.argv[1], *map(int, sys.argv[2:6]), sys.argv[6]
torch.set_num_threads(threads)
now = time.process_time if threads == 1 else time.perf_counter  # as bench_step.c
torch.manual_seed(0)
if name.startswith("iresnet"):
    net = torch.nn.Sequential(IResNet(name, size), torch.nn.Linear(512, 1000))
else:
    net = getattr(torchvision.models, name)(weights=None)
x = torch.randn(batch, 3, size, size)
y = torch.randint(0, 1000, (batch,))
if layout == "channels_last":
    net = net.to(memory_format=torch.channels_last)
    x = x.contiguous(memory_format=torch.channels_last)
net.train()
optim = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
loss_of = torch.nn.CrossEntropyLoss()
took = []
for _ in range(steps + 2):
    start = now()
    optim.zero_grad(set_to_none=True)
    loss = loss_of(net(x), y)
    loss.backward()
    optim.step()
    value = loss.item()
    took.append(now() - start)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(f"{batch / statistics.median(took[2:]):.3f} {peak} {value:.4f}")
