#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How far pixels alone go: logistic regression on an expression set that `facet synth` drew.

usage: /usr/bin/python3 tests/bench/linear_baseline.py DIR [--size 48] [--colour] [--train 4000] [--val 1000]

Prints the validation accuracy in percent for a few strengths of regularisation and the best of
them, which favours the linear side. DIR holds expression/<class>/<nnnnnn>.jpg.
"""
import argparse
import pathlib
import warnings

import numpy as np
from PIL import Image
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler


def read(files, size, colour):
    mode = "RGB" if colour else "L"
    box = (size, size)
    pictures = [np.asarray(Image.open(f).convert(mode).resize(box, Image.BILINEAR)) for f in files]
    return np.stack(pictures).reshape(len(files), -1).astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--colour", action="store_true")
    parser.add_argument("--train", type=int, default=4000)
    parser.add_argument("--val", type=int, default=1000)
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)

    files = sorted((args.folder / "expression").glob("*/*.jpg"))
    np.random.RandomState(0).shuffle(files)
    files = files[: args.train + args.val]
    train = len(files) * args.train // (args.train + args.val)
    x = read(files, args.size, args.colour)
    y = np.array([f.parent.name for f in files])
    scale = StandardScaler().fit(x[:train])
    x = scale.transform(x)
    largest = max(np.mean(y[train:] == c) for c in set(y))
    best = 0
    for strength in (1e-4, 1e-3, 1e-2):
        model = LogisticRegression(C=strength, max_iter=60).fit(x[:train], y[:train])
        seen, new = model.score(x[:train], y[:train]), model.score(x[train:], y[train:])
        print(f"C={strength:g}  train {100 * seen:.1f} %  val {100 * new:.1f} %", flush=True)
        best = max(best, new)
    print(f"linear on {args.size}x{args.size} {'RGB' if args.colour else 'grey'}: "
          f"best val {100 * best:.1f} % of {len(files) - train} pictures "
          f"(always the largest class: {100 * largest:.1f} %)")


main()
