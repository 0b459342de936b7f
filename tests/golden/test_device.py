# SPDX-License-Identifier: Apache-2.0
"""A training on a device takes the steps of one on a CPU: losses, resuming there and back, every option that has a way of its
own there; recorded steps have the bits of plain ones, whatever the order of the streams; bad numbers are found."""
import json
import os

from device import CUDA, TINY, check_close, losses, train
from golden import arrays, data, facet, last_step, same_bits, workspace
from people import IDENTITY, people


def check_like_cpu(top):
    """The first steps closely; later ones as far as a ReLU that tips lets them."""
    for name, more in (("plain", ["optim.ema=0.9"]),
                       ("parts", ["train.accumulate=2", "optim.optimizer=sgd", "optim.learning_rate=0.01",
                                  "loss.use_uncertainty_weighting=auto_initial"]),
                       ("thawed", ["init.freeze_epochs=0.1", "model.freeze=layer4", "loss.class_weights=inverse"])):
        cpu, gpu = os.path.join(top, name + "-cpu"), os.path.join(top, name + "-gpu")
        train(cpu, *more, "cluster.backend=cpu", steps=4)
        log = train(gpu, *more, *CUDA, steps=4)
        assert "backend cuda" in log and ", f32, gradients stay there, " in log, log
        check_close(name + ": loss", losses(gpu)[0][:2], losses(cpu)[0][:2], 1e-4)
        check_close(name + ": norm", losses(gpu)[1][:2], losses(cpu)[1][:2], 1e-2)
        check_close(name + ": later losses", losses(gpu)[0], losses(cpu)[0], 0.1)
        one, two = arrays(last_step(cpu)), arrays(last_step(gpu))
        assert one.keys() == two.keys() and all(one[k].shape == two[k].shape for k in one if k.startswith("model/"))


def check_recorded(top):
    """Two passes before the first replay; a shuffled order of streams must change nothing."""
    runs = {"plain": (["cluster.graph=false"], {}), "recorded": ([], {}), "shuffled": ([], {"FACET_STANDIN_ORDER": "5"})}
    for name, (more, env) in runs.items():
        log = train(os.path.join(top, name), *CUDA, *more, steps=4, env=env)
        assert "is not recorded" not in log, log
    for name in ("recorded", "shuffled"):
        assert same_bits(last_step(os.path.join(top, "plain")), last_step(os.path.join(top, name))) == [], name


def check_resume(top):
    """CPU, device, CPU; and a device's own resume has the bits of no stop."""
    run = os.path.join(top, "there-and-back")
    train(run, "cluster.backend=cpu", steps=2)
    log = train(run, *CUDA, "--resume", run, steps=2)
    assert "comes from cpu, f32, training goes on with cuda, f32" in log, log
    log = train(run, "cluster.backend=cpu", "--resume", run, steps=2)
    with open(os.path.join(run, "manifest.json")) as f:
        devices = [life["device"] for life in json.load(f)["lives"]]
    assert devices[0] == devices[2] == "cpu, f32" and devices[1].startswith("cuda, f32: NVIDIA"), devices
    assert "comes from cuda, f32, training goes on with cpu, f32" in log, log
    whole, cut = os.path.join(top, "whole-cpu"), os.path.join(top, "recorded-cut")
    train(whole, "cluster.backend=cpu", steps=6)
    check_close("there and back", losses(run)[0], losses(whole)[0], 0.1)
    train(cut, *CUDA, steps=1)
    train(cut, *CUDA, "--resume", cut, steps=3)
    assert same_bits(last_step(os.path.join(top, "recorded")), last_step(cut)) == []


def check_float16(top):
    """Too large a scale: halved, told, not counted as a bad step, saved and restored."""
    run = os.path.join(top, "fp16")
    half = ["cluster.backend=cuda", "train.precision=fp16", "train.loss_scale=131072", "train.nan_limit=1"]
    log = train(run, *half, steps=4)
    assert "the loss scale is 65536 now" in log and "not finite" not in log, log
    scale, good = arrays(last_step(run))["train/loss_scale"]
    norms = losses(run)[1]
    print("float16: scale %g after %d good steps, norms %s" % (scale, good, norms))
    assert scale * 2 ** log.count("the loss scale is") == 131072 and good >= 1 and len(norms) >= 1, (scale, good, norms)
    log = train(run, *half, "train.loss_scale=2", "--resume", run, steps=1)
    assert "train.loss_scale" not in log, log # a scale that was found goes on
    assert arrays(last_step(run))["train/loss_scale"][0] in (scale, scale / 2)


def check_bad(top):
    log = train(os.path.join(top, "bad"), *CUDA, steps=3, want=75, env={"FACET_FAULT": "train.logits:2"})
    assert "step 2 skipped: the gradient of backbone.conv1.weight and of " in log, log
    assert log.count("bad loss: picture ") == 1 and log.count("skipped:") == 1, log


def check_identity(top):
    base = [*IDENTITY, *TINY[-5:]]
    for name, more in (("replicated", []), ("triplets", ["loss.triplet_weight=0.5"])):
        cpu, gpu = os.path.join(top, name + "-cpu"), os.path.join(top, name + "-gpu")
        train(cpu, *more, "cluster.backend=cpu", packed=people(), base=base)
        train(gpu, *more, *CUDA, packed=people(), base=base)
        check_close(name + ": loss", losses(gpu)[0][:2], losses(cpu)[0][:2], 1e-3)


def check_refused(top):
    for more, words in ((["cluster.backend=cpu", "train.precision=bf16"], "backend cpu computes in float32 only"),
                        (["cluster.backend=cuda", "train.exact=true"], "train.exact and cluster.backend=cuda exclude"),
                        (["cluster.backend=cuda", "train.precision=fp16", "train.loss_scale=3"], "not a power of two")):
        _, _, err = facet("train", *TINY, "data.path=" + data(), "run.dir=" + os.path.join(top, "no"), *more, want=2)
        assert words in err, err
    # no room: told before anything runs, also by a dry run
    for more in ([], ["--dry-run"]):
        _, _, err = facet("train", *TINY, "cluster.backend=cuda", "data.path=" + data(), "run.dir=" + os.path.join(top, "no"), *more,
                          want=None, env={"FACET_STANDIN_MEMORY": "100000000"})
        assert "facet: error: a step needs " in err and "train.precision" not in err, err


def check_bench():
    _, out, _ = facet("bench", "step", *TINY, "cluster.backend=cuda", "data.path=" + data(), "--steps", 1, "--warmup", 2, "--json",
                      timeout=1500)
    result = json.loads(out)
    ops = {o["op"] for o in result["ops"]}
    assert {"conv_fwd", "conv_bwd_weight", "bn_bwd", "optimiser", "gradient_norm"} <= ops, ops
    assert all(o["s"] > 0 and o["bytes"] > 0 for o in result["ops"]) and result["copy_bytes_per_s"] > 0 < result["flops_per_s"]
    conv = next(o for o in result["ops"] if o["op"] == "conv_fwd" and o["node"] == "backbone.conv1")
    assert conv["flops"] == 2 * 8 * 64 * 16 * 16 * 3 * 49, conv
    assert result["device"].startswith("cuda, bf16: "), result["device"]


def main():
    with workspace() as top:
        check_refused(top)
        check_like_cpu(top)
        check_recorded(top)
        check_resume(top)
        check_float16(top)
        check_bad(top)
        check_identity(top)
    check_bench()


main()
