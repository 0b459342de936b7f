# SPDX-License-Identifier: Apache-2.0
"""Judges facet's numbers by PyTorch: same weights and pictures, torchvision's network or arcface_torch's
in float64.

compare_torch.py PROGRAM BACKEND BACKBONE STEM SIDE BATCH FREEZE grad|steps

Compared: outputs, every gradient, this batch's statistics, with "steps" all weights after three
steps of SGD (momentum, Nesterov, decay) and of AdamW. An error is the largest difference within a tensor over
the largest value of the tensor (after steps: over the largest change); BOUND says what is allowed.
"""
import os
import struct
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
    import torchvision
    from iresnet import IResNet
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

BOUND = {"output": 3e-5, "grad": 5e-4, "sgd": 1e-3, "adamw": 1e-2}
LEARNING_RATE = {"sgd": 1e-3, "adamw": 1e-4}  # these as in dump_steps.c
DECAY, STEPS = 0.01, 3
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PARTS = ["none", "stem", "layer1", "layer2", "layer3", "layer4", "backbone"]


def read_records(path):
    """KIND -> NAME -> array"""
    records = {}
    with open(path, "rb") as file:
        while True:
            head = file.read(4)
            if not head:
                return records
            name = file.read(struct.unpack("=I", head)[0]).decode()
            (ndim,) = struct.unpack("=I", file.read(4))
            dim = struct.unpack(f"={ndim}I", file.read(4 * ndim))
            data = np.fromfile(file, np.float32, int(np.prod(dim))).reshape(dim)
            kind, name = name.split("/", 1)
            records.setdefault(kind, {})[name] = data


class Network(torch.nn.Module):
    """torchvision's trunk (or IResNet) under "backbone", facet's heads."""

    def __init__(self, backbone, stem, side, frozen):
        super().__init__()
        if backbone.startswith("iresnet"):
            self.backbone = IResNet(backbone, side)
            self.projection = torch.nn.Identity()
        else:
            self.backbone = getattr(torchvision.models, backbone)(weights=None)
            self.projection = torch.nn.Linear(self.backbone.fc.in_features, 512)
            self.backbone.fc = torch.nn.Identity()
        if stem == "small":
            self.backbone.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
            self.backbone.maxpool = torch.nn.Identity()
        self.expression_head = torch.nn.Linear(512, 8)
        self.landmark_head = torch.nn.Linear(512, 10)
        self.frozen = [self.backbone.conv1, self.backbone.bn1] if frozen else []
        self.frozen += [self.backbone.prelu] if frozen and backbone.startswith("iresnet") else []
        self.frozen += [getattr(self.backbone, f"layer{i}") for i in range(1, min(frozen, 5))]
        self.frozen += [self.backbone] if frozen == PARTS.index("backbone") else []
        for part in self.frozen:
            part.requires_grad_(False)

    def forward(self, x):
        self.train()
        for part in self.frozen:
            part.eval()
        e = self.projection(self.backbone(x))
        return self.expression_head(e), self.landmark_head(e)


class Judge:
    def __init__(self, records, backbone, stem, side, freeze):
        dtype = torch.float64
        self.records = records
        self.new = lambda: Network(backbone, stem, side, PARTS.index(freeze)).to(dtype)
        images = torch.tensor(records["input"]["images"], dtype=dtype).permute(0, 3, 1, 2) / 255
        mean, std = (torch.tensor(v, dtype=dtype).view(1, 3, 1, 1) for v in (MEAN, STD))
        self.images = (images - mean) / std
        self.coefficients = [torch.tensor(records["input"][k], dtype=dtype)
                             for k in ("expression", "landmarks")]

    def load(self):
        net = self.new()
        state = {k: torch.tensor(v) for k, v in self.records["init"].items()}
        result = net.load_state_dict(state, strict=False)
        assert not result.unexpected_keys, result.unexpected_keys
        assert all(k.endswith("num_batches_tracked") for k in result.missing_keys)
        return net

    def backward(self, net):
        net.zero_grad()
        outputs = net(self.images)
        sum((o * c).sum() for o, c in zip(outputs, self.coefficients)).backward()
        return outputs

    def gradients(self):
        """outputs, gradients; a statistic's "gradient" is the batch's value"""
        net = self.load()
        for module in net.modules():
            if isinstance(module, (torch.nn.BatchNorm2d, torch.nn.BatchNorm1d)):
                module.momentum = 1.0
        expression, landmarks = self.backward(net)
        found = {}
        for name, p in net.named_parameters():
            found[name] = torch.zeros_like(p) if p.grad is None else p.grad
        trained = {n.rsplit(".", 1)[0] for n, p in net.named_parameters() if p.requires_grad}
        for name, b in net.named_buffers():
            found[name] = b if name.rsplit(".", 1)[0] in trained else torch.zeros_like(b)
        return {"output": as_numpy({"expression": expression, "landmarks": landmarks}),
                "grad": as_numpy(found)}

    def steps(self, kind):
        net = self.load()
        groups = {}
        for name, p in net.named_parameters():
            if p.requires_grad:
                key = (1 if name.startswith("backbone.") else 2, DECAY if p.ndim > 1 else 0.0)
                groups.setdefault(key, []).append(p)
        groups = [{"params": p, "lr": LEARNING_RATE[kind] * k[0], "weight_decay": k[1]}
                  for k, p in groups.items()]
        if kind == "sgd":
            optim = torch.optim.SGD(groups, lr=0, momentum=0.9, nesterov=True)
        else:
            optim = torch.optim.AdamW(groups, betas=(0.9, 0.99), eps=1e-3)
        for _ in range(STEPS):
            self.backward(net)
            optim.step()
        return as_numpy(net.state_dict())


def as_numpy(tensors):
    return {k: v.detach().double().numpy() for k, v in tensors.items()}


def errors(found, exact, start=None):
    """NAME -> error; weights after steps may also be off by their own rounding in each step. What is
    small beside the others is measured by a hundredth of them, what vanishes (a shift that the next
    batch norm takes out, rounding alone) by them; what is frozen must have no gradient at all."""
    size = {k: np.abs(exact[k] - (start[k] if start else 0)).max() for k in found}
    typical = np.median([v for v in size.values() if v > 0])
    out = {}
    for name in found:
        rounding = STEPS * 2.0**-23 * np.abs(exact[name]).max() if start else 0
        difference = max(np.abs(found[name] - exact[name]).max() - rounding, 0)
        least = (0.01 if size[name] > 1e-9 * typical else 1) * typical
        out[name] = difference / max(size[name], least)
        if size[name] == 0 and not start:
            out[name] = 0 if np.array_equal(found[name], exact[name]) else np.inf
    return out


def is_within(kind, ours):
    worst = max(ours, key=lambda k: ours[k])
    print(f"  {kind:7s} {len(ours):4d} tensors: worst {ours[worst]:.1e} ({worst}), "
          f"allowed {BOUND[kind]:.0e}")
    return ours[worst] <= BOUND[kind]


def main():
    backend, backbone, stem, side, batch, freeze, extent = sys.argv[2:]
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(sys.argv[1:] + [file.name], check=True,
                       env=dict(os.environ, OMP_WAIT_POLICY="passive"))
        records = read_records(file.name)
    print(f"{backend} {backbone} {stem} {side} px batch {batch}, frozen: {freeze}")
    judge = Judge(records, backbone, stem, int(side), freeze)
    wanted = judge.gradients()
    good = True
    for kind in ("output", "grad"):
        good &= is_within(kind, errors(records[kind], wanted[kind]))
    for kind in ("sgd", "adamw") if extent == "steps" else ():
        good &= is_within(kind, errors(records[kind], judge.steps(kind), records["init"]))
    return 0 if good else 1


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    sys.exit(main())
