# SPDX-License-Identifier: Apache-2.0
"""Losses and their gradients against PyTorch's on random cases (float64 there, 1e-6 relative here)."""
import os
import subprocess
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("skipped: python3-torch is not installed")
    sys.exit(77)

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
BOUND = 1e-6


def numbers(t):
    return " ".join("%.9g" % v for v in t.reshape(-1).tolist())


def ce_cases():
    for n, k in ((5, 8), (1, 2), (33, 7)):
        for smoothing in (0.0, 0.1):
            for gamma in (0.0, 0.5, 2.0):
                for weighted in (0, 1):
                    z = (torch.randn(n, k) * 4).float().double().requires_grad_()
                    y = torch.randint(-1, k, (n,))
                    w = torch.rand(k).float().double() + 0.1
                    on = y >= 0
                    denominator = float(w[y[on]].sum()) if weighted else float(on.sum())
                    loss = F.cross_entropy(z[on], y[on], weight=w if weighted else None,
                                           label_smoothing=smoothing, reduction="none")
                    if gamma:
                        p = z[on].softmax(1).gather(1, y[on, None])[:, 0]
                        loss = (1 - p) ** gamma * loss
                    total = loss.sum()
                    if denominator > 0:
                        (total / denominator).backward()
                    grad = z.grad if z.grad is not None else torch.zeros_like(z)
                    text = "ce %d %d %g %g %d %.17g %s %s %s" % (
                        n, k, smoothing, gamma, weighted, denominator, numbers(w), numbers(z.detach()), numbers(y))
                    yield text, float(total), grad.reshape(-1)


def wing(d, w, e):
    c = w - w * torch.log1p(torch.tensor(w / e))
    a = d.abs()
    return torch.where(a < w, w * torch.log1p(a / e), a - c)


def points_cases():
    for kind in range(3):
        for n, l in ((4, 5), (9, 10)):
            p = torch.rand(n, 2 * l).float().double().requires_grad_()
            t = (p.detach() + torch.randn(n, 2 * l) * 0.05).float().double()
            valid = torch.randint(0, 2, (n,))
            valid[0] = 1
            beta, w, e = 0.02, 0.05, 0.01
            d = (p - t)[valid > 0]
            each = (d * d if kind == 0 else
                    F.smooth_l1_loss(p[valid > 0], t[valid > 0], beta=beta, reduction="none") if kind == 1 else
                    wing(d, w, e))
            denominator = float(valid.sum()) * 2 * l
            (each.sum() / denominator).backward()
            text = "points %d %d %d %g %g %g %.17g %s %s %s" % (
                n, l, kind, beta, w, e, denominator, numbers(valid), numbers(p.detach()), numbers(t))
            yield text, float(each.sum()), p.grad.reshape(-1)


def main():
    cases = list(ce_cases()) + list(points_cases())
    program = os.path.join(os.environ["FACET_BUILD"], "tests/unit/loss_table")
    out = subprocess.run([program], input="\n".join(c[0] for c in cases), text=True, capture_output=True, check=True)
    lines = out.stdout.splitlines()
    assert len(lines) == len(cases), (len(lines), len(cases))
    worst = 0.0
    for line, (text, total, grad) in zip(lines, cases):
        ours = torch.tensor([float(v) for v in line.split()])
        worst = max(worst, abs(float(ours[0]) - total) / max(1, abs(total)))
        worst = max(worst, float((ours[1:] - grad).abs().max() / max(1e-3, float(grad.abs().max()))))
        assert worst < BOUND, (worst, text[:80])
    print("%d cases, largest relative difference %.1e (bound %.0e)" % (len(cases), worst, BOUND))


main()
