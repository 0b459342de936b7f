# SPDX-License-Identifier: Apache-2.0
"""Expression from one set and landmarks from another in one run: each loss counts its own pictures, also
when a global batch is trained in parts, whose labels are spread unevenly."""
import csv
import os

from golden import SMALL, column, facet, workspace


def main():
    with workspace() as top:
        drawn = os.path.join(top, "drawn")
        facet("synth", "-o", drawn, "--expression", 96, "--size", 48, "--seed", 9)
        faces = os.path.join(drawn, "expression")
        facet("pack", faces, "-o", os.path.join(top, "feel"), "--size", 32, "--split", "val=0.25")
        facet("pack", faces, "-o", os.path.join(top, "points"), "--size", 40, "--split", "val=0.25", "--format",
              "flat", "--landmarks", os.path.join(drawn, "expression_landmarks.json"))
        run = os.path.join(top, "run")
        sets = "%s/feel,%s/points" % (top, top)
        facet("train", *SMALL, "data.path=" + sets, "data.size=32", "run.dir=" + run, ranks=2)
        for name in ("expression_loss", "landmark_loss"):
            losses = column(run, name)
            assert len(losses) > 4 and all(v > 0 for v in losses), (name, losses)
        with open(os.path.join(run, "predictions", "val_epoch_002.csv")) as f:
            rows = list(csv.DictReader(f))
        labelled = sum(r["label"] != "" for r in rows)
        pointed = sum(r["landmark_error"] != "" for r in rows)
        assert 0 < labelled < len(rows) and labelled + pointed == len(rows), (labelled, pointed, len(rows))
        norms = {}
        for parts in (1, 2, 4): # frozen: the batch statistics of a part are not those of the whole
            cut = os.path.join(top, "parts%d" % parts)
            facet("train", *SMALL, "data.path=" + sets, "data.size=32", "run.dir=" + cut, "model.freeze=backbone",
                  "train.accumulate=%d" % parts, "--stop-after", 1, want=75)
            norms[parts] = column(cut, "grad_norm")[0]
        assert all(abs(n / norms[1] - 1) < 1e-4 for n in norms.values()), norms
        _, out, _ = facet("eval", os.path.join(run, "checkpoints", "best"), os.path.join(top, "feel"), "--json")
        assert '"accuracy"' in out and '"landmark_nme"' not in out, out


main()
