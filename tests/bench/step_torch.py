# SPDX-License-Identifier: Apache-2.0
"""PyTorch's training step on the same terms as bench_step.c; prints the same line.
usage: step_torch.py BACKBONE SIZE BATCH THREADS STEPS contiguous|channels_last [PERSONS]
With PERSONS the thousand classes give way to an embedding of 512 and an ArcFace head of so many."""
import math
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
persons = int(sys.argv[7]) if len(sys.argv) > 7 else 0


class ArcFace(torch.nn.Module):
    """Cosines to the persons' rows; 0.5 rad added to the true person's angle; times 64."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(persons, 512) * 0.01)

    def forward(self, embedding, label):
        cosine = torch.nn.functional.linear(torch.nn.functional.normalize(embedding),
                                            torch.nn.functional.normalize(self.weight))
        true = cosine.gather(1, label[:, None]).clamp(-1 + 1e-7, 1 - 1e-7)
        moved = true * math.cos(0.5) - (1 - true * true).sqrt() * math.sin(0.5)
        return torch.nn.functional.cross_entropy(64 * cosine.scatter(1, label[:, None], moved), label)


torch.manual_seed(0)
if name.startswith("iresnet"):
    net = IResNet(name, size)
    if not persons:
        net = torch.nn.Sequential(net, torch.nn.Linear(512, 1000))
else:
    net = getattr(torchvision.models, name)(weights=None)
    if persons:
        net.fc = torch.nn.Linear(net.fc.in_features, 512)
x = torch.randn(batch, 3, size, size)
y = torch.randint(0, persons or 1000, (batch,))
if layout == "channels_last":
    net = net.to(memory_format=torch.channels_last)
    x = x.contiguous(memory_format=torch.channels_last)
net.train()
loss_of = ArcFace() if persons else torch.nn.CrossEntropyLoss()
optim = torch.optim.SGD([*net.parameters(), *loss_of.parameters()], lr=0.01, momentum=0.9, weight_decay=5e-4)
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
