# SPDX-License-Identifier: Apache-2.0
"""What the tests of the identity task share: small packed sets of drawn persons, options, tables, parts of a checkpoint."""
import csv
import os

from golden import facet, h5py, packed_once # golden skips where h5py is not installed

# 12 persons with 12 pictures to train and 4 to evaluate: 3 batches of 4 persons x 4 pictures an epoch.
IDENTITY = ["model.backbone=resnet18", "model.stem=imagenet", "model.embedding=32", "tasks.identity=true",
            "tasks.landmarks=false", "sampler.kind=pk", "sampler.identities_per_batch=4", "sampler.images_per_identity=4",
            "data.batch_size=16", "data.num_workers=1", "train.epochs=2", "loss.identity_scale=16", "loss.margin=0.2",
            "optim.learning_rate=0.001", "schedule.warmup_epochs=0.5", "cluster.threads=1", "augment.shift=0.1"]


def people(persons=12, each=16, seed=3):
    """Drawn persons, a quarter of each one's pictures to evaluate."""
    def make(drawn, folder):
        facet("synth", "-o", drawn, "--expression", 0, "--identities", persons, "--per-identity", each,
              "--size", 48, "--seed", seed)
        facet("pack", os.path.join(drawn, "identity"), "-o", folder, "--format", "identity", "--size", 32,
              "--split", "val=0.25", "--landmarks", os.path.join(drawn, "identity_landmarks.json"))
    return packed_once("people-%d-%d-%d" % (persons, each, seed), make)


def table(run_folder, file="metrics.csv"):
    with open(os.path.join(run_folder, file)) as f:
        return list(csv.DictReader(f))


def part(step_folder, rank):
    """Every array of one rank's part of a checkpoint by name."""
    found = {}
    with h5py.File(os.path.join(step_folder, "rank_%04d.h5" % rank), "r") as file:
        file.visititems(lambda name, item: found.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) else None)
    return found
