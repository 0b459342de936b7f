# SPDX-License-Identifier: Apache-2.0
"""Damaged files (A6, B3): flips, cuts, zeros, deletions and swaps in checkpoints, packed sets and configurations.
What comes out is right, or the damaged file is named."""
import hashlib
import itertools
import os
import shutil

from kind_save import Scene
from place import CHECKPOINT_TOOL, FACET, SHARD_DUMP
from tally import Verdict
from truth import dumped, read, whole_steps


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def flip(data, rng):
    at = rng.randrange(len(data) * 8)
    return data[:at // 8] + bytes([data[at // 8] ^ 1 << at % 8]) + data[at // 8 + 1:], "bit %d of byte %d" % (at % 8, at // 8)


def cut(data, rng):
    n = rng.randrange(len(data))
    return data[:n], "cut to %d of %d bytes" % (n, len(data))


def zero(data, rng):
    size = rng.choice((1, 8, 64, 512, 4096))
    at = rng.randrange(0, max(1, len(data) - size + 1), min(size, 512))
    return data[:at] + bytes(len(data[at:at + size])) + data[at + size:], "%d zeros at byte %d" % (size, at)


def scramble(data, rng):
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(len(data[at:at + 8])) + data[at + 8:], "8 random bytes at byte %d" % at


def append(data, rng):
    return data + rng.randbytes(rng.randrange(1, 600)), "longer than it was"


DAMAGE = (flip, flip, flip, cut, zero, scramble, append)


def harm(folder, rng, pairs=True):
    """Harms one file of a folder; returns (the paths touched, words). What changes nothing is tried again."""
    files = sorted(os.path.join(place, n) for place, _, names in os.walk(folder) for n in names)
    while True:
        path, what = rng.choice(files), rng.randrange(10 if pairs else 8)
        before, name = read(path), os.path.relpath(path, folder)
        if what == 7:
            os.unlink(path)
            return [path], "%s deleted" % name
        if what > 7:
            other = rng.choice(files)
            if read(other) == before:
                continue
            if what == 8:
                shutil.copyfile(other, path)
                return [path], "%s replaced by %s" % (name, os.path.relpath(other, folder))
            write(path, read(other))
            write(other, before)
            return [path, other], "%s and %s swapped" % (name, os.path.relpath(other, folder))
        if not before:
            continue
        after, words = DAMAGE[what](before, rng)
        if after != before:
            write(path, after)
            return [path], "%s: %s" % (name, words)


def checkpoints(place, rng):
    scene = Scene(place, "damage", [(0, 3), (5, 5)], 6)
    folder, newest = scene.folder, 5
    assert scene.had == [2, 3, 5]  # 2 is best

    def strike(seed_rng, times):
        scene.begin()
        done = [harm(folder, seed_rng) for _ in range(times)]
        touched = {path for paths, _ in done for path in paths}
        verdict = Verdict("; ".join(words for _, words in done))
        for wanted, what in ((newest, folder), (2, os.path.join(folder, "best"))):
            ended = place.run([CHECKPOINT_TOOL, "dump", what], folder)
            if verdict.crashed(ended):
                continue
            step, is_right = dumped(ended.out) if ended.code == 0 else (None, True)
            if not is_right or (what != folder and step not in (2, None)):
                verdict.add("wrong", "%s: step %s, not %d" % (what, step, wanted))
            if step != wanted and not any(ended.names(path) for path in touched):
                verdict.add("lost", "%s: step %s, not %d; none of the damaged files is named: %s" % (what, step, wanted, ended.tail()))
            whole = whole_steps(folder)
            if what == folder and whole and (step is None or step < max(whole)) and not ended.names("last: "):
                verdict.add("lost", "step %s loads, %s are whole: %s" % (step, whole, ended.tail()))
            if step != wanted:
                verdict.detect_s = ended.seconds
        return verdict

    for _ in itertools.count():
        yield "damaged checkpoint", lambda t=rng.choice((1, 1, 1, 2)): strike(rng, t)


def pack(place, name, *more):
    """A small packed set of drawn faces; two splits, several shards."""
    drawn, out = place.path("drawn"), place.path(name)
    if not os.path.isdir(drawn):
        assert place.run([FACET, "synth", "-o", drawn, "--expression", "24", "--size", "48", "--seed", "5"]).code == 0
    ended = place.run([FACET, "pack", os.path.join(drawn, "expression"), "-o", out, "--size", "32", "--split", "val=0.3", "--landmarks",
                       os.path.join(drawn, "expression_landmarks.json"), "--shard-size", "6", "--quiet", *more])
    assert ended.code == 0, ended.err
    return out


def dump_set(place, folder, split):
    ended = place.run([SHARD_DUMP, folder, split], folder)
    return ended, hashlib.sha256(ended.out).hexdigest() if ended.code == 0 else None


def sets(place, rng):
    """Packed sets, raw and JPEG, with and without action units: what training reads is what was packed."""
    bases = [pack(place, "raw"), pack(place, "jpeg", "--encoding", "jpeg"),
             pack(place, "units", "--au", os.path.join(place.path("drawn"), "expression_au.csv"))]
    right = {(base, split): dump_set(place, base, split)[1] for base in bases for split in ("train", "val")}

    def strike(base):
        folder = place.copy(base, "set")
        touched, words = harm(folder, rng)
        verdict = Verdict("%s: %s" % (os.path.basename(base), words))
        for split in ("train", "val"):
            ended, got = dump_set(place, folder, split)
            if verdict.crashed(ended):
                continue
            if got is not None and got != right[base, split]:
                verdict.add("wrong", "%s reads without an error, but otherwise" % split)
            if got is None:
                verdict.detect_s = ended.seconds
                shards = {path for path in touched} | {folder}
                if not any(ended.names(path) for path in shards):
                    verdict.add("other", "the damaged file is not named: " + ended.tail())
        return verdict

    for _ in itertools.count():
        yield "damaged packed set", lambda b=rng.choice(bases): strike(b)


def configurations(place, rng):
    """A configuration is text that people edit: refused by name and line, or what it then says; never a crash."""
    packed, text = pack(place, "raw"), b"# a small run\nmodel: { backbone = \"resnet18\"; stem = \"imagenet\"; embedding = 16; };\n"
    text += b"data: { path = \"%s\"; batch_size = 8; num_workers = 1; };\n" % packed.encode()
    text += b"train: { epochs = 2; seed = 7; };\noptim: { learning_rate = 0.001; };\naugment: { flip = 0.5; };\ncluster: { threads = 1; };\n"
    folder = place.path("config")
    os.makedirs(folder)
    path = os.path.join(folder, "run.cfg")

    def strike(change):
        damaged, words = change(text, rng)
        write(path, damaged)
        verdict = Verdict("run.cfg: %s" % words)
        ended = place.run([FACET, "train", path, "--dry-run"], folder, timeout=60)
        if not verdict.crashed(ended) and ended.code not in (0, 1, 2):
            verdict.add("other", "exit %s: %s" % (ended.code, ended.tail()))
        if ended.code in (1, 2):
            verdict.detect_s = ended.seconds
            if "facet: error: " not in ended.err:
                verdict.add("other", "no reason is told: " + ended.tail())
        return verdict

    for _ in itertools.count():
        yield "damaged configuration", lambda c=rng.choice((flip, flip, cut, zero, scramble)): strike(c)
