# SPDX-License-Identifier: Apache-2.0
# Checkpoints made to harm: every hash is right, but the part holds what facet never writes. Each is refused
# with a reason, at once, without memory, and without a look at any other file.
import ctypes
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy

tool = os.environ["CHECKPOINT_TOOL"]
NAME = "model/layer0.weight"
secret = numpy.arange(9000, dtype="<f4")

try:
    xxh = ctypes.CDLL("libxxhash.so.0")
except OSError:
    print("skipped: no libxxhash.so.0")
    sys.exit(77)
xxh.XXH3_64bits.restype = ctypes.c_uint64


def xxh3(data):
    return "%016x" % xxh.XXH3_64bits(ctypes.c_char_p(data), ctypes.c_size_t(len(data)))


def sign(step, edit=lambda text: text):
    """Makes COMMIT agree with the part as it now is, then lets `edit` change its text."""
    with open(os.path.join(step, "rank_0000.h5"), "rb") as f:
        part = f.read()
    path = os.path.join(step, "COMMIT")
    with open(path) as f:
        text = f.read()
    text = text[: text.rindex("end ")]
    text = re.sub(r"part 0 \d+ \w+", f"part 0 {len(part)} {xxh3(part)}", text)
    text = edit(text)
    with open(path, "w") as f:
        f.write(text + f"end {xxh3(text.encode())}\n")


def replaced(make):
    def change(step):
        with h5py.File(os.path.join(step, "rank_0000.h5"), "r+") as f:
            del f[NAME]
            make(f, step)
        sign(step)
    return change


def external(f, step):
    path = os.path.join(step, "secret")
    secret.tofile(path)
    f.create_dataset(NAME, (9000,), "<f4", external=[(path, 0, 36000)])


def virtual(f, step):
    layout = h5py.VirtualLayout((9000,), "<f4")
    layout[:] = h5py.VirtualSource(f["model/layer1.weight"])
    f.create_virtual_dataset(NAME, layout)


def soft_link(f, step):
    f[NAME] = h5py.SoftLink("/model/layer1.weight")


def external_link(f, step):
    f[NAME] = h5py.ExternalLink("/etc/passwd", "/x")


def soft_folder(f, step):
    f.move("model", "elsewhere")
    f["model"] = h5py.SoftLink("/elsewhere")
    f["elsewhere"][NAME.split("/")[1]] = secret


def committed(pattern, replacement):
    return lambda step: sign(step, lambda text: re.sub(pattern, replacement, text, count=1))


evil = {
    "external storage": replaced(external),
    "virtual dataset": replaced(virtual),
    "soft link": replaced(soft_link),
    "external link": replaced(external_link),
    "soft link to a folder": replaced(soft_folder),
    "a folder instead": replaced(lambda f, s: f.create_group(NAME)),
    "nothing": replaced(lambda f, s: None),
    "compressed": replaced(lambda f, s: f.create_dataset(NAME, data=secret, compression="gzip")),
    "chunked": replaced(lambda f, s: f.create_dataset(NAME, data=secret, chunks=(100,))),
    "half precision": replaced(lambda f, s: f.create_dataset(NAME, (18000,), "<f2")),
    "big-endian": replaced(lambda f, s: f.create_dataset(NAME, data=secret.astype(">f4"))),
    "text of any length": replaced(
        lambda f, s: f.create_dataset(NAME, (9000,), h5py.string_dtype())),
    "references": replaced(lambda f, s: f.create_dataset(NAME, (4500,), h5py.ref_dtype)),
    "compound": replaced(lambda f, s: f.create_dataset(NAME, (4500,), [("a", "<f4"), ("b", "<f4")])),
    "five dimensions": replaced(
        lambda f, s: f.create_dataset(NAME, (9000, 1, 1, 1, 1), "<f4", data=secret.reshape(-1, 1, 1, 1, 1))),
    "declared huge": replaced(lambda f, s: f.create_dataset(NAME, (1 << 40,), "<f4")),
    "other place": replaced(lambda f, s: f.create_dataset(NAME, data=secret)),
    "offset beyond the file": committed(r"tensor \d+ 36000", "tensor 99999999 36000"),
    "offset that overflows": committed(r"tensor \d+ 36000", "tensor 18446744073709551615 36000"),
    "bytes that overflow": committed(r"(tensor \d+) 36000", r"\1 18446744073709551615"),
    "more tensors than lines": committed(r"(part 0 \d+ \w+) \d+", r"\1 999999999"),
    "fewer tensors than lines": committed(r"(part 0 \d+ \w+) \d+", r"\1 2"),
    "negative tensors": committed(r"(part 0 \d+ \w+) \d+", r"\1 -5"),
    "name that climbs": committed("model/layer0.weight", "../../etc/passwd"),
    "name without end": committed("model/layer0.weight", "x" * 5000),
    "part of a rank below 0": committed("part 0", "part -1"),
    "part in another folder": committed("part 0", "part ../0"),
    "a zero byte": committed("model/layer0", "model\0layer0"),
}

failed = 0
with tempfile.TemporaryDirectory() as folder:
    good = os.path.join(folder, "good")
    subprocess.run([tool, "save", good, "7", "7"], check=True, stdout=subprocess.DEVNULL)
    good = os.path.join(good, "step_00000007")
    sign(good)  # signing alone harms nothing
    assert subprocess.run([tool, "load", good], capture_output=True).returncode == 0
    for what, change in evil.items():
        step = os.path.join(folder, "step_00000007")
        shutil.rmtree(step, ignore_errors=True)
        shutil.copytree(good, step)
        change(step)
        run = subprocess.run([tool, "load", step], capture_output=True, text=True, timeout=20)
        if run.returncode != 1 or "facet: error:" not in run.stderr or step not in run.stderr:
            print(f"NOT REFUSED: {what}: exit {run.returncode}: {run.stdout}{run.stderr}")
            failed += 1
    peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{len(evil)} evil checkpoints, {failed} not refused, peak {peak_mib:.0f} MiB")
    if os.environ.get("FACET_SANITIZED", "0") == "0" and peak_mib > 64:
        failed += 1
sys.exit(failed > 0)
