# SPDX-License-Identifier: Apache-2.0
"""Verification numbers against scikit-learn's and numpy's on the same embeddings: the folds of
arcface_torch's eval/verification.py written down anew, roc_curve, roc_auc_score, normalize; with
ties, few pairs, one kind of pair, zeros and NaN."""
import io
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

try:
    from sklearn.metrics import roc_auc_score, roc_curve
    from sklearn.model_selection import KFold
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import normalize
except ImportError:
    print("skipped: python3-sklearn is not installed")
    sys.exit(77)

PROBE = os.path.join(os.environ["FACET_BUILD"], "tests", "unit", "verification_probe")
folder = tempfile.TemporaryDirectory(prefix="facet-verification-")
failures = 0


def check(claim, ok, found=""):
    global failures
    if not ok:
        failures += 1
        print(f"FAILED: {claim}: {found}")


def facet(raw, identity, pairs, roc=False):
    path = os.path.join(folder.name, "embeddings")
    n, _, e = raw.shape
    with open(path, "wb") as file:
        file.write(np.array([n, e, len(pairs)], np.int64).tobytes())
        file.write(raw.astype(np.float32).tobytes() + identity.astype(np.int64).tobytes())
        file.write(np.ascontiguousarray(pairs.T.astype(np.int64)).tobytes())
    run = subprocess.run([PROBE, path] + (["roc"] if roc else []), capture_output=True, text=True,
                         check=True, timeout=50)
    return run.stdout, np.array(run.stderr.split(), float)


def close(a, b):
    return a is None and (b is None or np.isnan(b)) or a is not None and abs(a - b) < 1e-12


def folds_of(distance, same):
    """Accuracy of each fold: its threshold is the first best one of the others. Folds of the order
    given, unless one would be of one kind: then those of each kind are dealt on their own."""
    folds = list(KFold(min(10, len(same)), shuffle=False).split(same))
    by_kind = any(len(set(same[test])) == 1 for _, test in folds) and min(same.sum(), (~same).sum()) >= len(folds)
    if by_kind:
        kinds = [np.flatnonzero(same), np.flatnonzero(~same)]
        each = [list(KFold(len(folds)).split(kind)) for kind in kinds]
        folds = [tuple(np.concatenate([kinds[k][each[k][f][side]] for k in range(2)]) for side in range(2))
                 for f in range(len(folds))]
    accuracy = []
    for train, test in folds:
        grid = np.arange(0, 4, 0.01)
        right = [np.mean((distance[train] < t) == same[train]) for t in grid]
        accuracy.append(np.mean((distance[test] < grid[np.argmax(right)]) == same[test]))
    return accuracy, by_kind


def equal_error(far, tar):
    x = np.linspace(0, 1, 2000001)
    return x[np.argmin(np.abs(1 - x - np.interp(x, far, tar)))]


def compare(claim, raw, identity, pairs):
    out, distance = facet(raw, identity, pairs)
    got = json.loads(out.split("\n")[0].replace("{,", "{"))
    same = pairs[:, 2].astype(bool)
    embedding = normalize(raw[:, 0].astype(float) + raw[:, 1])
    want = np.sum((embedding[pairs[:, 0]] - embedding[pairs[:, 1]]) ** 2, 1)
    check(f"{claim}: distances", np.allclose(distance, want, rtol=0, atol=1e-12), distance - want)
    check(f"{claim}: counts", (got["pairs"], got["same"]) == (len(same), same.sum()), got)
    norm = np.mean(np.linalg.norm(raw.astype(float), axis=2)[pairs[:, :2].ravel()])
    check(f"{claim}: xnorm", abs(got["xnorm"] - norm) < 1e-9, (got["xnorm"], norm))
    if len(same) > 1:
        accuracy, by_kind = folds_of(distance, same)
        check(f"{claim}: by kind", got["by_kind"] == by_kind, got)
        check(f"{claim}: accuracy", close(got["accuracy"], np.mean(accuracy)), (got["accuracy"], accuracy))
        check(f"{claim}: std", close(got["std"], np.std(accuracy)), (got["std"], np.std(accuracy)))
    grid = np.arange(0, 4, 0.01)
    right = [np.mean((distance < t) == same) for t in grid]
    check(f"{claim}: threshold", close(got["threshold"], grid[np.argmax(right)]), got["threshold"])
    check(f"{claim}: best accuracy", close(got["best_accuracy"], max(right)), got["best_accuracy"])
    if same.all() or not same.any():
        check(f"{claim}: no ROC", got["auc"] is None and got["eer"] is None and got["tar_1e-1"] is None, got)
    else:
        compare_roc(claim, got, distance, same, facet(raw, identity, pairs, roc=True)[0])
    compare_rank1(claim, got, embedding, identity)
    return got, out


def compare_roc(claim, got, distance, same, csv):
    check(f"{claim}: auc", close(got["auc"], roc_auc_score(same, -distance)), got["auc"])
    far, tar, _ = roc_curve(same, -distance, drop_intermediate=False)
    check(f"{claim}: eer", abs(got["eer"] - equal_error(far, tar)) < 2e-6, got["eer"])
    for k in range(1, 7):
        has = np.sum(~same) >= 10 ** k
        want = tar[np.round(far * np.sum(~same)) * 10 ** k <= np.sum(~same)].max() if has else None
        check(f"{claim}: tar at 1e-{k}", close(got[f"tar_1e-{k}"], want), (got[f"tar_1e-{k}"], want))
    rows = np.genfromtxt(io.StringIO(csv), delimiter=",", names=True)
    check(f"{claim}: roc.csv", np.allclose(rows["far"], far, atol=1e-8) and np.allclose(rows["tar"], tar, atol=1e-8)
          and np.array_equal(rows["distance"][1:], np.unique(distance)), rows[:3])


def compare_rank1(claim, got, embedding, identity):
    known = np.array([i >= 0 and np.sum(identity == i) > 1 for i in identity])
    check(f"{claim}: probes", got["probes"] == known.sum(), got["probes"])
    if known.any():
        near = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(embedding).kneighbors(embedding)[1]
        other = np.where(near[:, 0] == np.arange(len(near)), near[:, 1], near[:, 0])
        want = np.mean((identity[other] == identity)[known])
        check(f"{claim}: rank-1", close(got["rank1"], want), (got["rank1"], want))


random = np.random.default_rng(8)


def people(persons, each, features, noise):
    centre = random.normal(size=(persons, 1, 1, features))
    raw = (centre + noise * random.normal(size=(persons, each, 2, features))).reshape(-1, 2, features)
    identity = np.repeat(np.arange(persons), each)
    return (5 * raw).astype(np.float32), identity


def pairs_of(identity, n, shuffle):
    first = random.integers(0, len(identity), n)
    same = np.array([random.choice(np.flatnonzero(identity == identity[i])) for i in first])
    second = np.where(np.arange(n) % 2 == 0, same, random.integers(0, len(identity), n))
    pairs = np.stack([first, second, identity[first] == identity[second]], 1)
    return pairs[random.permutation(n)] if shuffle else pairs[np.argsort(-pairs[:, 2], kind="stable")]


for noise in (0.05, 1, 3):
    raw, identity = people(40, 6, 32, noise)
    compare(f"noise {noise}", raw, identity, pairs_of(identity, 3000, True))
    got, _ = compare(f"noise {noise}, the same ones first", raw, identity, pairs_of(identity, 1000, False))
    check("one kind after the other is dealt anew", got["by_kind"] == 1, got)
raw, identity = people(30, 5, 16, 2)
for n in (2, 3, 7, 9, 10, 11, 19, 101):
    compare(f"{n} pairs", raw, identity, pairs_of(identity, n, True))
got, text = compare("few pairs are told of", raw, identity, pairs_of(identity, 20, True))
check("few pairs are told of", "few pairs: a fold's accuracy moves in steps of 50.0 %" in text, text)
one = pairs_of(identity, 1, True)
got, _ = compare("one pair", raw, identity, one)
check("one pair has no folds", got["folds"] == 0 and got["accuracy"] is None, got)
rough = np.round(raw / 10)  # few values: many equal distances, some embeddings of zeros
compare("ties", rough, np.full(len(raw), -1), pairs_of(identity, 2000, True))
rough[3] = 0
got, _ = compare("zeros stay zeros", rough, np.full(len(raw), -1), np.array([[3, 4, 0], [3, 3, 1], [5, 6, 1]]))
same_only = pairs_of(identity, 60, False)[:30]
got, text = compare("all of one person", raw, identity, same_only)
check("one kind is told of", "all pairs are of one kind" in text, text)
check("no ROC of one kind", "an ROC needs pairs of both kinds" in facet(raw, identity, same_only, roc=True)[0])
grid = np.zeros((800, 2, 2), np.float32)  # distances on and beside the thresholds
for i in range(400):
    angle = 2 * np.arcsin(min(1, np.sqrt(i * 0.01) / 2))
    grid[2 * i] = [1, 0]
    grid[2 * i + 1] = [np.cos(angle), np.sin(angle)]
compare("on the thresholds", grid, np.full(800, -1),
        np.stack([np.arange(0, 800, 2), np.arange(1, 800, 2), random.integers(0, 2, 400)], 1))
bad = raw.copy()
bad[0, 1, 0] = np.nan
bad[7, 0, 3] = np.inf
out, distance = facet(bad, identity, np.array([[0, 1, 1], [7, 8, 1], [2, 3, 1], [2, 9, 0]]))
got = json.loads(out.split("\n")[0].replace("{,", "{"))
check("NaN is far from all", np.isinf(distance[:2]).all() and got["not_finite"] == 2, (distance, got))
good = raw[[1, 8, 2, 3, 2, 9]]
check("NaN is not in xnorm", abs(got["xnorm"] - np.mean(np.linalg.norm(good.astype(float), axis=2))) < 1e-9, got)
near, of = people(40, 6, 32, 0.05)
near[0, 0, 0] = np.nan
got = json.loads(facet(near, of, pairs_of(of, 100, True))[0].split("\n")[0].replace("{,", "{"))
check("NaN is not known again", (got["probes"], got["rank1"]) == (240, 239 / 240), got)
negatives = np.stack([np.zeros(12000, int), random.integers(1, 150, 12000), np.arange(12000) < 500], 1)
got, text = compare("negatives behind each rate", raw, np.full(len(raw), -1), negatives)
check("negatives are told", "TAR@FAR=1e-4" in text and "1 of 11500 negatives" in text and
      "TAR@FAR=1e-5   needs 100000 negatives, there are 11500" in text, text)
sys.exit(1 if failures else 0)
