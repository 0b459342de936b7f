# SPDX-License-Identifier: Apache-2.0
"""A6, A8: a checkpoint stored by version 1 of the format is read and gone on from; one of a newer version is refused
with both versions named; every damage is named once, by file, tensor and bytes, and the checkpoint before is taken."""
import json
import os
import re

import numpy

import stored
from golden import arrays, facet, last_step, workspace

OLD, NEW = "step_00000002", "step_00000003"
PART = os.path.join(NEW, "rank_0000.h5")
TENSOR = "model/backbone.layer4.0.conv1.weight"


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    """A new file in the place of a link: what it was linked to stays."""
    if os.path.lexists(path):
        os.remove(path)
    with open(path, "wb") as f:
        f.write(data)


def linked(run, copy):
    """The checkpoints of `run` again, as links: damage is done to a copy."""
    for folder, _, names in os.walk(os.path.join(run, "checkpoints")):
        there = os.path.join(copy, os.path.relpath(folder, run))
        os.makedirs(there)
        for name in names:
            os.link(os.path.join(folder, name), os.path.join(there, name))
    return os.path.join(copy, "checkpoints")


def damages(run):
    """What is done to a checkpoints folder, and the words that must tell it."""
    place = os.path.join(run, "checkpoints")
    part, commit = read(os.path.join(place, PART)), read(os.path.join(place, NEW, "COMMIT"))
    found = re.search(rb"tensor (\d+) (\d+) \w+ " + TENSOR.encode() + rb"\n", commit)
    at, end = int(found[1]), int(found[1]) + int(found[2])
    middle = (at + end) // 2
    here = [PART, "tensor " + TENSOR, "bytes %d to %d" % (at, end)]

    def puts(name, data):
        return lambda folder: write(os.path.join(folder, name), data)

    def swap(name):
        return lambda folder: write(os.path.join(folder, NEW, name), read(os.path.join(folder, OLD, name)))

    flipped = bytes([commit[200] ^ 1])
    return {
        "bit": (puts(PART, part[:middle] + bytes([part[middle] ^ 4]) + part[middle + 1:]), here),
        "zeros": (puts(PART, part[:middle] + bytes(4096) + part[middle + 4096:]), here),
        "table": (puts(PART, part[:60] + bytes([part[60] ^ 1]) + part[61:]), [PART, "outside its tensors"]),
        "cut": (puts(PART, part[:end - 1]), [PART, "has %d bytes instead of %d" % (end - 1, len(part)), "tensor "]),
        "deleted": (lambda folder: os.remove(os.path.join(folder, PART)), [PART, "cannot open"]),
        "swapped": (swap("rank_0000.h5"), [PART, "tensor "]),
        "commit-bit": (puts(NEW + "/COMMIT", commit[:200] + flipped + commit[201:]), [NEW + "/COMMIT", "its own checksum"]),
        "commit-cut": (puts(NEW + "/COMMIT", commit[:900]), [NEW + "/COMMIT", "its end is missing (900 bytes are there)"]),
        "commit-zeros": (puts(NEW + "/COMMIT", bytes(len(commit))), [NEW + "/COMMIT", "does not begin like"]),
        "commit-deleted": (lambda folder: os.remove(os.path.join(folder, NEW, "COMMIT")), [NEW + "/COMMIT", "is not there"]),
        "commit-swapped": (swap("COMMIT"), [NEW + "/COMMIT", "belongs to step 2"]),
    }


def both(run, packed, want_train, want_eval, ranks):
    """What train --resume and eval say of a run."""
    _, _, train = facet("train", *stored.ARGUMENTS, "data.path=" + packed, "--resume", run, "--stop-after", 1, want=want_train)
    return train, facet("eval", run, packed, "--json", ranks=ranks, want=want_eval)


def check_damage(top, run, packed):
    for name, (harm, words) in damages(run).items():
        copy = os.path.join(top, name)
        harm(linked(run, copy))
        _, out, err = facet("eval", copy, packed, "--json", ranks=2)
        assert json.loads(out)["checkpoint"].endswith(OLD), name
        _, _, train = facet("train", *stored.ARGUMENTS, "data.path=" + packed, "--resume", copy, "--stop-after", 1, want=75)
        assert "resumed from %s/checkpoints/%s" % (copy, OLD) in train, train
        for text in (err, train):
            told = [line for line in text.splitlines() if "warning" in line]
            assert len(told) == 1 and not [w for w in words if w not in told[0]], (name, words, text)
            assert "taking %s instead: 1 step is lost" % OLD in told[0], (name, text)


def check_none_left(top, run, packed):
    """All damaged, or the damaged one asked for by name: refused, nothing else is taken."""
    copy = os.path.join(top, "none")
    folder = linked(run, copy)
    for step in (OLD, NEW):
        write(os.path.join(folder, step, "rank_0000.h5"), b"nothing")
    train, (_, _, err) = both(copy, packed, 1, 1, 2)
    for text in (train, err):
        assert "holds no older whole checkpoint" in text and PART in text and text.count("facet: error:") == 1, text
    copy = os.path.join(top, "named")
    write(os.path.join(linked(run, copy), PART), b"nothing")
    _, _, err = facet("eval", os.path.join(copy, "checkpoints", NEW), packed, want=1)
    assert "has 7 bytes instead of" in err, err
    copy = os.path.join(top, "pointer")
    write(os.path.join(linked(run, copy), "last"), b"step_x\n")
    _, out, err = facet("eval", copy, packed, "--json", ranks=2)
    assert json.loads(out)["checkpoint"].endswith(NEW) and err.count("warning") == 1, err


def check_version(top, run, packed):
    copy = os.path.join(top, "newer")
    path = os.path.join(linked(run, copy), NEW, "COMMIT")
    text = read(path).decode()
    assert text.startswith("facet-checkpoint 1\n")
    os.remove(path)
    stored.sign(path, text.replace("facet-checkpoint 1\n", "facet-checkpoint 2\n", 1))
    train, (_, _, err) = both(copy, packed, 1, 1, 2)
    for told in (train, err):
        assert "format 2, but this facet reads up to format 1" in told and "warning" not in told, told


def main():
    with workspace() as top:
        stored.unpack("checkpoint_v1", top)
        run, packed = os.path.join(top, "run"), os.path.join(top, "data")
        train, (_, out, _) = both(run, packed, 75, 0, 1)
        assert "resumed from %s/checkpoints/%s: epoch 1, step 2" % (run, OLD) in train, train
        assert json.loads(out)["pictures"] == 6 and last_step(run).endswith(NEW)
        now, then = arrays(last_step(run)), arrays(os.path.join(run, "checkpoints", OLD))
        assert all(numpy.isfinite(v).all() for n, v in now.items() if n.startswith(("model/", "optim/")))
        assert now["train/position"].tolist() == [1, 0, 3, 0, 3] and (now[TENSOR] != then[TENSOR]).any()
        check_damage(top, run, packed)
        check_none_left(top, run, packed)
        check_version(top, run, packed)


main()
