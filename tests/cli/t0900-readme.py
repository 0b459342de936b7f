# SPDX-License-Identifier: Apache-2.0
"""What the documents say can be done: README's own pictures, step by step on drawn ones; each ready
configuration; every command, option and key that a document's code block names."""
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

FACET = os.environ["FACET"]
SOURCE = os.environ["FACET_SOURCE"]
SMALL = " train.epochs=1 data.batch_size=24 cluster.threads=1 augment.erase=0"
wrong = []


def claim(holds, what):
    if not holds:
        wrong.append(what)


def read(name):
    with open(os.path.join(SOURCE, name), encoding="utf-8") as f:
        return f.read()


def shell(command, top):
    env = dict(os.environ, PATH=os.path.dirname(FACET) + ":" + os.environ["PATH"], OMP_NUM_THREADS="1")
    done = subprocess.run(command, shell=True, cwd=top, env=env, capture_output=True, text=True)
    claim(done.returncode == 0, "exit %d: %s\n%s" % (done.returncode, command, done.stderr[-1500:]))
    return done.stdout


def draw(top):
    """fer2013 as it is distributed: train and test, seven classes; AffectNet: eight, with landmarks."""
    for name, pictures, seed in (("train", 112, 1), ("test", 56, 2)):
        shell("facet synth -o drawn --expression %d --identities 0 --classes 7 --size 48 --seed %d" % (pictures, seed), top)
        os.makedirs(os.path.join(top, "fer2013"), exist_ok=True)
        os.rename(os.path.join(top, "drawn/expression"), os.path.join(top, "fer2013", name))
        shell("rm -r drawn", top)
    shell("facet synth -o faces --expression 128 --identities 0 --size 64 --seed 3", top)
    marks = "faces/expression_landmarks.json"
    shell("facet pack faces/expression -o eight --size 64 --split val=0.25 --landmarks " + marks, top)
    shell("facet synth -o persons --expression 0 --identities 20 --per-identity 5 --size 64 --seed 4", top)
    shell("facet pack persons/identity -o people --size 64 --split val=0.25", top)
    shell("facet pack faces/expression -o lfw --size 64 --split val=0.25 --format flat --landmarks " + marks, top)


def try_own_pictures(top):
    block = re.search(r"## With your own pictures\n.*?```sh\n(.*?)```", read("README.md"), re.S).group(1)
    lines = [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]
    claim(len(lines) >= 4, "README.md: fewer than four commands for one's own pictures")
    for line in lines:
        out = shell(line + (SMALL if " train " in line else ""), top)
        claim("train" in line or out.strip(), "nothing on standard output: " + line)


def try_configurations(top):
    data = {"affectnet8_multitask.cfg": "eight", "demo.cfg": "eight", "fer7_resnet18.cfg": "fer data.val_split=test",
            "mixed_sets.cfg": "eight,lfw", "casia_naive.cfg": "people", "casia_pk_warmup.cfg": "people",
            "casia_transfer.cfg": "people"}
    for path in sorted(glob.glob(os.path.join(SOURCE, "configs", "*.cfg"))):
        name = os.path.basename(path)
        claim(name in data, "configs/%s: this test knows no data for it" % name)
        out = shell("facet train configs/%s data.path=%s --dry-run" % (name, data.get(name, "eight")), top)
        claim("steps_per_epoch" in out, "configs/%s: the dry run does not say its steps" % name)


def try_table(top):
    names = re.findall(r"^\| `facet (\w+)", read("README.md"), re.M)
    listed = re.findall(r"^  (\w+)  ", shell("facet --help", top), re.M)
    claim(sorted(names) == sorted(listed), "README.md's table has %s, facet --help %s" % (names, listed))
    for name in names:
        claim("usage: facet " + name in shell("facet %s --help" % name, top), "facet %s --help" % name)


def try_cluster(top):
    """Each job of docs/cluster.md as a script; a real Slurm runs such jobs in tests/fault/slurm-*.py."""
    seen = 0
    for block in re.findall(r"^```sh\n(.*?)^```", read("docs/cluster.md"), re.S | re.M):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("facet submit"):
                script = shell(line.replace("facet submit", "facet submit --dry-run", 1), top)
                claim("#SBATCH --nodes=" in script, "docs/cluster.md: no script: " + line)
                seen += 1
    claim(seen >= 6, "docs/cluster.md: only %d jobs were found" % seen)


def check_words(where, line, helps, top):
    """One command of a document: its options are in --help, its keys in facet config."""
    words = shlex.split(line.split("  #")[0].rstrip("\\"), posix=True)
    at = next(i for i, w in enumerate(words) if os.path.basename(w) == "facet")
    command = words[at + 1] if len(words) > at + 1 else "--help"
    if command.startswith("-"):
        return
    if command == "bench": # each measurement has options of its own
        at += 1
        command += " " + words[at + 1]
    if command not in helps:
        helps[command] = shell("facet %s --help" % command, top)
    for word in words[at + 2:]:
        if word == "--" and "--pack" in words: # what follows is for facet pack
            command = "pack"
            helps.setdefault(command, shell("facet pack --help", top))
        option = re.match(r"--?[a-z][a-z-]*", word)
        key = re.match(r"([a-z]+\.[a-z_0-9]+)=", word)
        if option:
            claim(re.search(r"(^|[ ,])%s\b" % re.escape(option.group()), helps[command], re.M),
                  "%s: facet %s has no %s" % (where, command, option.group()))
        if key:
            shell("facet config %s" % key.group(1), top)


def check_documents(top):
    helps, seen = {}, 0
    names = ["README.md", "CONTRIBUTING.md"] + [os.path.relpath(p, SOURCE) for p in
                                                glob.glob(os.path.join(SOURCE, "docs/**/*.md"), recursive=True)]
    for name in names:
        for block in re.findall(r"^```\w*\n(.*?)^```", read(name), re.S | re.M):
            for line in block.replace("\\\n", " ").splitlines():
                line = line.strip().removeprefix("$ ")
                if re.match(r"([A-Z_]+=\S+ )*(mpirun .*|srun .*)?(\S*/)?facet [a-z]", line) and "..." not in line:
                    if not re.match(r"facet train$", line): # what it prints
                        check_words(name, line, helps, top)
                        seen += 1
                for script in re.findall(r"\btests/\S+\.(?:sh|py)\b", line):
                    claim(os.path.exists(os.path.join(SOURCE, script)), "%s: there is no %s" % (name, script))
    claim(seen >= 7, "only %d commands were found in the documents" % seen)


def check_quickstart():
    script = os.path.join(SOURCE, "quickstart")
    done = subprocess.run([script, "--help"], capture_output=True, text=True)
    claim(done.returncode == 0 and not done.stderr, "./quickstart --help: " + done.stderr)
    for verb in re.findall(r"\./quickstart (\w+)", done.stdout + read("README.md") + read("CONTRIBUTING.md")):
        claim(re.search(r"^%s\)" % verb, read("quickstart"), re.M), "./quickstart %s: no such verb" % verb)
    done = subprocess.run([script, "nonsense"], capture_output=True, text=True)
    claim(done.returncode == 2 and "usage:" in done.stderr, "./quickstart nonsense is wrong use")


with tempfile.TemporaryDirectory(prefix="facet-readme-") as folder:
    os.symlink(os.path.join(SOURCE, "configs"), os.path.join(folder, "configs"))
    draw(folder)
    try_own_pictures(folder)
    try_configurations(folder)
    try_table(folder)
    try_cluster(folder)
    check_documents(folder)
check_quickstart()
print("\n".join(wrong))
sys.exit(bool(wrong))
