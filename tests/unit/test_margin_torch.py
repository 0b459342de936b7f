# SPDX-License-Identifier: Apache-2.0
"""Margins, the identity head and its triplets against PyTorch's autograd: float64 there, float32 here.

The head's loss there is torch's own cross_entropy on logits that are built from torch's normalize and acos.
"""
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
MARGINS = [(1, 0.5, 0, 64), (1, 0, 0.35, 64), (1, 0, 0, 30), (1, 0.3, 0.2, 64), (1.35, 0, 0, 64), (0.9 + 0.1, 2.5, 0, 10),
           (2, 0.3, 0.1, 16), (4, 0, 0, 8)]
PI = torch.pi


def numbers(t):
    return " ".join("%.9g" % v for v in t.reshape(-1).tolist())


def margin(cosine, m1, m2, m3, share=1.0):
    m1, m2, m3 = 1 + share * (m1 - 1), share * m2, share * m3
    if m1 == 1 and m2 == 0:
        return cosine - m3
    theta = torch.acos(cosine)
    t = m1 * theta + m2
    if m1 == 1 and m2 <= PI / 2:
        beyond = cosine - m2 * torch.sin(torch.tensor(m2))
        return torch.where(t > PI, beyond, torch.cos(t)) - m3
    k = torch.floor(t / PI)
    return (-1) ** k * torch.cos(t) - 2 * k - m3


def margin_cases():
    for m1, m2, m3, s in MARGINS:
        for share in (0.0, 0.4, 1.0):
            c = (torch.rand(200) * 1.998 - 0.999).float().double().requires_grad_()
            z = s * margin(c, m1, m2, m3, share)
            z.sum().backward()
            text = "margin %r %r %r %r %r 200 %s" % (m1, m2, m3, s, share, numbers(c.detach()))
            # Where the field's continuation jumps, float32 may stand on the other side.
            border = torch.cos(torch.tensor((PI - share * m2) / (1 + share * (m1 - 1))))
            keep = (c.detach() - border).abs() > 1e-5
            yield text, z.detach()[keep], c.grad[keep], keep


def hard_triplets(x, y, width):
    losses = []
    for i in range(len(y)):
        same = (y == y[i]) & (torch.arange(len(y)) != i)
        other = (y != y[i]) & (y >= 0)
        if y[i] < 0 or not same.any() or not other.any():
            continue
        far, near = (torch.linalg.norm((x[i] - x[m]), dim=1) for m in (same, other))
        losses.append(F.relu(width + far.max() - near.min()))
    return losses


def head_case(backend, n, c, k, e, margins, share, triplets, factor):
    m1, m2, m3, s = margins
    w = torch.randn(c * k, e).float().double().requires_grad_()
    x = (torch.randn(n, e) * 3).float().double()
    y = torch.randint(0, min(c, 5), (n,))
    for i in range(0, n, 2):  # some near their person, so that losses are not all alike
        x[i] += 3 * w.detach()[y[i] * k]
    if n > 2:
        y[1] = -1
    x = x.float().double().requires_grad_()
    on = (y >= 0).nonzero()[:, 0]
    hat = F.normalize(x)
    cosine = (hat @ F.normalize(w).T).reshape(n, c, k).max(2).values
    true = F.one_hot(y.clamp(min=0), c).bool()
    z = s * torch.where(true, margin(cosine.clamp(-1 + 1e-6, 1 - 1e-6), m1, m2, m3, share), cosine)
    each = F.cross_entropy(z[on], y[on], reduction="none")
    denominator = len(on) + 3.0  # as if other ranks had some
    hard = hard_triplets(hat, y, 0.4)
    total = factor * each.sum() / denominator
    weight = 0.7 if triplets else 0.0
    if triplets and hard:
        total = total + factor * weight * sum(hard) / len(hard)
    total.backward()
    plain = (s * cosine).detach()
    sums = [float(each.sum()), len(on), float((plain[on].argmax(1) == y[on]).sum()),
            float(sum(hard)) if triplets else 0.0, len(hard) if triplets else 0,
            float(plain[on].var(1, unbiased=False).sum())]
    loss = torch.full((n,), float("nan"))
    loss[on] = F.cross_entropy(plain[on], y[on], reduction="none")
    text = "head %s %d %d %d %d %r %r %r %r %r %r %r %r 0.4 %s %s %s" % (
        backend, n, c, k, e, m1, m2, m3, s, share, denominator, factor, weight,
        numbers(w.detach()), numbers(x.detach()), numbers(y))
    return text, sums, x.grad, w.grad, plain.argmax(1), loss


def head_cases():
    for backend in ("cpu", "ref"):
        for n, c, k, e in ((6, 5, 1, 4), (9, 40, 1, 32), (8, 11, 3, 16), (1, 3, 1, 8), (33, 1031, 1, 24), (12, 300, 2, 20)):
            for at, margins in enumerate(MARGINS[:6]):
                yield head_case(backend, n, c, k, e, margins, (1.0, 0.5)[at % 2], at % 3 == 0, 1.0 + at / 2)


def near(ours, theirs, bound, text):
    scale = max(1e-3, float(theirs.abs().max())) if len(theirs) else 1
    error = float((ours - theirs).abs().max()) / scale if len(theirs) else 0.0
    assert error < bound, (error, text[:90])
    return error


def main():
    margins, heads = list(margin_cases()), list(head_cases())
    program = os.path.join(os.environ["FACET_BUILD"], "tests/unit/head_table")
    out = subprocess.run([program], input="\n".join(c[0] for c in margins + heads), text=True, capture_output=True,
                         check=True)
    lines = [torch.tensor([float(v) for v in line.split()]) for line in out.stdout.splitlines()]
    assert len(lines) == len(margins) + len(heads)
    worst = [0.0, 0.0, 0.0]
    for ours, (text, z, slope, keep) in zip(lines, margins):
        worst[0] = max(worst[0], near(ours[:200][keep], z, 1e-5, text))
        worst[0] = max(worst[0], float(((ours[200:][keep] - slope).abs() / (1 + slope.abs())).max()))
        assert worst[0] < 2e-3, (worst[0], text[:60])
    for ours, (text, sums, dx, dw, nearest, loss) in zip(lines[len(margins):], heads):
        assert ours[1:3].tolist() == sums[1:3] and ours[4] == sums[4], (ours[:6], sums, text[:80])
        for i in (0, 3, 5):
            error = abs(float(ours[i]) - sums[i]) / max(1.0, abs(sums[i]))
            assert error < 1e-5, (i, float(ours[i]), sums[i], text[:80])
            worst[1] = max(worst[1], error)
        a, b = 6 + dx.numel(), 6 + dx.numel() + dw.numel()
        worst[2] = max(worst[2], near(ours[6:a], dx.reshape(-1), 5e-5, text), near(ours[a:b], dw.reshape(-1), 5e-5, text))
        n = len(nearest)
        assert ours[b:b + n].long().tolist() == nearest.tolist(), text[:80]
        known = ~loss.isnan()
        assert ours[b + n:][~known].isnan().all()
        worst[1] = max(worst[1], near(ours[b + n:][known], loss[known], 1e-5, text))
    print("%d margins, worst %.1e; %d heads: losses within %.1e, gradients within %.1e" % (
        len(margins), worst[0], len(heads), worst[1], worst[2]))


main()
