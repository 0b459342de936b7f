# SPDX-License-Identifier: Apache-2.0
"""facet verify on drawn persons: PyTorch's embeddings of the same pictures by the same weights give its distances,
numpy its accuracy; 1, 2 and 3 ranks print the same bytes; a .bin of the pictures gives what the packed set gives; what
is wrong with pairs and pictures is told in a line."""
import io
import json
import os
import pickle
import sys

import numpy

from golden import SMALL, arrays, data, facet, last_step, workspace

try:
    import h5py
    import torch
    import torchvision
    from PIL import Image
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PERSONS, EACH = 9, 5


def draw(top):
    """The packed persons' folder, and a pairs.txt with as many pairs of each kind."""
    facet("synth", "-o", os.path.join(top, "drawn"), "--expression", 0, "--identities", PERSONS, "--per-identity", EACH,
          "--size", 40, "--seed", 3)
    people = os.path.join(top, "drawn", "identity")
    names = sorted(os.listdir(people))
    for name in names:
        for k, old in enumerate(sorted(os.listdir(os.path.join(people, name)))):
            os.rename(os.path.join(people, name, old), os.path.join(people, name, f"{name}_{k + 1:04d}.jpg"))
    facet("pack", people, "-o", os.path.join(top, "packed"), "--size", 32, "--split", "test")
    lines = [f"{n}\t{a}\t{a + 1}" for n in names for a in (1, 3)]
    lines += [f"{names[i]}\t{1 + i % EACH}\t{names[(i + 1 + k) % PERSONS]}\t{5 - k}" for k in (0, 3) for i in range(PERSONS)]
    pairs = os.path.join(top, "pairs.txt")
    with open(pairs, "w") as file:
        file.write(f"1\t{len(lines) // 2}\n" + "\n".join(lines) + "\n")
    return os.path.join(top, "packed"), pairs


def torch_embeddings(weights, pictures):
    net = torchvision.models.resnet18(weights=None)
    net.fc = torch.nn.Linear(512, weights["model/projection.bias"].shape[0])
    names = {k.replace("model/", "").replace("backbone.", "").replace("projection.", "fc."): v
             for k, v in weights.items() if k.startswith("model/")}
    net.load_state_dict({k: torch.tensor(v) for k, v in names.items() if k in net.state_dict()}, strict=False)
    mean, std = weights["meta/normalize"][:3], weights["meta/normalize"][3:]
    x = torch.tensor(((pictures / 255.0 - mean) / std).transpose(0, 3, 1, 2))
    net.double().eval()
    with torch.no_grad():
        both = net(x) + net(x.flip(3))
        return torch.nn.functional.normalize(both).numpy()


def folds(distance, same, n=10):
    """Accuracy over ten folds of each kind's pairs in their order (the list has one kind after the other)."""
    fold = numpy.empty(len(same), int)
    for kind in (True, False):
        at = numpy.flatnonzero(same == kind)
        fold[at] = numpy.concatenate([[f] * len(part) for f, part in enumerate(numpy.array_split(at, n))])
    grid, accuracy = numpy.arange(0, 4, 0.01), []
    for f in range(n):
        right = [((distance < t) == same)[fold != f].mean() for t in grid]
        accuracy.append(((distance < grid[numpy.argmax(right)]) == same)[fold == f].mean())
    return numpy.mean(accuracy), numpy.std(accuracy)


def verify(*arguments, ranks=1, want=0):
    return facet("verify", *arguments, "--threads", 1, "--batch", 8, ranks=ranks, want=want)


def against_torch(checkpoint, packed, pairs, top):
    csv = os.path.join(top, "distances.csv")
    _, out, err = verify(checkpoint, packed, "--pairs", pairs, "--json", "--distances", csv)
    got = json.loads(out)
    with h5py.File(os.path.join(packed, "test.h5"), "r") as file:
        pictures, paths = file["images"][:], [p.decode() for p in file["path"][:]]
        identity = file["identity"][:]
    embedding = torch_embeddings(arrays(last_step(checkpoint)), pictures)
    row = {os.path.splitext(os.path.basename(p))[0]: i for i, p in enumerate(paths)}
    want, same, used = [], [], set()
    for line in open(pairs).read().splitlines()[1:]:
        part = line.split("\t")
        a, b = row[f"{part[0]}_{int(part[1]):04d}"], row[f"{part[-2] if len(part) == 4 else part[0]}_{int(part[-1]):04d}"]
        want.append(numpy.sum((embedding[a] - embedding[b]) ** 2))
        same.append(len(part) == 3)
        used |= {a, b}
    rows = numpy.genfromtxt(csv, delimiter=",", names=True)
    assert numpy.allclose(rows["distance"], want, rtol=1e-3, atol=1e-5), numpy.abs(rows["distance"] - want).max()
    assert (rows["same"] == same).all() and got["pairs"] == len(same) and got["pictures"] == len(used)
    accuracy, std = folds(rows["distance"], numpy.array(same))
    assert abs(got["accuracy"] - accuracy) < 1e-12 and abs(got["std"] - std) < 1e-12, (got, accuracy, std)
    used = sorted(used)
    far = ((embedding[used, None] - embedding[None, used]) ** 2).sum(2) + 10 * numpy.eye(len(used))
    rank1 = (identity[used][far.argmin(1)] == identity[used]).mean()
    assert got["probes"] == len(used) and abs(got["rank1"] - rank1) < 1e-12, (got, rank1)
    return pictures, rows, used


def same_for_any_ranks(checkpoint, packed, pairs, top):
    seen = []
    for ranks in (1, 2, 3):
        roc = os.path.join(top, f"roc{ranks}.csv")
        _, out, _ = verify(checkpoint, packed, "--pairs", pairs, "--roc", roc, "--json", ranks=ranks)
        _, words, _ = verify(checkpoint, packed, "--pairs", pairs, ranks=ranks) if ranks < 3 else (0, seen[0][2], 0)
        seen.append((out, open(roc).read(), words))
    assert seen[0] == seen[1] == seen[2], seen
    assert "accuracy" in seen[0][2] and "10 folds" in seen[0][2] and "few pairs" in seen[0][2], seen[0][2]
    return json.loads(seen[0][0])


def png(picture):
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()


def as_bin(checkpoint, pictures, rows, used, packed_says, top):
    """Lossless pictures in a .bin: the same numbers; pictures that occur twice are embedded once. first and second
    number the pictures that are in some pair, in the order of the set."""
    path = os.path.join(top, "drawn.bin")
    encoded = [png(pictures[used[int(i)]]) for r in rows for i in (r["first"], r["second"])]
    with open(path, "wb") as file:
        pickle.dump((encoded, [bool(s) for s in rows["same"]]), file, protocol=4)
    _, out, _ = verify(checkpoint, path, "--json", ranks=2)
    got = json.loads(out)
    for key in got:
        if key not in ("set", "probes", "rank1"):
            assert got[key] == packed_says[key], (key, got[key], packed_says[key])
    assert got["probes"] == 0 and got["rank1"] is None


def bad_input(checkpoint, packed, pairs, pictures, top):
    def fails(word, *arguments, ranks=1):
        code, out, err = verify(checkpoint, *arguments, ranks=ranks, want=None)
        lines = [line for line in err.splitlines() if not line.startswith("  hint")]
        assert code in (1, 2) and word in err and out == "", (word, code, err)
        assert sum("error" in line for line in lines) == 1, err

    text = open(pairs).read().splitlines()
    missing = os.path.join(top, "missing.txt")
    open(missing, "w").write("\n".join(text[1:4] + ["Nobody\t1\t2"]) + "\n")
    fails("missing.txt:4: Nobody: no such person among the 45 pictures", packed, "--pairs", missing, ranks=2)
    name = text[1].split("\t")[0]
    open(missing, "w").write(f"{name}\t1\t77\n")
    fails(f"missing.txt:1: {name}_0077: no such picture in", packed, "--pairs", missing)
    fails("which pictures are to be compared?", packed)
    fails("none.bin: cannot open", os.path.join(top, "none.bin"))
    torn = os.path.join(top, "torn.bin")
    good, cut = png(pictures[0]), png(pictures[1])[:300]
    with open(torn, "wb") as file:
        pickle.dump(([good] * 21 + [cut], [True] * 11), file)
    fails("torn.bin: picture 21 (of pair 10): ", torn, ranks=2)
    with open(torn, "wb") as file:
        pickle.dump(([good, png(pictures[2])], [True]), file)
    fails("has its own pairs", torn, "--pairs", pairs)
    fails("an ROC needs pairs of both kinds", torn, "--roc", os.path.join(top, "no.csv"))
    with open(torn, "wb") as file:
        pickle.dump(([good, png(pictures[0][:, ::-1])] * 2, [True, False]), file)
    csv = os.path.join(top, "mirror.csv")
    verify(checkpoint, torn, "--distances", csv)
    assert (numpy.genfromtxt(csv, delimiter=",", names=True)["distance"] < 1e-9).all()
    with open(torn, "wb") as file:
        pickle.dump(([png(p[4:28, 6:26]) for p in pictures[:4]], [True, False]), file)
    _, _, err = verify(checkpoint, torn)
    assert "pictures of 20 x 24 are scaled and cropped to the network's 32 x 32" in err, err


def main():
    with workspace() as top:
        packed, pairs = draw(top)
        checkpoint = os.path.join(top, "run")
        facet("train", *SMALL, "train.epochs=1", "data.path=" + data(), "run.dir=" + checkpoint, ranks=2)
        pictures, rows, used = against_torch(checkpoint, packed, pairs, top)
        says = same_for_any_ranks(checkpoint, packed, pairs, top)
        as_bin(checkpoint, pictures, rows, used, says, top)
        bad_input(checkpoint, packed, pairs, pictures, top)


main()
