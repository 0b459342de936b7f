# SPDX-License-Identifier: Apache-2.0
"""PyTorch's training step on the GPU, as its users run it: channels_last, autocast, SGD fused, eager or
compiled; pictures drawn once on the device. Prints one line of JSON: images/s by device events.

torch_step.py BACKBONE SIZE BATCH bf16|fp16 eager|compiled|graphs PERSONS STEPS   (PERSONS 0: 1,000 classes)
"""
import json
import math
import os
import sys

try:
    import torch
    import torchvision
except ImportError as missing:
    sys.exit(str(missing))

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
from iresnet import IResNet  # noqa: E402

name, size, batch, precision, mode, persons, steps = sys.argv[1:8]
size, batch, persons, steps = int(size), int(batch), int(persons), int(steps)
kind = torch.bfloat16 if precision == "bf16" else torch.float16
if not torch.cuda.is_available():
    sys.exit("PyTorch sees no CUDA device")
device = torch.device("cuda")
torch.backends.cudnn.benchmark = True
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
torch.manual_seed(0)


class ArcFace(torch.nn.Module):
    """Cosines to the persons' rows; 0.5 rad added to the true person's angle; times 64."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(persons, 512) * 0.01)

    def forward(self, embedding, label):
        unit = torch.nn.functional.normalize
        cosine = torch.nn.functional.linear(unit(embedding), unit(self.weight)).float()
        true = cosine.gather(1, label[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
        moved = true * math.cos(0.5) - (1 - true * true).sqrt() * math.sin(0.5)
        return torch.nn.functional.cross_entropy(64 * cosine.scatter(1, label[:, None], moved), label)


class Whole(torch.nn.Module):
    """The network and its loss, so that both are compiled."""

    def __init__(self):
        super().__init__()
        if name.startswith("iresnet"):
            self.net = IResNet(name, size)
            if not persons:
                self.net = torch.nn.Sequential(self.net, torch.nn.Linear(512, 1000))
        else:
            self.net = getattr(torchvision.models, name)(weights=None)
            if persons:
                self.net.fc = torch.nn.Linear(self.net.fc.in_features, 512)
        self.loss = ArcFace() if persons else None

    def forward(self, x, y):
        out = self.net(x)
        return self.loss(out, y) if persons else torch.nn.functional.cross_entropy(out, y)


whole = Whole().to(device, memory_format=torch.channels_last).train()
optim = torch.optim.SGD(whole.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, fused=True)
scaler = torch.amp.GradScaler("cuda", enabled=kind == torch.float16)
call = torch.compile(whole, **({"mode": "reduce-overhead"} if mode == "graphs" else {})) if mode != "eager" else whole
x = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
y = torch.randint(0, persons or 1000, (batch,), device=device)


def step():
    optim.zero_grad(set_to_none=True)
    with torch.autocast("cuda", kind):
        loss = call(x, y)
    scaler.scale(loss).backward()
    scaler.step(optim)
    scaler.update()
    return loss


for _ in range(10):
    step()
torch.cuda.synchronize()
marks = [torch.cuda.Event(enable_timing=True) for _ in range(steps + 1)]
marks[0].record()
for mark in marks[1:]:
    loss = step()
    mark.record()
torch.cuda.synchronize()
took = sorted(a.elapsed_time(b) for a, b in zip(marks, marks[1:]))
median = took[len(took) // 2] * 1e-3
print(json.dumps({"images_per_s": batch / median, "step_s": median, "loss": loss.item(),
                  "memory_bytes": torch.cuda.max_memory_allocated(), "torch": torch.__version__}))
