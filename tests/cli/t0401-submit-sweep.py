# SPDX-License-Identifier: Apache-2.0
"""A sweep from its submission to its table: the members' folders, the array's tasks one by one, the
table as words and as JSON against metrics.csv. sbatch is played by a script that only counts."""
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile

FACET = os.environ["FACET"]
MAKE = os.path.join(os.environ["FACET_BUILD"], "tests/unit/make_shard")
folder = tempfile.mkdtemp(prefix="facet-sweep-")
env = dict(os.environ, PATH=os.path.join(folder, "bin") + ":" + os.environ["PATH"], OMP_NUM_THREADS="1",
           SLURM_JOB_ID="1001", SLURM_ARRAY_JOB_ID="1001", SLURM_JOB_NODELIST="n1")
values = ["0.1", "0.2", "0.3", "0.5"]
wrong = []


def claim(what, ok):
    if not ok:
        wrong.append(what)
        print("FAILED:", what)


def write(name, text):
    with open(os.path.join(folder, name), "w") as f:
        f.write(text)


def facet(*arguments, code=0):
    r = subprocess.run([FACET, *arguments], capture_output=True, text=True, cwd=folder, env=env)
    claim("exit %d: %s: %s" % (r.returncode, arguments, r.stderr[-600:]), r.returncode == code)
    return r.stdout, r.stderr


def script(path, **more):
    r = subprocess.run(["bash", path], capture_output=True, text=True, cwd=folder, env=dict(env, **more))
    claim("%s ends well: %s" % (path, r.stderr[-600:]), r.returncode == 0)
    return r.stdout


def prepare():
    os.mkdir(os.path.join(folder, "bin"))
    os.mkdir(os.path.join(folder, "data"))
    for split in ("train", "val"):
        subprocess.run([MAKE, os.path.join(folder, "data"), split, "raw", "8"], check=True, capture_output=True)
    write("bin/sbatch", "#!/bin/sh\necho \"$2\" >>%s/sent\nwc -l <%s/sent\n" % (folder, folder))
    write("bin/mpirun", "#!/bin/sh\nwhile [ ! -x \"$1\" ]; do shift; done\nexec \"$@\"\n")
    for name in ("sbatch", "mpirun"):
        os.chmod(os.path.join(folder, "bin", name), 0o755)


def submit():
    out, _ = facet("submit", "model.backbone=resnet18", "model.embedding=8", "data.size=32", "data.batch_size=4",
                   "data.num_workers=1", "train.epochs=2", "optim.optimizer=sgd", "data.path=data", "cluster.threads=1", "--nodes", "1",
                   "--cpus-per-rank", "1", "--launcher", "mpirun", "-o", "sweep", "--sweep",
                   "loss.landmark_weight=" + ",".join(values))
    claim("the table's job is told", "sweep/table.txt, by job 2 at the end" in out)
    with open(os.path.join(folder, "sent")) as f:
        sent = f.read().split()
    claim("two jobs", [os.path.basename(s) for s in sent] == ["job.sbatch", "table.sbatch"])
    with open(sent[1]) as f:
        claim("the table comes after the array", "#SBATCH --dependency=afterany:1\n" in f.read())
    members = sorted(n for n in os.listdir(os.path.join(folder, "sweep")) if n[0] == "0")
    claim("members by value", members == ["%03d-landmark_weight=%s" % p for p in enumerate(values)])
    return sent, [os.path.join(folder, "sweep", m) for m in members]


def rows_of(run):
    with open(os.path.join(run, "metrics.csv")) as f:
        return list(csv.DictReader(f))


def check_table(runs):
    said = json.loads(facet("inspect", "sweep", "--json")[0])
    claim("the swept key is the one that differs", said["keys"] == ["loss.landmark_weight"])
    claim("its values", [r["values"]["loss.landmark_weight"] for r in said["runs"]] == values)
    claim("states", [r["state"] for r in said["runs"]] == ["done", "done", "unfinished", "not begun"])
    claim("epochs", [(r["epochs"], r["of"]) for r in said["runs"]] == [(2, 2), (2, 2), (1, 2), (0, 2)])
    for r in said["runs"][:3]:
        rows = rows_of(os.path.join(folder, r["path"]))
        for key, best in (("val_expr_acc", max), ("val_lm_nme", min), ("val_loss", min)):
            numbers = [float(row[key]) for row in rows]
            claim(key + ": last", r["last"][key] == numbers[-1])
            claim(key + ": best", r["best"][key]["value"] == best(numbers) and
                  numbers[r["best"][key]["epoch"] - 1] == best(numbers))
    claim("nothing where there is nothing", said["runs"][3]["best"]["val_loss"] is None)
    table = facet("inspect", "sweep")[0].splitlines()
    claim("a line a run: %s" % table, len(table) == 5 and table[0].split()[:3] == ["run", "loss.landmark_weight", "state"])
    nme = 100 * min(float(row["val_lm_nme"]) for row in rows_of(runs[0]))
    claim("NME in percent: %s" % table[1], "  %.4g%% (" % nme in table[1])
    claim("two runs by name", len(facet("inspect", runs[0], runs[1])[0].splitlines()) == 3)
    claim("only what differs", "landmark_weight" not in facet("inspect", runs[0], runs[0])[0].splitlines()[0])
    claim("no run", "neither a run nor a folder of runs" in facet("inspect", "data", runs[0], code=2)[1])


try:
    prepare()
    (array, table), runs = submit()
    for task in ("0", "1"):
        out = script(array, SLURM_ARRAY_TASK_ID=task)
    facet("train", os.path.join(runs[2], "config.cfg"), "--stop-after", "3", code=75)
    check_table(runs)
    with open(os.path.join(runs[3], "metrics.csv"), "w") as f:
        f.write("a,b\n1\n")
    out = script(table)
    claim("the job's log has the table", "unreadable" in out and "done" in out)
    with open(os.path.join(folder, "sweep/table.txt")) as f:
        claim("table.txt", f.read() == out)
    with open(os.path.join(folder, "sweep/table.json")) as f:
        claim("table.json", len(json.load(f)["runs"]) == 4)
finally:
    shutil.rmtree(folder)
print("%d claims failed" % len(wrong))
sys.exit(bool(wrong))
