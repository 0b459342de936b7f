# SPDX-License-Identifier: Apache-2.0
"""A3: stopped at any step and resumed on 1, 2, 3, 4, 8 and 1 ranks, a run sees the same pictures in the same
global batches as one that never stopped: 0 different, 0 missing, 0 again. Every sampler. (The loader alone goes
through many more such sequences in tests/unit/test_resume_order.c.)"""
import os
import random

from golden import SMALL, data, facet, workspace

QUICK = SMALL + ["model.freeze=backbone", "optim.optimizer=sgd", "eval.predictions=false", "eval.every=9"]


def people(top):
    """A set with identities and landmarks: 6 people, 8 pictures each."""
    drawn, packed = os.path.join(top, "drawn"), os.path.join(top, "people")
    facet("synth", "-o", drawn, "--expression", 0, "--identities", 6, "--per-identity", 10, "--size", 48)
    facet("pack", os.path.join(drawn, "identity"), "-o", packed, "--size", 32, "--split", "val=0.2",
          "--landmarks", os.path.join(drawn, "identity_landmarks.json"))
    return packed


def main():
    rng = random.Random(os.getpid())
    with workspace() as top:
        pk = ["data.path=" + people(top), "sampler.kind=pk", "sampler.identities_per_batch=4",
              "sampler.images_per_identity=3", "train.epochs=5"]
        faces = ["data.path=" + data()]
        for kind, chain, options in (("shuffle", (1, 2, 3, 4, 8, 1), faces),
                                     ("weighted", (1, 3, 2), faces + ["sampler.kind=weighted"]),
                                     ("balanced", (2, 4, 1), faces + ["sampler.kind=balanced"]),
                                     ("pk", (1, 2, 3, 1), pk)):
            run, whole, cut = (os.path.join(top, kind + s) for s in ("-run", "-whole", "-cut"))
            facet("train", *QUICK, *options, "run.dir=" + run + "-whole", "--order", whole)
            wanted = open(whole).read().splitlines()
            stops = sorted(rng.sample(range(1, len(wanted)), len(chain) - 1)) + [len(wanted)]
            done = 0
            for ranks, stop in zip(chain, stops):
                facet("train", *QUICK, *options, "run.dir=" + run, "--order", cut, "--stop-after", stop - done,
                      *(["--resume", run] if done else []), ranks=ranks, want=75 if stop < len(wanted) else 0)
                done = stop
            assert open(cut).read().splitlines() == wanted, "%s, stopped at %s" % (kind, stops)
            assert kind != "pk" or all(len(line.split()) == 2 + 4 * 3 for line in wanted), wanted
            print("%s: %d batches, stopped after %s on %s ranks: 0 different" % (kind, len(wanted), stops, chain))
        _, _, err = facet("train", *QUICK, *pk, "run.dir=" + top + "/pk-run", "--resume", top + "/pk-run",
                          "sampler.images_per_identity=2", want=2)
        assert "resume: sampler.images_per_identity is not what it was" in err, err
        _, _, err = facet("train", *SMALL, *faces, "sampler.kind=pk", "run.dir=" + top + "/none", want=2)
        assert "the training data has no identities" in err, err


main()
