# SPDX-License-Identifier: Apache-2.0
# facet compare: trains configurations in order and goes on where it was; its numbers are those that
# Python's csv module finds in the runs' metrics.csv.
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

FACET = os.environ["FACET"]
MAKE = os.path.join(os.environ["FACET_BUILD"], "tests/unit/make_shard")
folder = tempfile.mkdtemp(prefix="facet-compare-")
wrong = []


def claim(what, ok):
    if not ok:
        wrong.append(what)
        print("FAILED:", what)


def path(*names):
    return os.path.join(folder, *names)


def facet(*arguments, ranks=0, **env):
    launcher = ["mpirun", "-n", str(ranks)] if ranks else []
    r = subprocess.run(launcher + [FACET, *arguments], capture_output=True, text=True,
                       env={**os.environ, **env})
    return r.returncode, r.stdout, r.stderr


def write(name, text):
    with open(path(name), "w") as f:
        f.write(text)


def read(*names):
    with open(path(*names)) as f:
        return f.read()


def make_inputs():
    os.mkdir(path("data"))
    for split in ("train", "val"):
        subprocess.run([MAKE, path("data"), split, "raw", "8"], check=True, capture_output=True)
    common = ('data = { size = 32; batch_size = 4; num_workers = 1; path = ["' + path("data") + '"]; };\n'
              'model = { backbone = "resnet18"; embedding = 8; };\n'
              'cluster = { threads = 1; };\n')
    write("first.cfg", common + "train = { epochs = 2; };\n")
    write("second.cfg", common + "train = { epochs = 3; };\n"
          'init = { from = "@first"; };\n')


def columns(run):
    with open(path(run, "metrics.csv")) as f:
        return list(csv.DictReader(f))


def same(a, b):
    return abs(a - b) <= 1e-6 * max(1, abs(b))


def check_numbers(said, run):
    rows = columns(run)
    numbers = said["numbers"]
    best = max(rows, key=lambda r: float(r["val_expr_acc"]))
    claim(run + ": best val accuracy", same(numbers["val_expr_acc_best"]["value"], float(best["val_expr_acc"]))
          and numbers["val_expr_acc_best"]["epoch"] == float(best["epoch"]))
    claim(run + ": last loss", same(numbers["train_loss_last"]["value"], float(rows[-1]["train_loss"])))
    claim(run + ": least val loss",
          same(numbers["val_loss_best"]["value"], min(float(r["val_loss"]) for r in rows)))
    claim(run + ": pictures/s", same(numbers["pictures_per_s"]["value"],
                                     sum(float(r["pictures_per_s"]) for r in rows) / len(rows)))
    claim(run + ": epochs", said["epochs"] == len(rows) and said["state"] == "done")
    claim(run + ": no identity numbers", not any("identity" in k or "verify" in k for k in numbers))


def test_trains_configurations():
    # stopped before: its second step is to be gone on with
    code, _, err = facet("train", path("first.cfg"), "run.dir=" + path("out/first"), "--stop-after", "1")
    claim("a stopped run to begin with: " + err[-300:], code == 75)
    code, out, err = facet("compare", path("first.cfg"), path("second.cfg"), "second:optim.learning_rate=0.002",
                           "-o", path("out"), "--reach", "10", ranks=2, COLUMNS="200")
    claim("compares two configurations: " + err[-500:], code == 0)
    if code:
        return
    claim("an unfinished run goes on", "resumed from" in read("out/first/train.log"))
    claim("@first is the best checkpoint of the run before",
          "started from " + path("out/first/checkpoints/step_") in read("out/second/train.log"))
    claim("each run has its own log", "out/second" not in read("out/first/train.log")
          and "resumed" not in read("out/second/train.log"))
    claim("one rank prints", out.count("options that differ") == 1)
    heads = [line for line in out.splitlines() if "a first" in line and "b second" in line]
    claim("the table names the runs", len(heads) == 1)
    rate = [line.split() for line in out.splitlines() if line.startswith("optim.learning_rate")]
    claim("NAME:key=value changes one run", rate == [["optim.learning_rate", "0.001", "0.002"]])
    claim("curves", "train expression accuracy, %" in out and "a first\n" in out)
    with open(path("out/compare.csv")) as f:
        rows = {r["run"]: r for r in csv.DictReader(f)}
    claim("compare.csv", set(rows) == {"first", "second"} and rows["second"]["train.epochs"] == "3"
          and same(float(rows["first"]["train_loss_last"]), float(columns("out/first")[-1]["train_loss"])))
    with open(path("out/compare_epochs.csv")) as f:
        rows = list(csv.DictReader(f))
    claim("compare_epochs.csv", [r["train_loss"] for r in rows if r["run"] == "second"]
          == [r["train_loss"] for r in columns("out/second")])
    if shutil.which("gnuplot"):
        with open(path("out/compare.png"), "rb") as f:
            claim("compare.png", f.read(8) == b"\x89PNG\r\n\x1a\n")


def test_goes_on():
    before = read("out/first/metrics.csv") + read("out/second/train.log")
    arguments = ["compare", path("first.cfg"), path("second.cfg"), "-o", path("out")]
    code, _, err = facet(*arguments, "second:optim.learning_rate=0.002", PATH="/nowhere")
    claim("finished runs are not trained again: " + err[-300:],
          code == 0 and err.count("was trained before") == 2
          and before == read("out/first/metrics.csv") + read("out/second/train.log"))
    claim("without gnuplot there is text only", "gnuplot" in err and code == 0)
    code, _, err = facet(*arguments)
    claim("a finished run of other options is refused: " + err,
          code == 2 and "optim.learning_rate (0.002 -> 0.001)" in err)


def test_run_directories():
    code, out, err = facet("compare", path("out/first"), path("out/second") + "/", "--json")
    claim("run directories need no -o: " + err, code == 0)
    said = json.loads(out)
    trained = [line.split() for line in facet("compare", path("out/first"), path("out/second"))[1].splitlines()
               if line.startswith("pictures trained")]
    claim("8 pictures an epoch", trained == [["pictures", "trained,", "thousands", "0.016", "0.024"]])
    claim("names", [r["name"] for r in said["runs"]] == ["first", "second"])
    for r in said["runs"]:
        check_numbers(r, "out/" + r["name"])
    claim("options that differ", said["runs"][1]["options"]["train.epochs"] == "3"
          and "data.size" not in said["runs"][1]["options"])


def test_identity_numbers():
    head = "epoch,train_loss,train_identity_acc,verify_acc,logit_spread,pictures_per_s\n"
    for name, rows in (("a/run", "1,9,1,50.5,0.1,10\n2,8,30,,0.2,20\n3,7,60,90.25,0.3,30\n"),
                       ("b/run", "1,9,0.5,51,0.01,10\n2,9,0.75,50,0.01,10\n")):
        os.makedirs(path(name))
        write(name + "/metrics.csv", head + rows)
    os.makedirs(path("c/pretrain"))
    write("c/pretrain/metrics.csv", "epoch,train_loss,val_expr_acc\n1,-3,70\n2,-4,75\n")
    code, out, err = facet("compare", path("a/run"), path("b/run"), path("c/pretrain"), "--json")
    claim("runs without a configuration: " + err, code == 0)
    said = {r["name"]: r for r in json.loads(out)["runs"]}
    claim("as much of the path as tells them apart", set(said) == {"a/run", "b/run", "c/pretrain"})
    a, b = said["a/run"]["numbers"], said["b/run"]["numbers"]
    claim("best verification", a["verify_acc_best"] == {"value": 90.25, "epoch": 3})
    claim("last of a column with empty fields", b["verify_acc_last"]["value"] == 50)
    claim("epoch of reaching 50 %", said["a/run"]["reached"] == 3 and said["b/run"]["reached"] is None)
    claim("mean", a["pictures_per_s"]["value"] == 20)
    for name, seconds in (("a", "100"), ("b", "50")): # an epoch is not an epoch
        os.makedirs(path("long", name))
        write(f"long/{name}/metrics.csv", "epoch,train_identity_acc,pictures_per_s,seconds\n" +
              "".join(f"{e},{e * 20},20,{seconds}\n" for e in (1, 2, 3)))
    code, out, err = facet("compare", path("long/a"), path("long/b"), "--json")
    claim("reached after so many pictures", [(r["reached"], r["reached_kpictures"]) for r in json.loads(out)["runs"]]
          == [(3, 6), (3, 3)])
    code, out, err = facet("compare", path("a/run"), path("b/run"), path("c/pretrain"), COLUMNS="70")
    loss = out[out.index("\ntrain loss\n"):]
    claim("a pretraining has no curve among identities", "c c/pretrain" not in out[out.index("epochs; *"):]
          and "-4 |" not in loss and "75 (2)" in out)
    claim("lines are as wide as the terminal", max(map(len, out.splitlines())) <= 70)
    reached = [line.split("acc")[1].split() for line in out.splitlines() if line.startswith("epoch of")]
    claim("never reached, the third run below the others", reached == [["3", "never"], ["-"]])


def test_wrong_use():
    for what, said, arguments in (
            ("one run", "at least two", [path("out/first")]),
            ("a run twice", "out/first: is there twice", [path("out/first"), path("out/first") + "/"]),
            ("no -o", "give -o DIR", [path("first.cfg"), path("out/first")]),
            ("an unknown @name", "init.from is @first", [path("second.cfg"), path("out/second"), "-o", path("no")]),
            ("a name twice", "another run before it", [path("first.cfg"), path("first.cfg"), "-o", path("no")]),
            ("a value for nobody", "no configuration here is called third",
             [path("first.cfg"), path("out/second"), "third:train.epochs=1", "-o", path("no")]),
            ("a value without configurations", "changes nothing",
             [path("out/first"), path("out/second"), "train.epochs=1"]),
            ("an unknown key", "did you mean train.epochs",
             [path("first.cfg"), path("out/second"), "train.epoch=1", "-o", path("no")]),
            ("a later training's data that is missing", "data.path: nowhere: No such file",
             [path("first.cfg"), path("second.cfg"), "second:data.path=nowhere", "-o", path("no")]),
            ("a later training's pairs that are missing", "eval.verify: nopairs: No such file",
             [path("first.cfg"), path("second.cfg"), "second:eval.verify=nopairs", "-o", path("no")]),
            ("neither run nor file", "neither a run directory", [path("data"), path("out/first")])):
        code, _, err = facet("compare", *arguments)
        claim(f"{what} is wrong use: {err}", code == 2 and said in err and not os.path.exists(path("no")))


def test_failure_and_stop():
    code, _, err = facet("compare", path("first.cfg"), path("second.cfg"), "first:init.from=" + path("nowhere"),
                         "-o", path("failed"))
    claim("a failing training ends the command: " + err, code == 1 and not os.path.exists(path("failed/second")))
    p = subprocess.Popen([FACET, "compare", path("first.cfg"), path("second.cfg"), "train.epochs=5000",
                          "-o", path("stopped")], stderr=subprocess.PIPE, text=True)
    for line in p.stderr:
        if line.startswith("Epoch 1/"):
            p.send_signal(signal.SIGTERM)
            break
    err = p.stderr.read()
    claim("a stopped training ends the command: " + err,
          p.wait() == 75 and "stopped at epoch" in err and not os.path.exists(path("stopped/second")))


try:
    make_inputs()
    test_trains_configurations()
    if not wrong:
        test_goes_on()
        test_run_directories()
        test_wrong_use()
    test_identity_numbers()
    test_failure_and_stop()
finally:
    shutil.rmtree(folder)
print(f"{len(wrong)} claims failed")
sys.exit(1 if wrong else 0)
