# SPDX-License-Identifier: Apache-2.0
"""Faults while a checkpoint is saved (A1, A7, B1) or loaded: kills, refusals and short writes at every call."""
import errno
import itertools
import os
import signal

from place import CHECKPOINT_TOOL
from tally import Verdict
from truth import dumped, leftovers, whole_steps

# What each call may answer on a disk that is full, over quota, broken, read-only or interrupted.
REASONS = {"open": "ENOSPC EDQUOT EIO EROFS EMFILE EACCES EINTR", "write": "ENOSPC EDQUOT EIO EINTR", "pwrite": "ENOSPC EDQUOT EIO EINTR",
           "fsync": "EIO ENOSPC EDQUOT EROFS EINTR", "rename": "ENOSPC EDQUOT EIO EROFS EACCES", "renameat2": "ENOSPC EDQUOT EIO EROFS EINVAL",
           "mkdir": "ENOSPC EDQUOT EIO EROFS", "truncate": "ENOSPC EDQUOT EIO EROFS EINTR", "close": "EIO ENOSPC EDQUOT EINTR",
           "unlink": "EIO EROFS EACCES", "allocate": "ENOSPC EDQUOT EIO", "openread": "EIO EMFILE EACCES EINTR", "read": "EIO EINTR"}
LASTING = ("ENOSPC", "EDQUOT", "EROFS", "EIO")


def refusals(points):
    """(shim setting, words, kind) of every refusal and short write at these calls."""
    for n, op, path in points:
        name = os.path.basename(path)
        for reason in REASONS[op].split():
            yield "fail:%d:%d" % (n, errno.__dict__[reason]), "%s at call %d, %s %s" % (reason, n, op, name), reason
        for reason in LASTING:
            if reason in REASONS[op] and op not in ("openread", "read"):
                yield "failall:%d:%d" % (n, errno.__dict__[reason]), "%s from call %d on, %s %s" % (reason, n, op, name), reason
        if op in ("write", "pwrite", "read"):
            yield "short:%d" % n, "call %d is short, %s %s" % (n, op, name), "short writes"
            yield "shortall:%d" % n, "calls from %d on are short, %s %s" % (n, op, name), "short writes"


class Scene:
    """A folder of checkpoints, and a save that disturbs it."""

    def __init__(self, place, name, before, save, exchange=None):
        self.place, self.name, self.save, self.exchange = place, name, save, exchange
        self.base = place.path("base-" + name)
        os.makedirs(self.base)
        for first, last in before:
            assert place.run([CHECKPOINT_TOOL, "save", self.base, str(first), str(last)]).code == 0
        self.had = whole_steps(self.base)
        self.folder = place.path("ckpt")
        place.copy(self.base, "ckpt")
        self.points = place.points(self.command(), self.folder, {"exchange": exchange})

    def command(self):
        return [CHECKPOINT_TOOL, "save", self.folder, str(self.save), str(self.save)]

    def begin(self):
        self.place.copy(self.base, "ckpt")


def check_after(scene, verdict, ended):
    """After a fault: what was acknowledged is whole and loads; next, a save works and leaves nothing over."""
    folder, acknowledged = scene.folder, ("saved %d\n" % scene.save).encode() in ended.out
    whole = whole_steps(folder)
    if acknowledged and scene.save not in whole:
        verdict.add("lost", "acknowledged step %d is not whole" % scene.save)
    if scene.had and not whole:
        verdict.add("lost", "no checkpoint is whole, %s were" % scene.had)
    loaded = scene.place.run([CHECKPOINT_TOOL, "dump", folder])
    if not verdict.crashed(loaded) and whole:
        step, is_right = dumped(loaded.out) if loaded.code == 0 else (None, False)
        if loaded.code != 0:
            verdict.add("lost", "%s are whole, none loads: %s" % (whole, loaded.tail()))
        elif not is_right:
            verdict.add("wrong", "step %s loads with wrong values" % step)
        elif step < (scene.save if acknowledged else max(scene.had, default=0)):
            verdict.add("lost", "step %d loads, %s had been there" % (step, scene.had))
    after = scene.place.run([CHECKPOINT_TOOL, "save", folder, str(scene.save + 1), str(scene.save + 1)])
    verdict.resume_s = loaded.seconds + after.seconds
    if not verdict.crashed(after) and (after.code != 0 or scene.save + 1 not in whole_steps(folder)):
        verdict.add("lost", "the next save fails: " + after.tail())
    if whole and max(whole) not in whole_steps(folder):
        verdict.add("lost", "the next save takes step %d away" % max(whole))
    if after.code == 0 and leftovers(folder):
        verdict.add("other", "left over: %s" % leftovers(folder))


def hit(scene, setting, words, is_kill):
    verdict = Verdict("%s: %s" % (scene.name, words))
    scene.begin()
    ended = scene.place.run(scene.command(), scene.folder, {"fault": setting, "exchange": scene.exchange})
    if is_kill and ended.code != -signal.SIGKILL:
        verdict.add("other", "was to be killed, but: exit %s" % ended.code)
    if not is_kill and not verdict.crashed(ended):
        if ended.code not in (0, 1):
            verdict.add("other", "exit %s: %s" % (ended.code, ended.tail()))
        if ended.code == 1 and not (ended.names("facet: error: ") and ended.names(scene.folder)):
            verdict.add("other", "no file is named: %s" % ended.tail())
        if ended.code == 1:
            verdict.detect_s = ended.seconds
    check_after(scene, verdict, ended)
    return verdict


def scenes(place):
    return [Scene(place, "third save", [(0, 1)], 2), Scene(place, "first save", [], 1),
            Scene(place, "same step again", [(0, 1)], 1), Scene(place, "only step again", [(1, 1)], 1),
            # A file system where two folders cannot change places at once.
            Scene(place, "only step again, no exchange", [(1, 1)], 1, "no")]


def kills(place, rng):
    """kill -9 before every call, and in the middle of every write."""
    for scene in scenes(place):
        for n, op, path in scene.points:
            words = "call %d, %s %s" % (n, op, os.path.basename(path))
            yield "kill -9 in a save", lambda s=scene, n=n, w=words: hit(s, "kill:%d" % n, "kill at " + w, True)
            if op == "write":
                yield "kill -9 in a save", lambda s=scene, n=n, w=words: hit(s, "half:%d" % n, "kill within " + w, True)


def errnos(place, rng):
    for scene in scenes(place):
        for setting, words, reason in refusals(scene.points):
            yield reason + " in a save", lambda s=scene, f=setting, w=words: hit(s, f, w, False)


def twice(place, rng):
    """Without end: a fault in a save, another one in the save that recovers."""
    scene = Scene(place, "third save", [(0, 1)], 2)
    choices = [(s, w) for s, w, _ in refusals(scene.points)] + [("kill:%d" % n, "kill at call %d" % n) for n, _, _ in scene.points]

    def strike(first, second):
        verdict = Verdict("%s, then %s" % (first[1], second[1]))
        scene.begin()
        done = [scene.place.run(scene.command(), scene.folder, {"fault": fault[0]}) for fault in (first, second)]
        for ended in done:
            verdict.crashed(ended)
        done[1].out += done[0].out
        check_after(scene, verdict, done[1])
        return verdict

    for _ in itertools.count():
        yield "two faults in a row", lambda a=rng.choice(choices), b=rng.choice(choices): strike(a, b)


def loads(place, rng):
    """Refusals while a checkpoint is loaded: what loads is right, or the file is named."""
    scene = Scene(place, "load", [(0, 2)], 3)
    ops = "open,openread,read,close"
    command = [CHECKPOINT_TOOL, "dump", scene.folder]

    def strike(setting, words):
        verdict = Verdict("load: " + words)
        ended = scene.place.run(command, scene.folder, {"fault": setting, "ops": ops})
        if verdict.crashed(ended):
            return verdict
        step, is_right = dumped(ended.out) if ended.code == 0 else (None, True)
        if not is_right:
            verdict.add("wrong", "step %s loads with wrong values" % step)
        if step != max(scene.had) and not ended.names(scene.folder):
            verdict.add("lost", "step %s instead of %s, and no file is named: %s" % (step, max(scene.had), ended.tail()))
        if ended.code not in (0, 1):
            verdict.add("other", "exit %s" % ended.code)
        verdict.detect_s = ended.seconds
        return verdict

    scene.begin()
    for setting, words, _ in refusals(place.points(command, scene.folder, {"ops": ops})):
        yield "refusals in a load", lambda f=setting, w=words: (scene.begin(), strike(f, w))[1]
