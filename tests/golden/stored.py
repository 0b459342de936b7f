# SPDX-License-Identifier: Apache-2.0
"""A checkpoint and its picture set, stored so that later versions are tried on it: tests/golden/data/NAME.tar.xz. Made by
    FACET=build/facet FACET_BUILD=build python3 tests/golden/stored.py NAME
The weights are not those of the training but repeated patterns, so that the file is small: 90 MiB become some KiB."""
import ctypes
import os
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zlib

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
SIDE = 32
# What the stored training was started with, but for where things are.
ARGUMENTS = ["model.backbone=resnet18", "model.stem=imagenet", "model.embedding=0", "data.batch_size=6", "data.num_workers=1",
             "train.epochs=5", "optim.optimizer=sgd", "optim.ema=0", "optim.learning_rate=0.001", "cluster.threads=1",
             "eval.predictions=false"]


def unpack(name, folder):
    with tarfile.open(os.path.join(HERE, name + ".tar.xz")) as tar:
        tar.extractall(folder)


def xxh3(data):
    library = ctypes.CDLL("libxxhash.so.0")
    library.XXH3_64bits.restype = ctypes.c_uint64
    return "%016x" % library.XXH3_64bits(ctypes.c_char_p(bytes(data)), ctypes.c_size_t(len(data)))


def sign(commit, text):
    """Writes COMMIT's text with the hash of itself; what ended it before is left out."""
    text = text[: text.rindex("end ")]
    with open(commit, "w") as f:
        f.write(text + "end %s\n" % xxh3(text.encode()))


def png(path, colour):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes(colour) * SIDE for _ in range(SIDE))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def pattern(name, n):
    import numpy
    if name.startswith("optim/"):
        return numpy.zeros(n, "<f4")
    if name.endswith("running_var") or (".bn" in name or "downsample.1" in name) and name.endswith("weight"):
        return numpy.ones(n, "<f4")
    if name.endswith(("bias", "running_mean")):
        return numpy.zeros(n, "<f4")
    return ((numpy.arange(n) % 61 - 30) * 0.002).astype("<f4")


def simplify(step):
    """Gives every tensor of the network its pattern, in its place, and signs it."""
    part, commit = os.path.join(step, "rank_0000.h5"), os.path.join(step, "COMMIT")
    data = bytearray(open(part, "rb").read())
    lines = []
    for line in open(commit).read().splitlines():
        tensor = re.fullmatch(r"tensor (\d+) (\d+) (\w+) (\S+)", line)
        if tensor:
            at, size, name = int(tensor[1]), int(tensor[2]), tensor[4]
            if name.startswith(("model/", "optim/")):
                data[at:at + size] = pattern(name, size // 4).tobytes()
            line = "tensor %d %d %s %s" % (at, size, xxh3(data[at:at + size]), name)
        lines.append(line)
    with open(part, "wb") as f:
        f.write(data)
    sign(commit, re.sub(r"part 0 (\d+) \w+", r"part 0 \1 " + xxh3(data), "\n".join(lines) + "\n"))


def main(name):
    facet = os.path.abspath(os.environ["FACET"])
    with tempfile.TemporaryDirectory(dir=os.environ["FACET_BUILD"]) as top:
        for i in range(24):
            folder = os.path.join(top, "raw", ("angry", "happy", "sad")[i % 3])
            os.makedirs(folder, exist_ok=True)
            png(os.path.join(folder, "%02d.png" % i), (i * 10, 255 - i * 10, i * 97 % 256))
        packed, run = os.path.join(top, "data"), os.path.join(top, "run")
        subprocess.run([facet, "pack", "raw", "-o", "data", "--size", str(SIDE), "--split", "val=0.25"], check=True, cwd=top)
        done = subprocess.run([facet, "train", *ARGUMENTS, "data.path=data", "run.dir=run", "--stop-after", "2"], cwd=top)
        assert done.returncode == 75
        simplify(os.path.join(run, "checkpoints", "step_00000002"))
        os.makedirs(HERE, exist_ok=True)
        with tarfile.open(os.path.join(HERE, name + ".tar.xz"), "w:xz", preset=9) as tar:
            def anonymous(info):
                info.uid = info.gid = info.mtime = 0
                info.uname = info.gname = ""
                return info
            tar.add(packed, "data", filter=anonymous)
            tar.add(os.path.join(run, "checkpoints"), "run/checkpoints", filter=anonymous)


if __name__ == "__main__":
    main(sys.argv[1])
