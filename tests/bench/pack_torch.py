# SPDX-License-Identifier: Apache-2.0
"""CPU seconds a picture of torchvision's ImageFolder with the decode and resize of facet pack: pack_torch.py FOLDER SIZE."""
import resource
import sys

import torch
from torchvision import datasets, transforms

torch.set_num_threads(1)
folder, size = sys.argv[1], int(sys.argv[2])
steps = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size), transforms.ToTensor()])
data = datasets.ImageFolder(folder, steps)
loader = torch.utils.data.DataLoader(data, batch_size=32, num_workers=0)


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


start = cpu_s()
for pictures, _ in loader:
    pass
print((cpu_s() - start) / len(data))
