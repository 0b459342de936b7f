# SPDX-License-Identifier: Apache-2.0
"""init.from between unlike trainings: what is taken has the checkpoint's bits, what is not is new and named, and too
little is refused."""
import os
import tempfile

import numpy
from golden import BUILD, SMALL, arrays, data, facet, last_step, workspace


ARCFACE = ["tasks.identity=true", "tasks.landmarks=false", "tasks.expression=false", "sampler.kind=pk",
           "sampler.identities_per_batch=6", "sampler.images_per_identity=2"]


def small(top, name, seed=7):
    """A packed set of its own kind, drawn into the test's folder."""
    drawn = os.path.join(top, name + "-drawn")
    facet("synth", "-o", drawn, "--identities", 6, "--size", 48, "--seed", seed)
    facet("pack", os.path.join(drawn, "identity"), "-o", os.path.join(top, name), "--size", 48, "--split", "val=0.25",
          "--landmarks", os.path.join(drawn, "identity_landmarks.json"))
    return os.path.join(top, name)


def fates(run):
    """init.txt as a table: name here (or in the file, after "file:") -> its row."""
    lines = open(os.path.join(run, "init.txt")).read().splitlines()
    assert lines[0].startswith("# ") and lines[1].startswith("# backbone_share "), lines[:2]
    head = lines[2].split("\t")
    rows = [dict(zip(head, line.split("\t"))) for line in lines[3:]]
    return float(lines[1].split()[-1]), {(r["name"] if r["name"] != "-" else "file:" + r["name_in_file"]): r for r in rows}


def start(top, name, packed, source, *more, want=75, ranks=1):
    run = os.path.join(top, name)
    _, _, err = facet("train", *SMALL, "data.path=" + packed, "run.dir=" + run, "init.from=" + source,
                      "optim.learning_rate=0", *more, "--stop-after", 1, want=want, ranks=ranks)
    return run, err


def check_bits(run, source, table):
    """Every taken tensor has the source's bits; the others do not, where they exist there."""
    old, new = arrays(last_step(source)), arrays(last_step(run))
    taken = [n for n, r in table.items() if r["fate"] == "taken" and "running_" not in n]
    for name in taken:
        assert new["model/" + name].tobytes() == old["model/" + table[name]["name_in_file"]].tobytes(), name
    return taken


def main():
    multitask = data()
    with workspace() as top:
        people = small(top, "people")
        first, second = os.path.join(top, "multitask"), os.path.join(top, "second")
        facet("train", *SMALL, "train.epochs=1", "data.path=" + multitask, "run.dir=" + first)

        # From expressions and points at 32 pixels to ArcFace at 48: the trunk, and a head that is new.
        run, err = start(top, "to-people", people, first, *ARCFACE, ranks=2)
        share, table = fates(run)
        assert share == 1 and "100.00% of the backbone's values" in err and "32 x 32, these are 48 x 48" in err, err
        taken = check_bits(run, first, table)
        assert len(taken) > 60 and "projection.weight" in taken, taken
        assert table["identity_head.weight"]["fate"] == "missing" and "1 missing (not in the file)" in err, err
        gone = sorted(n for n, r in table.items() if r["fate"] == "unexpected")
        assert gone == ["file:%s_head.%s" % h for h in (("expression", "bias"), ("expression", "weight"),
                                                        ("landmark", "bias"), ("landmark", "weight"))], gone

        # And back: from ArcFace to expressions and points.
        facet("train", *SMALL, *ARCFACE, "train.epochs=1", "data.path=" + people, "run.dir=" + second, "init.from=" + first)
        run, err = start(top, "back", multitask, second)
        share, table = fates(run)
        assert share == 1 and table["expression_head.weight"]["fate"] == "missing", table
        assert table["file:identity_head.weight"]["fate"] == "unexpected", table
        assert table["balance.log_var"]["fate"] == "own" and "4 missing" in err, err
        check_bits(run, second, table)

        # The identity head of the same people is taken, that of as many others is not.
        run, err = start(top, "same-people", people, second, *ARCFACE)
        _, table = fates(run)
        assert "identity_head.weight" in check_bits(run, second, table)
        run, err = start(top, "other-people", small(top, "others", 8), second, *ARCFACE)
        _, table = fates(run)
        assert table["identity_head.weight"]["fate"] == "classes" and "1 of a head with other classes" in err, err
        assert table["identity_head.weight"]["shape"] == table["identity_head.weight"]["shape_in_file"] == "6x16"

        # Another stem has another first filter; everything else fits.
        run, err = start(top, "stem", multitask, first, "model.stem=small", "model.embedding=8", "data.normalize=half")
        share, table = fates(run)
        assert table["backbone.conv1.weight"]["fate"] == "shape" and 0.99 < share < 1, share
        assert "64x3x7x7 in the file, 64x3x3x3 here" in err and "another data.normalize" in err, err
        assert table["projection.weight"]["fate"] == "shape" == table["expression_head.weight"]["fate"]

        # The same number of classes under other names means something else.
        renamed = os.path.join(top, "renamed-raw")
        os.makedirs(renamed)
        with tempfile.TemporaryDirectory(dir=BUILD) as raw:
            facet("synth", "-o", raw, "--expression", 80, "--size", 48, "--seed", 9)
            names = sorted(os.listdir(os.path.join(raw, "expression")))
            for i, name in enumerate(names):
                os.rename(os.path.join(raw, "expression", name), os.path.join(renamed, "kind%d" % i))
            facet("pack", renamed, "-o", os.path.join(top, "kinds"), "--size", 32, "--split", "val=0.25",
                  "--format", "expression", "--class-map", ",".join("kind%d=mood%d" % (i, i) for i in range(len(names))))
        run, err = start(top, "kinds-run", os.path.join(top, "kinds"), first)
        _, table = fates(run)
        assert len(names) == 8 and table["expression_head.weight"]["fate"] == "classes", table["expression_head.weight"]
        assert "2 of a head with other classes: expression_head.weight" in err, err
        old, new = arrays(last_step(first)), arrays(last_step(run))
        assert (old["model/expression_head.weight"] != new["model/expression_head.weight"]).any()

        check_rates(top, people, first)
        check_names(top, multitask, first)
        check_refusals(top, multitask, first)


def check_rates(top, packed, first):
    """AdamW's first step is the learning rate in size: 1x for the trunk, head_rate for projection and heads alike."""
    for differential, factor in (("true", 10), ("false", 1)):
        run = os.path.join(top, "rates-" + differential)
        facet("train", *SMALL, *ARCFACE, "data.path=" + packed, "run.dir=" + run, "init.from=" + first, "schedule.warmup_epochs=0",
              "optim.differential_lr=" + differential, "optim.weight_decay=0", "optim.eps=1e-12", "optim.learning_rate=1e-4",
              "--stop-after", 1, want=75)
        old, new = arrays(last_step(first)), arrays(last_step(run))
        for name, wanted in (("backbone.conv1.weight", 1), ("backbone.layer4.1.bn2.weight", 1), ("projection.weight", factor)):
            step = numpy.abs(new["model/" + name] - old["model/" + name])
            assert abs(numpy.median(step[step > 0]) / 1e-4 / wanted - 1) < 0.01, (name, numpy.median(step))


def check_names(top, packed, first):
    """init.rename keeps layers out and moves others; the share is by number of values."""
    run, err = start(top, "renamed", packed, first, "init.rename=backbone.layer1.=old.,backbone.layer2.0.bn1.=backbone.layer2.0.bn9.")
    share, table = fates(run)
    assert table["backbone.layer1.0.conv1.weight"]["fate"] == "missing"
    assert table["backbone.layer2.0.bn1.weight"]["fate"] == "missing"
    values, got = 0, 0
    for name, row in table.items():
        if name.startswith("backbone.") and row["fate"] != "unexpected":
            n = 1
            for side in row["shape"].split("x"):
                n *= int(side)
            values += n
            got += n if row["fate"] == "taken" else 0
    assert abs(share - got / values) < 1e-6 and share < 1, (share, got / values)


def check_refusals(top, packed, first):
    """One line and a hint each; the list of names is there, and nothing was trained."""
    run, err = start(top, "nothing", packed, first, "init.rename=backbone.=trunk.", want=2, ranks=2)
    assert err.count("init.least_share asks for 50.00%") == 1 and "gives 0.00%" in err and "init.strip_prefix" in err, err
    assert fates(run)[0] == 0 and not os.path.exists(os.path.join(run, "metrics.csv"))
    start(top, "little", packed, first, "init.rename=backbone.=trunk.", "init.least_share=0")
    run, err = start(top, "strict", packed, first, "model.stem=small", "init.least_share=1", want=2)
    assert "gives 99.9" in err, err
    _, err = start(top, "rule", packed, first, "init.rename=backbone", want=2)
    assert "'backbone' is not FROM=TO" in err, err
    for head, word in ((b"PK\3\4....", "torch.save"), (b"\x80\2}q", "pickle"), (b"\x10" + bytes(7) + b"{}", "safetensors"),
                       (b"\x89HDF\r\n\x1a\n", "one part of a checkpoint"), (b"", "is a file")):
        path = os.path.join(top, "some.file")
        with open(path, "wb") as f:
            f.write(head)
        _, err = start(top, "file", packed, path, want=2)
        assert word in err and "not a checkpoint of facet" in err and "hint:" in err, err
    _, err = start(top, "gone", packed, os.path.join(top, "gone-run"), want=None)
    assert "gone-run" in err, err


main()
