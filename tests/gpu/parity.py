# SPDX-License-Identifier: Apache-2.0
"""One step of a network on the device against PyTorch: same weights and pictures. In float32 every
gradient is compared with float64; in a 16-bit type facet may be at most so much farther from float64
than PyTorch's own mixed precision is.

parity.py f32|tf32|bf16|fp16 [LIBRARY'S BACKEND, default cuda]
"""
import os
import subprocess
import sys
import tempfile

SOURCE, BUILD = os.environ["FACET_SOURCE"], os.environ["FACET_BUILD"]
QUICK = os.environ.get("FACET_GPU_QUICK") == "1"
sys.path.insert(0, os.path.join(SOURCE, "tests", "interop"))
try:
    import numpy as np
    import torch
    import compare_torch as judge
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

precision = sys.argv[1]
backend = sys.argv[2] if len(sys.argv) > 2 else "cuda"
# Largest allowed: of the error relative to a tensor's norm in float32 and TF32 (10-bit products, some
# fifty layers deep); in 16 bits of its ratio to PyTorch's error, median and worst over the tensors.
BOUND = {"f32": 2e-3, "tf32": 0.2}
RATIO = {"median": 1.25, "worst": 3.0}
networks = [("resnet18", "small", 16, 4)]
if not QUICK:
    networks = [("resnet18", "small", 32, 16), ("resnet50", "imagenet", 112, 16),
                ("iresnet18", "auto", 112, 16)]


def norm(a):
    return float(np.linalg.norm(np.asarray(a, np.float64).ravel()))


def gradients(records, backbone, stem, side, kind, device):
    """Of the loss sum(coefficient * output), as dump_steps has it, in float64 or mixed precision."""
    net = judge.Network(backbone, stem, side, 0).to(device)
    if kind is None:
        net = net.double()
    state = {k: torch.from_numpy(v) for k, v in records["init"].items() if k in net.state_dict()}
    net.load_state_dict(state, strict=False)
    images = torch.from_numpy(records["input"]["images"]).to(device)
    x = images.permute(0, 3, 1, 2).double() / 255
    mean, std = (torch.tensor(v, device=device, dtype=torch.float64).view(1, 3, 1, 1) for v in (judge.MEAN, judge.STD))
    x = (x - mean) / std
    x = x if kind is None else x.float().contiguous(memory_format=torch.channels_last)
    if kind is not None:
        net = net.to(memory_format=torch.channels_last)
    with torch.autocast(device.type, kind, enabled=kind is not None):
        outputs = net(x)
    loss = sum((o.double() * torch.from_numpy(records["input"][n]).to(device).double()).sum()
               for o, n in zip(outputs, ("expression", "landmarks")))
    loss.backward()
    return {k: p.grad.detach().double().cpu().numpy() for k, p in net.named_parameters() if p.grad is not None}


def compare(backbone, stem, side, batch):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "records")
        subprocess.run([os.path.join(BUILD, "tests/interop/dump_steps"), f"{backend}:{precision}", backbone, stem,
                        str(side), str(batch), "none", "grad", path], check=True)
        records = judge.read_records(path)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    truth = gradients(records, backbone, stem, side, None, device)
    ours = {k: norm(records["grad"][k].reshape(v.shape) - v) / max(norm(v), 1e-30) for k, v in truth.items()}
    worst = max(ours, key=ours.get)
    print(f"{backbone} {side} {precision}: worst gradient {worst}: {ours[worst]:.3g} of its norm")
    if precision in BOUND:
        return ours[worst] <= BOUND[precision]
    kind = torch.bfloat16 if precision == "bf16" else torch.float16
    mixed = gradients(records, backbone, stem, side, kind, device)
    theirs = {k: norm(mixed[k] - v) / max(norm(v), 1e-30) for k, v in truth.items()}
    ratios = sorted(ours[k] / max(theirs[k], 1e-4) for k in truth)
    middle, top = ratios[len(ratios) // 2], ratios[-1]
    print(f"    PyTorch's autocast: {max(theirs.values()):.3g}; ours over theirs: median {middle:.2f}, worst {top:.2f}")
    return middle <= RATIO["median"] and top <= RATIO["worst"]


results = [compare(*network) for network in networks]
sys.exit(0 if all(results) else 1)
