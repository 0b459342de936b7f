# SPDX-License-Identifier: Apache-2.0
"""What facet pack writes is what facet verify reads: a set with its pairs beside it gives the numbers of pairs.txt, and
a .bin that facet wrote, packed again, those of the .bin itself."""
import json
import os

from golden import SMALL, data, facet, workspace


def draw(top):
    facet("synth", "-o", os.path.join(top, "drawn"), "--expression", 0, "--identities", 6, "--per-identity", 4,
          "--size", 40, "--seed", 4)
    people, lines = os.path.join(top, "drawn", "identity"), []
    names = sorted(os.listdir(people))
    for k, name in enumerate(names):
        for i, old in enumerate(sorted(os.listdir(os.path.join(people, name)))):
            os.rename(os.path.join(people, name, old), os.path.join(people, name, f"{name}_{i + 1:04d}.jpg"))
        lines += [f"{name}\t1\t{j}" for j in (2, 3, 4)]
        lines += [f"{name}\t{j}\t{names[k - 1]}\t{5 - j}" for j in (1, 2, 3)]
    pairs = os.path.join(top, "pairs.txt")
    with open(pairs, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
    return people, pairs


def verify(checkpoint, what, *more):
    got = json.loads(facet("verify", checkpoint, what, "--threads", 1, "--json", *more)[1])
    return {k: v for k, v in got.items() if k != "set"}


with workspace() as top:
    people, pairs = draw(top)
    run, packed, written, again = (os.path.join(top, name) for name in ("run", "packed", "written.bin", "again"))
    facet("train", *SMALL, "train.epochs=1", "data.path=" + data(), "run.dir=" + run)
    facet("pack", people, "-o", packed, "--size", 32, "--pairs", pairs)
    want = verify(run, packed, "--split", "train", "--pairs", pairs)
    assert want["pairs"] == 36 and 0 < want["accuracy"] <= 1, want
    assert verify(run, packed) == want
    facet("pack", people, "-o", written, "--size", 32, "--pairs", pairs)
    facet("pack", written, "-o", again, "--size", 32)
    of_bin, of_set = verify(run, written), verify(run, again)
    assert of_bin == of_set and of_bin["pairs"] == 36 and of_bin["pictures"] == 24, (of_bin, of_set)
    # JPEG is all that differs from the set
    assert abs(of_bin["xnorm"] - want["xnorm"]) < 0.1 * want["xnorm"], (of_bin, want)
