# SPDX-License-Identifier: Apache-2.0
"""Faults in what a run writes beside its checkpoints (B1): config.cfg, manifest.json, metrics.csv, steps.csv, train.log.
After a fault the run is gone on with; then every file is as it would have been, or a row that could not be written is
missing and was told of."""
import itertools
import json
import os
import signal

from kind_damage import DAMAGE
from kind_save import refusals
from place import LOGS_TOOL
from tally import Verdict
from truth import read

STEPS = [b"step,loss"] + [b"%d,0.%d" % (s, s) for s in range(1, 11)]
METRICS = b"epoch,loss\n1,0.1\n2,0.2\n"


class Logs:
    def __init__(self, place):
        self.place, self.folder = place, place.path("out", "run")
        self.fresh()
        self.points = place.points(self.new(), self.folder)
        self.golden = {n: read(os.path.join(self.folder, n)) for n in ("config.cfg",)}

    def fresh(self):
        os.makedirs(self.place.clear("out"))

    def new(self):
        return [LOGS_TOOL, self.folder, "new"]

    def rows(self):
        try:
            return read(os.path.join(self.folder, "steps.csv")).split(b"\n")
        except FileNotFoundError:
            return [b""]

    def check(self, verdict, told, was_cut):
        """`told`: a failure to write was told of; `was_cut`: the process may have died within a row."""
        rows = self.rows()
        rows, rest = rows[:-1], rows[-1]
        if rest and not was_cut and not told:
            verdict.add("other", "steps.csv ends within a row, without a word")
        if rows != STEPS[:len(rows)] and not (told and set(rows) <= set(STEPS)):
            verdict.add("wrong", "steps.csv holds %s" % rows)
        for name, is_good in (("manifest.json", lambda data: json.loads(data)["data_hash"] == "%016x" % 1),
                              ("config.cfg", lambda data: data == self.golden["config.cfg"]),
                              ("metrics.csv", lambda data: METRICS.startswith(data) and data.endswith(b"\n"))):
            path = os.path.join(self.folder, name)
            if os.path.exists(path) and not is_good(read(path)):
                verdict.add("wrong", "%s is torn" % name)

    def go_on(self, verdict, after, told=False):
        """Resumes after a step whose checkpoint there would be; then all is there."""
        ended = self.place.run([LOGS_TOOL, self.folder, "resume", str(after)], self.folder)
        verdict.resume_s = ended.seconds
        if verdict.crashed(ended) or ended.code != 0:
            verdict.add("lost", "cannot be gone on with: %s" % ended.tail())
            return
        rows, path = self.rows(), os.path.join(self.folder, "metrics.csv")
        if rows != STEPS + [b""] and not (told and set(rows) <= set(STEPS + [b""])):
            verdict.add("lost", "after going on at step %d steps.csv holds %s" % (after, rows))
        if not os.path.exists(path) or read(path) != METRICS:
            verdict.add("lost", "after going on at step %d metrics.csv is not whole" % after)
        # A process that dies leaves its temporary; the next one has another number. It must not pile up.
        left = [n for n in os.listdir(self.folder) if n.endswith(".tmp")]
        if left:
            verdict.add("other", "left over: %s" % left)

    def hit(self, setting, words, is_kill):
        verdict = Verdict("logs: " + words)
        self.fresh()
        ended = self.place.run(self.new(), self.folder, {"fault": setting})
        told = "cannot" in ended.err
        if is_kill and ended.code != -signal.SIGKILL:
            verdict.add("other", "was to be killed, but: exit %s" % ended.code)
        if not is_kill and not verdict.crashed(ended):
            if ended.code == 1 and not (ended.names("facet: error: ") and ended.names(self.folder)):
                verdict.add("other", "no file is named: %s" % ended.tail())
            if told:
                verdict.detect_s = ended.seconds
        self.check(verdict, told, is_kill)
        reached = max([int(r.split(b",")[0]) for r in self.rows()[1:-1]], default=0)
        self.go_on(verdict, min(reached, 5), told and reached > 0)
        return verdict


def refused(place, rng):
    logs = Logs(place)
    for n, op, path in logs.points:
        words = "call %d, %s %s" % (n, op, os.path.basename(path))
        yield "kill -9 in logs", lambda n=n, w=words: logs.hit("kill:%d" % n, "kill at " + w, True)
        if op == "write":
            yield "kill -9 in logs", lambda n=n, w=words: logs.hit("half:%d" % n, "kill within " + w, True)
    for setting, words, _ in refusals(logs.points):
        yield "refusals in logs", lambda f=setting, w=words: logs.hit(f, w, False)


def damaged(place, rng):
    """Damage in a run's texts, then resume: metrics.csv comes whole from the checkpoint; steps.csv loses at most the
    rows that the damage touched."""
    logs = Logs(place)
    assert place.run([LOGS_TOOL, place.clear("whole"), "new"]).code == 0

    def strike(name, change, after):
        place.copy(place.path("whole"), "out/run")
        path = os.path.join(logs.folder, name)
        damaged, words = change(read(path), rng)
        verdict = Verdict("logs: %s: %s, resumed at %d" % (name, words, after))
        touched = [i for i, line in enumerate(STEPS) if line not in damaged.split(b"\n")[:-1]]
        with open(path, "wb") as file:
            file.write(damaged)
        ended = place.run([LOGS_TOOL, logs.folder, "resume", str(after)], logs.folder)
        if verdict.crashed(ended):
            return verdict
        if ended.code != 0:
            verdict.add("lost", "cannot be gone on with: " + ended.tail())
            return verdict
        if read(os.path.join(logs.folder, "metrics.csv")) != METRICS:
            verdict.add("wrong", "metrics.csv")
        rows = logs.rows()
        gone = [line for i, line in enumerate(STEPS) if line not in rows and (i not in touched or i > after)]
        if name == "steps.csv" and gone:
            verdict.add("lost", "rows that were not damaged: %s" % gone)
        return verdict

    for _ in itertools.count():
        yield "damaged logs", lambda n=rng.choice(("steps.csv", "steps.csv", "metrics.csv", "manifest.json", "config.cfg")), \
            c=rng.choice(DAMAGE), a=rng.choice((3, 5, 8)): strike(n, c, a)
