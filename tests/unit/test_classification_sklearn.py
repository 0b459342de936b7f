# SPDX-License-Identifier: Apache-2.0
# Our classification report against scikit-learn's, character by character, on random matrices.
import os
import subprocess
import sys
import warnings

try:
    import numpy as np
    import sklearn
    from sklearn.metrics import classification_report
except ImportError as e:
    print("skipped:", e)
    sys.exit(77)

ROUNDS = 300
rng = np.random.default_rng(5)
warnings.filterwarnings("ignore")


def random_matrix():
    k = int(rng.integers(2, 13))
    m = rng.integers(0, int(rng.choice([2, 5, 40])), (k, k))
    m += np.diag(rng.integers(0, 50, k))
    if rng.random() < 0.4:
        m[rng.integers(k)] = 0  # no pictures of a class
    if rng.random() < 0.4:
        m[:, rng.integers(k)] = 0  # a class never predicted
    if rng.random() < 0.3:
        empty = rng.integers(k)
        m[empty] = m[:, empty] = 0
    if m.sum() == 0:
        m[0, 0] = 1
    return m


def report(m, digits):
    k = len(m)
    actual, predicted = np.indices(m.shape).reshape(2, -1)
    counts = m.ravel()
    return classification_report(
        np.repeat(actual, counts), np.repeat(predicted, counts), labels=range(k),
        target_names=["class %d" % i for i in range(k)], digits=digits, zero_division=0)


matrices = [(random_matrix(), int(rng.choice([2, 4]))) for _ in range(ROUNDS)]
text = "".join("%d %d\n%s\n" % (len(m), d, " ".join(map(str, m.ravel()))) for m, d in matrices)
program = os.environ["FACET_BUILD"] + "/tests/unit/matrix_report"
out = subprocess.run([program], input=text, capture_output=True, text=True, check=True).stdout
ours = out.split("--\n")[:-1]
assert len(ours) == ROUNDS, len(ours)
for (m, digits), mine in zip(matrices, ours):
    theirs = report(m, digits)
    if mine != theirs:
        print(m, "\nours:\n" + mine, "\nscikit-learn's:\n" + theirs, sep="")
        sys.exit(1)
print(ROUNDS, "reports equal scikit-learn", sklearn.__version__, "to the character")
