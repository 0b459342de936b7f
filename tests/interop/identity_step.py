# SPDX-License-Identifier: Apache-2.0
"""Judges a whole identity step of `facet train` by PyTorch in float64: the pictures of the packed set that the step took,
torchvision's network, ArcFace and batch-hard triplets on the embedding, a landmark head beside them.

The learning rate is 0 and SGD's momentum starts empty, so one checkpoint holds the weights before the step and, as the
momentum, every gradient. An error of the heads and the projection is the largest difference within a tensor over the
tensor's largest value; of the trunk it is the difference's norm over the gradient's, all tensors together: single ReLUs that
lie at zero are let through in float32 or float64 only (compare_torch.py judges the trunk with its weights drawn apart).
"""
import csv
import glob
import math
import os
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy
    import torch
    import torchvision
except ImportError as missing:
    print("skipped: %s" % missing)
    sys.exit(77)

FACET = os.environ["FACET"]
SCALE, MARGIN, TRIPLET_WEIGHT, TRIPLET_MARGIN, IDENTITY_WEIGHT, LANDMARK_WEIGHT, CENTRES = 16, 0.3, 0.7, 0.4, 1.5, 5.0, 2
OPTIONS = ["model.backbone=resnet18", "model.stem=imagenet", "model.embedding=64", "tasks.identity=true", "sampler.kind=pk",
           "sampler.identities_per_batch=6", "sampler.images_per_identity=4", "data.batch_size=24", "augment.flip=0",
           "optim.optimizer=sgd", "optim.learning_rate=0", "optim.weight_decay=0", "cluster.threads=1", "train.sync_bn=true",
           "loss.identity_scale=%g" % SCALE, "loss.margin=%g" % MARGIN, "loss.triplet_weight=%g" % TRIPLET_WEIGHT,
           "loss.triplet_margin=%g" % TRIPLET_MARGIN, "loss.identity_weight=%g" % IDENTITY_WEIGHT,
           "loss.landmark_weight=%g" % LANDMARK_WEIGHT, "loss.use_uncertainty_weighting=off", "model.sub_centres=%d" % CENTRES]
BOUND = {"loss": 1e-5, "head": 2e-5, "trunk": 3e-2}


def run(*command, ranks=1, want=0):
    launch = ["mpirun", "-n", str(ranks), "--bind-to", "none"] if ranks > 1 else []
    done = subprocess.run(launch + [FACET, *command], capture_output=True, text=True, env=dict(os.environ, OMP_NUM_THREADS="1"))
    assert done.returncode == want, done.stderr
    return done


def arrays(path):
    found = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: found.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) else None)
    return found


def pictures_of(packed, order):
    """images (N, 3, H, W) normalised, person (N), landmarks (N, 2 L), of the step's picture numbers in their order"""
    with open(order) as file:
        number = [int(n) for n in file.readline().split()[2:]]
    shards = [arrays(path) for path in sorted(glob.glob(os.path.join(packed, "train-*.h5")))]
    one = {name: numpy.concatenate([s[name] for s in shards])[number] for name in ("images", "identity", "landmarks")}
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    images = torch.tensor(one["images"], dtype=torch.float64).permute(0, 3, 1, 2) / 255
    points = torch.tensor(one["landmarks"], dtype=torch.float64).flatten(1)
    return (images - mean) / std, torch.tensor(one["identity"], dtype=torch.int64), points


class Network(torch.nn.Module):
    def __init__(self, rows, points):
        super().__init__()
        self.backbone = torchvision.models.resnet18(weights=None)
        self.backbone.fc = torch.nn.Identity()
        self.projection = torch.nn.Linear(512, 64)
        self.landmark_head = torch.nn.Linear(64, points)
        self.identity_head = torch.nn.Linear(64, rows, bias=False)


def arcface(embedding, weight, person):
    cosine = torch.nn.functional.normalize(embedding) @ torch.nn.functional.normalize(weight).T
    cosine = cosine.view(len(embedding), -1, CENTRES).amax(2)
    angle = torch.acos(cosine.clamp(-1, 1))
    assert (angle.gather(1, person[:, None]) + MARGIN < math.pi).all()
    logits = SCALE * torch.where(torch.nn.functional.one_hot(person, cosine.shape[1]).bool(), torch.cos(angle + MARGIN), cosine)
    return torch.nn.functional.cross_entropy(logits, person), (cosine.argmax(1) == person).double().mean()


def triplets(embedding, person):
    """The farthest of the same person, the nearest of another, among unit embeddings"""
    x = torch.nn.functional.normalize(embedding)
    distance = ((x[:, None] - x[None]) ** 2).sum(2)
    distance = torch.where(distance > 0, distance, torch.ones_like(distance)).sqrt() * (distance > 0)
    same = person[:, None] == person[None]
    far = torch.where(same, distance, torch.full_like(distance, -1)).amax(1)
    near = torch.where(same, torch.full_like(distance, 9), distance).amin(1)
    return torch.relu(far - near + TRIPLET_MARGIN).mean()


def judge(state, packed, order):
    images, person, points = pictures_of(packed, order)
    net = Network(state["model/identity_head.weight"].shape[0], points.shape[1]).double().train()
    weights = {n[6:]: torch.tensor(v) for n, v in state.items() if n.startswith("model/") and "running" not in n}
    missing, unexpected = net.load_state_dict(weights, strict=False)
    assert not unexpected and all("running" in n or "num_batches" in n for n in missing), (missing, unexpected)
    embedding = net.projection(net.backbone(images))
    softmax, accuracy = arcface(embedding, net.identity_head.weight, person)
    identity = softmax + TRIPLET_WEIGHT * triplets(embedding, person)
    landmarks = torch.nn.functional.mse_loss(net.landmark_head(embedding), points)
    total = IDENTITY_WEIGHT * identity + LANDMARK_WEIGHT * landmarks
    total.backward()
    norm = math.sqrt(sum(float((p.grad ** 2).sum()) for p in net.parameters()))
    said = {"loss": total, "identity_loss": identity, "landmark_loss": landmarks, "identity_acc": 100 * accuracy}
    return {**{k: float(v.detach()) for k, v in said.items()}, "grad_norm": norm}, {n: p.grad.numpy() for n, p in net.named_parameters()}


def compare(top, packed, ranks, head):
    folder, order = os.path.join(top, "%s%d" % (head, ranks)), os.path.join(top, "order%s%d" % (head, ranks))
    run("train", *OPTIONS, "data.path=" + packed, "run.dir=" + folder, "model.head=" + head, "--order", order, "--stop-after", "1",
        ranks=ranks, want=75)
    parts = [arrays(p) for p in sorted(glob.glob(os.path.join(folder, "checkpoints", "step_*", "rank_*.h5")))]
    state = parts[0]
    if head == "sharded":
        assert len(parts) == ranks
        state["model/identity_head.weight"] = numpy.concatenate([p["head/weight"] for p in parts])
        state["optim/momentum/identity_head.weight"] = numpy.concatenate([p["head/momentum"] for p in parts])
    wanted, gradient = judge(state, packed, order)
    with open(os.path.join(folder, "steps.csv")) as file:
        row = next(csv.DictReader(file))
    worst = {"loss": max(abs(float(row[k]) / v - 1) if v else abs(float(row[k])) for k, v in wanted.items() if k != "grad_norm")}
    wrong = {n: state["optim/momentum/" + n] - g for n, g in gradient.items()}
    trunk = [n for n in gradient if n.startswith("backbone.")]
    errors = {n: numpy.abs(wrong[n]).max() / numpy.abs(g).max() for n, g in gradient.items() if n not in trunk}
    name = max(errors, key=errors.get)
    worst["head"] = errors[name]
    worst["trunk"] = math.sqrt(sum((wrong[n] ** 2).sum() for n in trunk) / sum((gradient[n] ** 2).sum() for n in trunk))
    worst["trunk"] = max(worst["trunk"], abs(float(row["grad_norm"]) / wanted["grad_norm"] - 1))
    print("%s head on %d ranks: loss %.6f, wrong by %.1e; gradients: worst %s %.1e, trunk %.1e" % (
        head, ranks, wanted["loss"], worst["loss"], name, errors[name], worst["trunk"]))
    return all(worst[k] < BOUND[k] for k in BOUND)


def main():
    with tempfile.TemporaryDirectory() as top:
        drawn, packed = os.path.join(top, "drawn"), os.path.join(top, "packed")
        run("synth", "-o", drawn, "--expression", "0", "--identities", "13", "--per-identity", "5", "--size", "80", "--seed", "4")
        run("pack", os.path.join(drawn, "identity"), "-o", packed, "--format", "identity", "--size", "64", "--split", "val=0.2",
            "--landmarks", os.path.join(drawn, "identity_landmarks.json"))
        return 0 if all([compare(top, packed, *case) for case in ((1, "replicated"), (2, "replicated"), (2, "sharded"))]) else 1


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    sys.exit(main())
