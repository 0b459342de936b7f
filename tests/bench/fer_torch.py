# SPDX-License-Identifier: Apache-2.0
"""The recipe of configs/fer7_resnet18.cfg in PyTorch, on the same packed pictures: the judge of accuracy.

usage: fer_torch.py PACKED_FOLDER SEED [EPOCHS]; prints the best and last validation accuracy.
"""
import math
import sys

import h5py
import torch
import torch.nn.functional as F
import torchvision
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF


def packed(folder, split):
    with h5py.File("%s/%s.h5" % (folder, split), "r") as f:
        images = torch.from_numpy(f["images"][:]).permute(0, 3, 1, 2).contiguous()
        return images, torch.from_numpy(f["expression"][:]).long(), len(f.attrs["class_names"])


def augment(x):
    out = []
    side = x.shape[-1]
    for image in x:
        u = torch.rand(6)
        angle = float(20 * u[0] - 10)
        move = [float((0.2 * v - 0.1) * side) for v in u[1:3]]
        image = TF.affine(image, angle, move, 1.0, [0.0, 0.0], interpolation=InterpolationMode.BILINEAR)
        image = TF.adjust_brightness(image, float(0.8 + 0.4 * u[3]))
        image = TF.adjust_contrast(image, float(0.8 + 0.4 * u[4]))
        out.append(TF.hflip(image) if u[5] < 0.5 else image)
    return torch.stack(out)


def normal(x):
    return (x.float() / 255 - 0.5) / 0.5


def accuracy(net, images, labels):
    net.eval()
    with torch.no_grad():
        right = sum(int((net(normal(images[i:i + 64])).argmax(1) == labels[i:i + 64]).sum())
                    for i in range(0, len(images), 64))
    return right / len(images)


def main():
    folder, seed = sys.argv[1], int(sys.argv[2])
    epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 30
    torch.manual_seed(seed)
    torch.set_num_threads(2)
    images, labels, classes = packed(folder, "train")
    val_images, val_labels, _ = packed(folder, "val")
    net = torchvision.models.resnet18(num_classes=classes).to(memory_format=torch.channels_last)
    norm = [p for p in net.parameters() if p.ndim == 1]
    other = [p for p in net.parameters() if p.ndim > 1]
    optimizer = torch.optim.SGD([{"params": other, "weight_decay": 5e-4}, {"params": norm, "weight_decay": 0}],
                                lr=0.02, momentum=0.9, nesterov=True)
    steps = math.ceil(len(images) / 64)
    warmup, total, step, best = 2 * steps, epochs * steps, 0, 0.0
    for epoch in range(epochs):
        net.train()
        order = torch.randperm(len(images))
        for i in range(0, len(images), 64):
            ids = order[i:i + 64]
            part = step < warmup
            rate = (step + 1) / warmup if part else 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
            for group in optimizer.param_groups:
                group["lr"] = 0.02 * rate
            x = normal(augment(images[ids])).contiguous(memory_format=torch.channels_last)
            loss = F.cross_entropy(net(x), labels[ids], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
        last = accuracy(net, val_images, val_labels)
        best = max(best, last)
    print("torch seed %d: last %.4f best %.4f" % (seed, last, best), flush=True)


main()
