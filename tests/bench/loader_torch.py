# SPDX-License-Identifier: Apache-2.0
"""Pictures a second of PyTorch's DataLoader on a packed set, with the augmentation that `facet bench loader` uses.

usage: loader_torch.py PACKED_FOLDER [--split train] [--workers 0] [--size 112] [--augment shift] [--seconds 3]
"""
import argparse
import io
import time

import h5py
import torch
import torchvision.transforms as T
from PIL import Image


class Packed(torch.utils.data.Dataset):
    """Opened anew in each worker: h5py files do not survive a fork."""

    def __init__(self, path, transform):
        self.path, self.transform, self.file = path, transform, None
        with h5py.File(path, "r") as f:
            self.is_jpeg = "bytes" in f
            self.n = len(f["checksum"])
            self.offset = f["offset"][:] if self.is_jpeg else None

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if self.file is None:
            self.file = h5py.File(self.path, "r")
        if self.is_jpeg:
            picture = self.file["bytes"][self.offset[i]:self.offset[i + 1]].tobytes()
            image = Image.open(io.BytesIO(picture)).convert("RGB")
        else:
            image = Image.fromarray(self.file["images"][i])
        return self.transform(image)


def transform(name, size):
    if name == "none":
        return T.Compose([T.Resize((size, size)), T.PILToTensor()])
    flip = T.RandomHorizontalFlip()
    crop = T.RandomResizedCrop(size, scale=(0.5, 1), ratio=(3 / 4, 4 / 3))
    if name == "shift":
        return T.Compose([T.Resize((size, size)), flip, T.RandomAffine(0, translate=(0.1, 0.1)), T.PILToTensor()])
    if name == "crop":
        return T.Compose([crop, flip, T.PILToTensor()])
    return T.Compose([
        crop, flip, T.RandomRotation(10, T.InterpolationMode.BILINEAR), T.ColorJitter(0.4, 0.4, 0.4, 0.1),
        T.RandomGrayscale(0.2), T.PILToTensor(), T.RandomApply([T.GaussianBlur(5, (0.1, 2))], 0.2),
        T.RandomErasing(0.2, (0.02, 0.2)),
    ])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--split", default="train")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--augment", default="shift", choices=["none", "shift", "crop", "all"])
    parser.add_argument("--seconds", type=float, default=3)
    a = parser.parse_args()
    torch.set_num_threads(1)
    data = Packed(f"{a.data}/{a.split}.h5", transform(a.augment, a.size))
    loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True, num_workers=a.workers, drop_last=False,
                                         persistent_workers=a.workers > 0)
    next(iter(loader))  # pays for the start
    pictures, start = 0, time.monotonic()
    while time.monotonic() - start < a.seconds:
        for batch in loader:
            pictures += len(batch)
            if time.monotonic() - start >= a.seconds:
                break
    print(f"{pictures / (time.monotonic() - start):.1f}")


main()
