# SPDX-License-Identifier: Apache-2.0
# The steps of augmentation against PIL and torchvision with the same parameters.
import math
import os
import subprocess
import sys

try:
    import numpy as np
    import torch
    import torchvision.transforms.functional as tf
    from PIL import Image
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

torch.set_num_threads(1)
PROBE = os.path.join(os.environ["FACET_BUILD"], "tests/unit/augment_probe")
probe = subprocess.Popen([PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
rng = np.random.default_rng(5)
failures = 0


def ours(step, picture, parameters, size=None):
    h, w = picture.shape[:2]
    oh, ow = size or (h, w)
    numbers = " ".join(repr(float(p)) for p in (list(parameters) + [0] * 6)[:6])
    probe.stdin.write(f"{step} {h} {w} {oh} {ow} {numbers}\n".encode() + picture.tobytes())
    probe.stdin.flush()
    return np.frombuffer(probe.stdout.read(oh * ow * 3), np.uint8).reshape(oh, ow, 3)


def check(name, mine, wanted, most, mean):
    global failures
    off = np.abs(mine.astype(int) - wanted.astype(int))
    good = off.max() <= most and off.mean() <= mean
    failures += not good
    print(f"{'ok  ' if good else 'FAIL'} {name}: off by {off.max()} at most ({most}), "
          f"{off.mean():.4f} on average ({mean})")


def pictures():
    """Noise, smooth colours, and all-extreme colours."""
    yield rng.integers(0, 256, (61, 47, 3), dtype=np.uint8)
    y, x = np.mgrid[0:112, 0:112]
    yield np.stack([2 * x, 2 * y, 223 - x - y], -1).astype(np.uint8)
    yield rng.choice(np.array([0, 1, 127, 128, 254, 255], np.uint8), (40, 64, 3))


def tensor(picture):
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)


def back(t):
    return t.permute(1, 2, 0).numpy()


def worst(step, parameters, judge):
    """One line for all pictures: the largest difference decides."""
    mine, wanted = [], []
    for picture in pictures():
        for p in parameters:
            mine.append(ours(step, picture, [p]).ravel())
            wanted.append(np.asarray(judge(picture, p)).ravel())
    return np.concatenate(mine), np.concatenate(wanted)


FACTORS = [0, 0.3, 0.77, 1, 1.01, 1.6, 2]
check("brightness, PIL", *worst("brightness", FACTORS, lambda a, p: tf.adjust_brightness(Image.fromarray(a), p)), 0, 0)
check("contrast, PIL", *worst("contrast", FACTORS, lambda a, p: tf.adjust_contrast(Image.fromarray(a), p)), 0, 0)
check("saturation, PIL", *worst("saturation", FACTORS, lambda a, p: tf.adjust_saturation(Image.fromarray(a), p)), 1, 0.03)
check("grey, PIL", *worst("grey", [0], lambda a, p: tf.to_grayscale(Image.fromarray(a), 3)), 0, 0)
# torchvision cuts off where ours rounds: half of the pixels may differ by one.
HUES = [-0.5, -0.31, -0.1, 0, 0.05, 0.25, 0.5]
check("hue, torchvision", *worst("hue", HUES, lambda a, p: back(tf.adjust_hue(tensor(a), p))), 1, 0.5)
check("blur, torchvision", *worst("blur", [0.1, 0.5, 1, 2], lambda a, p: back(tf.gaussian_blur(tensor(a), 5, p))), 1, 0.01)


def box_map(box, size, flip):
    x0, y0, x1, y1 = box
    xx, yy = (x1 - x0) / size[1], (y1 - y0) / size[0]
    return [-xx, 0, x1, 0, yy, y0] if flip else [xx, 0, x0, 0, yy, y0]


def resize(picture, box, size, flip):
    wanted = np.asarray(Image.fromarray(picture).resize(size[::-1], Image.BILINEAR, box=box))
    return ours("warp", picture, box_map(box, size, flip), size), wanted[:, ::-1] if flip else wanted


for h, w, size in [(224, 224, (112, 112)), (112, 112, (112, 112)), (112, 112, (224, 200)), (90, 300, (112, 64))]:
    mine, wanted = [], []
    for i in range(6):
        picture = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
        x = np.sort(rng.uniform(0, w, 2)) if i else np.array([0, w])
        y = np.sort(rng.uniform(0, h, 2)) if i else np.array([0, h])
        if x[1] - x[0] < 8 or y[1] - y[0] < 8:
            continue
        a, b = resize(picture, (x[0], y[0], x[1], y[1]), size, i % 2)
        mine.append(a.ravel())
        wanted.append(b.ravel())
    check(f"box of {h} x {w} to {size}, PIL", np.concatenate(mine), np.concatenate(wanted), 2, 0.4)


def torch_warp(picture, m, size):
    """Bilinear samples in float64, border replicated, by torch."""
    h, w = picture.shape[:2]
    y, x = np.mgrid[0:size[0], 0:size[1]] + 0.5
    grid = np.stack([(m[0] * x + m[1] * y + m[2]) / w * 2 - 1, (m[3] * x + m[4] * y + m[5]) / h * 2 - 1], -1)
    out = torch.nn.functional.grid_sample(tensor(picture)[None].double(), torch.from_numpy(grid)[None],
                                          "bilinear", "border", align_corners=False)
    return back((out[0] + 0.5).floor().to(torch.uint8))


for picture in list(pictures())[:2]:
    h, w = picture.shape[:2]
    for degrees in (3, 30, 90, 171):
        for scale in (0.6, 0.9, 1.0):
            c, s = math.cos(math.radians(degrees)) * scale, math.sin(math.radians(degrees)) * scale
            m = [c, -s, w / 2 - (c * 30 - s * 25), s, c, h / 2 - (s * 30 + c * 25)]
            check(f"turn {degrees} deg, scale {scale}, torch", ours("warp", picture, m, (50, 60)),
                  torch_warp(picture, m, (50, 60)), 2, 0.35)

# Shrunk while turned: near the exact mean over the footprint, which 16 x 16 samples a pixel give.
y, x = np.mgrid[0:224, 0:224]
picture = np.stack([x * 255 // 223, (x * y) % 256, 255 - y], -1).astype(np.uint8)
picture = np.asarray(Image.fromarray(picture).resize((112, 112)).resize((224, 224)))
c, s = 2 * math.cos(0.3), 2 * math.sin(0.3)
m = [c, -s, 112 - 56 * (c - s), s, c, 112 - 56 * (s + c)]
fine = torch_warp(picture, [m[0] / 16, m[1] / 16, m[2], m[3] / 16, m[4] / 16, m[5]], (1792, 1792))
wanted = fine.reshape(112, 16, 112, 16, 3).mean((1, 3))
check("turned and halved, fine samples", ours("warp", picture, m, (112, 112)), wanted.round(), 8, 0.4)

probe.stdin.close()
failures += probe.wait() != 0
sys.exit(1 if failures else 0)
