# SPDX-License-Identifier: Apache-2.0
"""The judge of facet pack --align, in numpy: Umeyama by SVD, cv2.warpAffine's bilinear arithmetic; and what the tests
of packed landmarks share."""
import os
import subprocess

import h5py
import numpy as np

FACET = os.environ["FACET"]
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
FAILED = [0]


def claim(holds, text):
    if not holds:
        print("FAILED:", text)
        FAILED[0] = 1


def template(size):
    if size % 112 == 0:
        return TEMPLATE * (size / 112)
    return (TEMPLATE + [8, 0]) * (size / 128)


def umeyama(src, dst):
    src, dst = np.asarray(src, float), np.asarray(dst, float)
    a, b = src - src.mean(0), dst - dst.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a / len(src))
    sign = np.ones(2)
    if np.linalg.det(u @ vt) < 0:
        sign[1] = -1
    turn = u @ np.diag(sign) @ vt
    scale = (s * sign).sum() / (a ** 2).sum(1).mean()
    return np.hstack([scale * turn, (dst.mean(0) - scale * turn @ src.mean(0))[:, None]])


def moved(matrix, points):
    return np.asarray(points, float) @ matrix[:, :2].T + matrix[:, 2]


def warp(picture, matrix, size):
    """Places in 1/1024 of a pixel, looked up in 1/32, weights exact, black outside."""
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    n = np.arange(size)
    place = [np.rint(1024 * (inverse[k, 1] * n + inverse[k, 2]))[:, None].astype(int) + 16 +
             np.rint(1024 * (inverse[k, 0] * n))[None].astype(int) >> 5 for k in range(2)]
    (x, fx), (y, fy) = [(p >> 5, (p & 31)[..., None]) for p in place]
    h, w = picture.shape[:2]

    def tap(dx, dy):
        u, v = x + dx, y + dy
        inside = (u >= 0) & (v >= 0) & (u < w) & (v < h)
        return np.where(inside[..., None], picture[v.clip(0, h - 1), u.clip(0, w - 1)].astype(int), 0)

    total = ((32 - fx) * (32 - fy) * tap(0, 0) + fx * (32 - fy) * tap(1, 0) + (32 - fx) * fy * tap(0, 1) +
             fx * fy * tap(1, 1))
    return (total + 512 >> 10).astype(np.uint8)


def five_of(points):
    """The five of 5, 10 or 68 points."""
    p = np.asarray(points, float)
    if len(p) == 10:
        return np.array([p[:2].mean(0), p[2:4].mean(0), p[4], p[6], p[7]])
    if len(p) == 68:
        return np.array([p[36:42].mean(0), p[42:48].mean(0), p[30], p[48], p[54]])
    return p


def ten_of(p):
    return np.asarray(p, float)[[36, 39, 42, 45, 30, 33, 48, 54, 51, 57]]


def pack(source, target, *options, wanted=0, before=()):
    done = subprocess.run([*before, FACET, "pack", source, "-o", target, "--quiet", *options], capture_output=True,
                          text=True)
    claim(done.returncode == wanted, f"pack {options}: exit code {done.returncode}, {done.stderr}{done.stdout}")
    return done


def refused(code, text, source, target, *options):
    """With exit code 2 for options, 1 for files."""
    done = pack(source, target, *options, wanted=code)
    claim(text in done.stderr, f"pack {options} says '{text}', not: {done.stderr}")
    claim(len(done.stderr.strip().split("\n")) <= 2, f"one line and a hint, not {done.stderr}")


def rows(path):
    with h5py.File(path, "r") as f:
        data = {k: f[k][:] for k in f}
        names = [n.decode() for n in data["path"]]
        return {n: {k: v[i] for k, v in data.items() if len(v) == len(names)} for i, n in enumerate(names)}, dict(f.attrs)


def bad_list(target):
    with open(f"{target}/bad.csv", encoding="utf-8") as f:
        return f.read()
