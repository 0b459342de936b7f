# SPDX-License-Identifier: Apache-2.0
"""Memory that is not there (E8): each allocation of facet's own code fails once, or from one on all of them. No crash; what
ends well is right; the checkpoints load."""
import itertools
import os

from kind_damage import dump_set, pack
from kind_logs import Logs
from kind_pack import Packing
from kind_save import Scene, check_after
from place import CHECKPOINT_TOOL, FACET, LOGS_TOOL, SHARD_DUMP
from tally import Verdict
from training import training as one_of
from truth import dumped


def clean_end(verdict, ended):
    """True when the program said that it failed, or ended well."""
    if verdict.crashed(ended):
        return False
    if ended.code not in (0, 1, 2):
        verdict.add("other", "exit %s: %s" % (ended.code, ended.tail()))
    if ended.code in (1, 2):
        verdict.detect_s = ended.seconds
        if "error: " not in ended.err:
            verdict.add("other", "no reason is told: " + ended.tail())
    refused = [line for line in ended.calls if line.startswith("refused")]
    verdict.what += "; " + "".join(refused[:1])
    return True


class Victim:
    """One program whose allocations fail: what it starts from, and what must hold after it."""

    def __init__(self, place, name, command, root, begin, check):
        self.place, self.name, self.command, self.root, self.begin, self.check = place, name, command, root, begin, check
        begin()
        self.count = place.allocations(command, root, timeout=300)

    def hit(self, n, for_ever):
        verdict = Verdict("%s: allocation %d%s" % (self.name, n, " and all later ones" if for_ever else ""))
        self.begin()
        ended = self.place.run(self.command, self.root, {"malloc": "%d%s" % (n, "+" if for_ever else "")}, timeout=300)
        clean_end(verdict, ended)
        self.check(verdict, ended)
        return verdict


def small(place):
    scene, loading = Scene(place, "memory", [(0, 1)], 2), Scene(place, "memory load", [(0, 2)], 3)

    def check_load(verdict, ended):
        step, is_right = dumped(ended.out) if ended.code == 0 else (None, True)
        if not is_right:
            verdict.add("wrong", "step %s loads with wrong values" % step)
        elif ended.code == 0 and step != 2 and not ended.names(loading.folder):
            verdict.add("lost", "step %s instead of 2, without a word" % step)

    yield Victim(place, "save", scene.command(), scene.folder, scene.begin, lambda v, e: check_after(scene, v, e))
    yield Victim(place, "load", [CHECKPOINT_TOOL, "dump", loading.folder], loading.folder, loading.begin, check_load)
    for name, more in (("raw", []), ("jpeg", ["--encoding", "jpeg"]), ("units", ["--au", place.path("drawn", "expression_au.csv")])):
        packing = Packing(place, name, *more)
        yield Victim(place, "pack " + name, packing.command, packing.folder, packing.fresh, packing.check)
        base = pack(place, "memory-" + name, *more)
        right = dump_set(place, base, "train")[1]

        def check_set(verdict, ended, right=right):
            import hashlib
            if ended.code == 0 and hashlib.sha256(ended.out).hexdigest() != right:
                verdict.add("wrong", "reads without an error, but otherwise")

        yield Victim(place, "read " + name, [SHARD_DUMP, base, "train"], base, lambda: None, check_set)
        told = place.run([FACET, "inspect", base, "--verify"]).out

        def check_told(verdict, ended, told=told):
            if ended.code == 0 and ended.out != told:
                verdict.add("wrong", "tells otherwise")

        yield Victim(place, "inspect " + name, [FACET, "inspect", base, "--verify"], base, lambda: None, check_told)
    logs = Logs(place)

    def check_logs(verdict, ended):
        logs.check(verdict, "cannot" in ended.err, False)
        rows = logs.rows()
        logs.go_on(verdict, 5 if len(rows) > 6 else 0, ended.code != 0)

    yield Victim(place, "logs", [LOGS_TOOL, logs.folder, "new"], logs.folder, logs.fresh, check_logs)


def train_victims(place):
    training = one_of(place, 1)
    place = training.place
    training.fresh()
    assert place.run(training.command()).code == 0
    place.copy(training.folder, "whole-run")
    stopped = place.path("stopped")

    def stop():
        training.fresh()
        assert place.run(training.command() + ["--stop-after", "3"]).code == 75
        place.copy(training.folder, "stopped")

    stop()

    def again():
        place.copy(stopped, "run")

    def check(verdict, ended):
        if ended.code == 0:  # it went on in spite of it: to the same end
            training.go_on(verdict, training.saved())
        else:
            training.go_on(verdict, 3)

    yield Victim(place, "resume", training.command(), training.folder, again, check)
    answers = {}
    whole = place.path("whole-run")
    for name, command in (("eval", [FACET, "eval", os.path.join(whole, "checkpoints"), training.data, "--json"]),
                          ("inspect run", [FACET, "inspect", whole, "--verify"])):
        answers[name] = place.run(command).out

        def check_answer(verdict, ended, name=name):
            if ended.code == 0 and ended.out != answers[name]:
                verdict.add("wrong", "%s tells otherwise" % name)

        yield Victim(place, name, command, whole, lambda: None, check_answer)


def shortages(place, rng):
    victims = list(small(place))
    for victim in victims:
        for n, for_ever in itertools.product(range(1, victim.count + 1), (False, True)):
            yield "no memory", lambda v=victim, n=n, f=for_ever: v.hit(n, f)


def train_shortages(place, rng):
    victims = list(train_victims(place))
    for _ in itertools.count():
        victim = rng.choice(victims)
        yield "no memory in training", lambda v=victim, n=rng.randint(1, victim.count), f=rng.random() < 0.3: v.hit(n, f)
