# SPDX-License-Identifier: Apache-2.0
"""Faults while `facet pack` writes (B1): told by file; the same command again ends with the bytes of a run never disturbed."""
import os
import signal

from kind_damage import pack
from kind_save import refusals
from place import FACET
from tally import Verdict
from truth import read


def content(folder):
    return {n: read(os.path.join(folder, n)) for n in sorted(os.listdir(folder))} if os.path.isdir(folder) else {}


class Packing:
    def __init__(self, place, name, *more):
        self.place, self.name = place, name
        self.golden = content(pack(place, "golden-" + name, *more))
        drawn = place.path("drawn")
        self.folder = place.path("out", "set")
        self.command = [FACET, "pack", os.path.join(drawn, "expression"), "-o", self.folder, "--size", "32", "--split", "val=0.3",
                        "--landmarks", os.path.join(drawn, "expression_landmarks.json"), "--shard-size", "6", "--quiet",
                        "--threads", "1", *more]
        self.points = self.fresh() or place.points(self.command, self.folder)

    def fresh(self):
        os.makedirs(self.place.clear("out"))

    def check(self, verdict, ended):
        """No shard, index or list has its final name with other bytes than the golden; going on ends golden."""
        now = content(self.folder)
        for name, data in now.items():
            if not name.endswith(".tmp") and self.golden.get(name) != data:
                verdict.add("wrong", "%s looks finished and is not" % name)
        left = [name for name in now if name.endswith(".tmp")]
        if ended.code == 0 and {n: d for n, d in now.items() if n not in left} != self.golden:
            verdict.add("wrong", "exit 0 with other files: %s" % sorted(set(now) ^ set(self.golden)))
        # What may not be removed stays; the same command again removes it.
        if ended.code == 0 and left and ", unlink " not in verdict.what:
            verdict.add("other", "left over: %s" % left)
        again = self.place.run(self.command)
        verdict.resume_s = again.seconds
        if not verdict.crashed(again) and (again.code != 0 or content(self.folder) != self.golden):
            verdict.add("lost", "the same command again: exit %s: %s; %s" % (
                again.code, again.tail(), sorted(set(content(self.folder)) ^ set(self.golden))))

    def hit(self, setting, words, is_kill):
        verdict = Verdict("pack %s: %s" % (self.name, words))
        self.fresh()
        ended = self.place.run(self.command, self.folder, {"fault": setting})
        if is_kill and ended.code != -signal.SIGKILL:
            verdict.add("other", "was to be killed, but: exit %s" % ended.code)
        if not is_kill and not verdict.crashed(ended):
            if ended.code not in (0, 1):
                verdict.add("other", "exit %s: %s" % (ended.code, ended.tail()))
            if ended.code == 1:
                verdict.detect_s = ended.seconds
                if not (ended.names("facet: error: ") and ended.names(self.folder)):
                    verdict.add("other", "no file is named: %s" % ended.tail())
        self.check(verdict, ended)
        return verdict


def packs(place, rng):
    for packing in (Packing(place, "raw"), Packing(place, "jpeg", "--encoding", "jpeg")):
        for n, op, path in packing.points:
            words = "call %d, %s %s" % (n, op, os.path.basename(path))
            yield "kill -9 in pack", lambda p=packing, n=n, w=words: p.hit("kill:%d" % n, "kill at " + w, True)
            if op in ("write", "pwrite"):
                yield "kill -9 in pack", lambda p=packing, n=n, w=words: p.hit("half:%d" % n, "kill within " + w, True)
        for setting, words, _ in refusals(packing.points):
            yield "refusals in pack", lambda p=packing, f=setting, w=words: p.hit(f, w, False)
