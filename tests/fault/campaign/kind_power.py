# SPDX-License-Identifier: Apache-2.0
"""A7: a power cut at every moment of a run that saves, with every state the disk may then be in."""
import os

from kind_save import CHECKPOINT_TOOL
from power_cut import Disk, write_out
from tally import Verdict
from truth import dumped


def record(place, disk_root, commands):
    """Runs the commands and returns what each changed: [(lines, data)]."""
    done = []
    for command, exchange in commands:
        record_file = place.path("record")
        for old in (record_file, record_file + ".bytes"):
            if os.path.exists(old):
                os.unlink(old)
        ended = place.run(command, disk_root, {"record": record_file, "exchange": exchange})
        assert ended.code == 0, ended.err
        with open(record_file, encoding="utf-8") as lines, open(record_file + ".bytes", "rb") as data:
            done.append((lines.read().splitlines(), data.read()))
    return done


def judge(place, tree, checkpoints, safe, what):
    """Loads a state: never wrong, and not older than what was acknowledged before the cut."""
    verdict = Verdict(what)
    folder = place.clear("cut")
    write_out(tree, folder)
    ended = place.run([CHECKPOINT_TOOL, "dump", os.path.join(folder, checkpoints)])
    if verdict.crashed(ended):
        return verdict
    step, is_right = dumped(ended.out) if ended.code == 0 else (None, True)
    if not is_right:
        verdict.add("wrong", "step %s loads with wrong values" % step)
    if safe is not None and (step is None or step < safe):
        verdict.add("lost", "step %s loads, %d was acknowledged; there is %s; %s" % (
            step, safe, sorted(p for p in tree if tree[p] is not None), ended.tail()))
    verdict.resume_s = ended.seconds
    return verdict


def cuts(place, rng):
    """Saves 1 to 4 into folders that are new, step 4 again, then 5 where folders cannot change places."""
    root = place.path("disk")
    os.makedirs(root)
    folder = os.path.join(root, "runs/today/checkpoints")

    def save(first, last, exchange=None):
        return [CHECKPOINT_TOOL, "save", folder, str(first), str(last)], exchange

    disk, seen, moment, safe = Disk(root), set(), 0, None
    steps = iter([1, 2, 3, 4, 4, 4, 5])
    acknowledged = 0
    for lines, data in record(place, root, [save(1, 4), save(4, 4), save(4, 4, "no"), save(5, 5)]):
        disk.opened.clear()
        for line in lines:
            disk.apply(line, data)
            moment += 1
            if disk.acknowledged > acknowledged:
                acknowledged, safe = disk.acknowledged, next(steps)
            for tree in disk.states(rng):
                key = hash((safe, frozenset((path, hash(value)) for path, value in tree.items())))
                if key in seen:
                    continue
                seen.add(key)
                what = "cut after change %d (%s)" % (moment, line.split("\t" + root)[0].split("\t")[0])
                yield "power cut in a save", lambda t=tree, s=safe, w=what: judge(
                    place, t, os.path.relpath(folder, root), s, w)
