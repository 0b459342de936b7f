# SPDX-License-Identifier: Apache-2.0
"""IResNet as insightface's arcface_torch defines it (layers, names, initial values), in PyTorch."""
import torch
from torch import nn

BLOCKS = {"iresnet18": (2, 2, 2, 2), "iresnet34": (3, 4, 6, 3), "iresnet50": (3, 4, 14, 3),
          "iresnet100": (3, 13, 30, 3)}


def conv(channels_in, channels, kernel, stride):
    layer = nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, bias=False)
    nn.init.normal_(layer.weight, 0, 0.1)
    return layer


class Unit(nn.Module):
    """bn, conv, bn, PReLU, conv with the stride, bn; plus the shortcut; nothing after the sum."""

    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = conv(channels_in, channels, 3, 1)
        self.bn2 = nn.BatchNorm2d(channels)
        self.prelu = nn.PReLU(channels)
        self.conv2 = conv(channels, channels, 3, stride)
        self.bn3 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride != 1:
            self.downsample = nn.Sequential(conv(channels_in, channels, 1, stride),
                                            nn.BatchNorm2d(channels))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.conv1(self.bn1(x))
        return self.bn3(self.conv2(self.prelu(self.bn2(y)))) + shortcut


class IResNet(nn.Module):
    def __init__(self, name, side=112, embedding=512):
        super().__init__()
        self.conv1, self.bn1, self.prelu = conv(3, 64, 3, 1), nn.BatchNorm2d(64), nn.PReLU(64)
        before = 64
        for layer, blocks in enumerate(BLOCKS[name], 1):
            width = 32 << layer
            units = [Unit(before if i == 0 else width, width, 2 if i == 0 else 1)
                     for i in range(blocks)]
            setattr(self, f"layer{layer}", nn.Sequential(*units))
            before, side = width, (side + 1) // 2
        self.bn2 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512 * side * side, embedding)
        self.features = nn.BatchNorm1d(embedding)
        self.features.weight.requires_grad = False

    def forward(self, x):
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.features(self.fc(torch.flatten(self.bn2(x), 1)))
