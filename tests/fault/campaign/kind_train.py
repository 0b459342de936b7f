# SPDX-License-Identifier: Apache-2.0
"""Faults in a real training (A1, A2, B1, C5): kills and signals at calls and at random moments, refusals; then it is
resumed, and ends with the bits of the run that nothing disturbed."""
import errno
import itertools
import os
import signal
import time

from kind_save import LASTING, REASONS
from tally import Verdict
from training import OPS
from training import training as one_of

ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


def ranks_of(process, count, give_up_s=20):
    """Process ids of the ranks: the launcher's children, or the process itself."""
    if count == 1:
        return [process.pid]
    end = time.monotonic() + give_up_s
    while time.monotonic() < end and process.poll() is None:
        try:
            with open("/proc/%d/task/%d/children" % (process.pid, process.pid), encoding="ascii") as file:
                found = [int(pid) for pid in file.read().split()]
        except FileNotFoundError:
            return []
        if len(found) >= count:
            return found
        time.sleep(0.02)
    return []


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
            return file.read().rsplit(") ", 1)[1][0] != "Z"
    except FileNotFoundError:
        return False


def send(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def no_orphans(verdict, pids):
    end = time.monotonic() + 20
    while any(map(is_alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    left = [pid for pid in pids if is_alive(pid)]
    if left:
        verdict.add("other", "ranks that stay behind: %s" % left)
        send(left, signal.SIGKILL)


def strike_process(training, whom, number, at_s, verdict):
    """Starts a training and sends a signal to one rank, all of them or the launcher after so many seconds."""
    place = training.place
    began = time.monotonic()
    process = place.start(training.command(), training.folder, {}, training.ranks)
    ranks = ranks_of(process, training.ranks)
    time.sleep(max(0, at_s - (time.monotonic() - began)))
    had = training.saved()
    struck = time.monotonic()
    if process.poll() is None:
        send({"launcher": [process.pid], "all": ranks}.get(whom) or ranks[-1:], number)
    ended = place.wait(process, began, 120)
    if number == signal.SIGKILL and ended.code != 0:
        verdict.detect_s = time.monotonic() - struck
    verdict.crashed(ended)
    no_orphans(verdict, ranks)
    return ended, had


def kill_some(training, rng):
    whom = rng.choice(("rank", "all", "launcher")) if training.ranks > 1 else "rank"
    at_s = rng.uniform(0.05, training.seconds)
    verdict = Verdict("%d ranks: kill %s after %.2f s" % (training.ranks, whom, at_s))
    training.fresh()
    had = strike_process(training, whom, signal.SIGKILL, at_s, verdict)[1]
    if rng.random() < 0.3:  # and again while it resumes
        had = max(had, strike_process(training, whom, signal.SIGKILL, rng.uniform(0.05, training.seconds), verdict)[1])
    training.go_on(verdict, had)
    return verdict


def at_call(training, rng, setting, words, is_stop):
    """A fault at one file call of rank 0's."""
    verdict = Verdict("%d ranks: %s" % (training.ranks, words))
    shim = {"fault": setting, "ops": OPS, "rank": 0 if training.ranks > 1 else None}
    training.fresh()
    ended = training.place.run(training.command(), training.folder, shim, training.ranks, timeout=120)
    if not verdict.crashed(ended) and ended.code == 1 and "error: " not in ended.err:
        verdict.add("other", "no reason is told: " + ended.tail())
    if is_stop and ended.code == 75:
        training.check_stopped(verdict)
    training.go_on(verdict, training.saved(), ended.err)
    return verdict


def kills(place, rng):
    for i in itertools.count():
        training = one_of(place, 2 - i % 2)
        if rng.random() < 0.6:
            yield "kill -9 in training", lambda t=training: kill_some(t, rng)
        else:
            n, op, path = rng.choice(training.calls)
            words = "kill at call %s, %s %s" % (n, op, os.path.basename(path))
            yield "kill -9 in training", lambda t=training, n=n, w=words: at_call(
                t, rng, rng.choice(("kill", "half")) + ":" + n, w, False)


def refusals(place, rng):
    for i in itertools.count():
        training = one_of(place, 2 - i % 2)
        n, op, path = rng.choice(training.calls)
        reason = rng.choice(REASONS[op].split())
        how = rng.choice(("fail", "failall")) if reason in LASTING else "fail"
        words = "%s:%s %s, %s %s" % (how, n, reason, op, os.path.basename(path))
        yield "refusals in training", lambda t=training, s="%s:%s:%d" % (how, n, errno.__dict__[reason]), w=words: at_call(
            t, rng, s, w, False)


def signal_some(training, rng):
    """Once: exit 75 with every step saved; twice: at once, with a checkpoint that loads. SIGHUP just ends it."""
    number, times = rng.choice(ASKING + (signal.SIGHUP,)), rng.choice((1, 1, 2))
    whom, at_s = rng.choice(("all", "rank")), rng.uniform(0.05, training.seconds)
    verdict = Verdict("%d ranks: %s x%d to %s after %.2f s" % (training.ranks, number.name, times, whom, at_s))
    place = training.place
    training.fresh()
    began = time.monotonic()
    process = place.start(training.command(), training.folder, {}, training.ranks)
    ranks = ranks_of(process, training.ranks)
    time.sleep(max(0, at_s - (time.monotonic() - began)))
    had = training.saved()
    sent = time.monotonic()
    for _ in range(times):
        if process.poll() is None:
            send(ranks if whom == "all" else ranks[-1:], number)
        time.sleep(rng.choice((0, 0.02, 0.3)) if times == 2 else 0)
    ended = place.wait(process, began, 120)
    verdict.crashed(ended)
    no_orphans(verdict, ranks)
    if ended.code == 75:
        verdict.detect_s = time.monotonic() - sent
        training.check_stopped(verdict)
    elif ended.code != 0 and times == 1 and number in ASKING and had:
        verdict.add("other", "a run with a checkpoint was asked to stop and ends with exit %s: %s" % (ended.code, ended.tail()))
    training.go_on(verdict, had)
    return verdict


def signals(place, rng):
    for i in itertools.count():
        training = one_of(place, 2 - i % 2)
        if rng.random() < 0.6:
            yield "signals in training", lambda t=training: signal_some(t, rng)
        else:
            n, op, path = rng.choice(training.calls)
            number = rng.choice(ASKING)
            words = "%s at call %s, %s %s" % (number.name, n, op, os.path.basename(path))
            yield "signals in training", lambda t=training, s="sig:%s:%d" % (n, number), w=words: at_call(t, rng, s, w, True)
