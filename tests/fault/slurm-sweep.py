# SPDX-License-Identifier: Apache-2.0
"""What `facet submit` says and submits, taken at its word by a real Slurm: a sweep of four members, one of
them requeued on the way, whose table comes after all of them; a run in a chain of jobs; a packing on two nodes."""
import json
import os
import subprocess

from slurm_lib import SMALL, Job, Sandbox, golden

VALUES = ["0.1", "0.2", "0.3", "0.5"]


def submit(s, *arguments):
    out = golden.facet("submit", "--ranks-per-node", 1, "--cpus-per-rank", 1, "--time", 30, *arguments)[1]
    said = dict(line.split(None, 1) for line in out.splitlines() if line.startswith("  "))
    assert said["state"].startswith("squeue -j "), out
    number = said["state"].split()[-1]
    assert said["stop"].startswith("scancel %s" % number) and said["follow"] == "tail -F " + said["log"], out
    job = Job(s, number, os.path.dirname(said["log"]), "")
    job.output, job.said = said["log"], said
    s.outputs.append(job.output)
    return job


def text_of(pattern):
    return subprocess.run("cat " + pattern, shell=True, capture_output=True, text=True).stdout


def states(number):
    done = subprocess.run(["scontrol", "--oneliner", "show", "job", number], capture_output=True, text=True)
    return [word.split("=")[1] for line in done.stdout.splitlines() for word in line.split()
            if word.startswith("JobState=")]


def sweep(s):
    job = submit(s, *SMALL, "data.path=" + s.data, "--nodes", 1, "--array", "%2", "-o", s.folder + "/sweep",
                 "--sweep", "loss.landmark_weight=" + ",".join(VALUES))
    table = Job(s, job.said["table"].split(" by job ")[1].split()[0], job.run, "")
    job.wait("a member that runs", lambda: "RUNNING" in states(job.number))
    subprocess.run(["scontrol", "requeue", job.number + "_0"], check=True)
    table.wait_state("COMPLETED")
    assert set(states(job.number)) == {"COMPLETED"}, "the table came before the end: %s" % states(job.number)
    assert "restarts 1" in text_of(job.output), "member 0 had no second life"
    with open(os.path.join(job.run, "table.json")) as f:
        runs = json.load(f)["runs"]
    assert [(r["state"], r["values"]["loss.landmark_weight"]) for r in runs] == [("done", v) for v in VALUES], runs
    with open(os.path.join(job.run, "table.txt")) as f:
        lines = f.read()
    assert len(lines.splitlines()) == 5 and lines in text_of(job.run + "/table-*.log"), lines


def chain(s):
    job = submit(s, *SMALL, "data.path=" + s.data, "--nodes", 2, "--array", "1-2%1", "-o", s.folder + "/chain")
    job.wait("both jobs", lambda: states(job.number) and set(states(job.number)) == {"COMPLETED"})
    epochs = golden.column(job.run, "epoch", "metrics.csv")
    assert epochs == [1, 2, 3], "the second job goes on with the run of the first: %s" % epochs


def pack(s):
    golden.facet("synth", "-o", s.folder + "/faces", "--expression", 64, "--identities", 0, "--size", 64)
    packed = s.folder + "/packed set"
    job = submit(s, "--pack", s.folder + "/faces/expression", "-o", packed, "--nodes", 2, "--", "--size", 32,
                 "--split", "val=0.25")
    job.wait_state("COMPLETED")
    assert "on n[1-2] by srun" in text_of(job.output), "the log is where it was said"
    golden.facet("inspect", packed, "--verify")


with Sandbox() as s:
    pack(s)
    sweep(s)
    chain(s)
