# SPDX-License-Identifier: Apache-2.0
"""strace beside the shim: it must see the same calls on the checkpoint folder, and its kills end as the shim's do."""
import re
import shutil
import signal

from kind_save import Scene, check_after
from tally import Verdict

OPS = {"openat": "open", "write": "write", "fsync": "fsync", "rename": "rename", "renameat2": "renameat2", "mkdir": "mkdir", "unlink": "unlink",
       "unlinkat": "unlink", "rmdir": "unlink", "ftruncate": "truncate"}


def seen(trace, folder):
    """[(op, path)] of the calls in a trace that change something below `folder`."""
    found = []
    with open(trace, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            call = re.match(r"(?:\d+ +)?(\w+)\((.*)", line)
            paths = re.findall("%s[^\">]*" % re.escape(folder), call[2]) if call else []
            if not paths or call[1] not in OPS or (call[1] == "openat" and not re.search("O_WRONLY|O_RDWR", call[2])):
                continue
            change = OPS[call[1]], re.sub(r"\.\d+\.tmp$", ".PID.tmp", paths[-1])
            if change != ("unlink", paths[-1]) or found[-1:] != [change]:  # remove() tries unlink, then rmdir
                found.append(change)
    return found


def kills(place, rng):
    scene, trace = Scene(place, "strace", [(0, 1)], 2), place.path("trace")
    # strace counts calls by thread: without one of its own a save makes its calls in the main thread.
    alone = {"FACET_FAULT": "checkpoint.thread:1"}
    strace = ["strace", "-f", "-y", "-o", trace]
    if not shutil.which("strace") or place.run(strace + ["true"]).code != 0:
        print("  strace is not here or may not trace: no cross-check")
        return
    calls = sorted(OPS)

    def compare():
        verdict = Verdict("the calls that strace sees")
        scene.begin()
        verdict.crashed(place.run(strace + ["-e", "trace=" + ",".join(calls)] + scene.command(), env=alone))
        ours = [(op, re.sub(r"\.\d+\.tmp$", ".PID.tmp", path)) for _, op, path in scene.points if op != "close"]
        theirs = seen(trace, scene.folder)
        if theirs != ours:
            verdict.add("other", "strace alone sees %s, the shim alone %s" % (
                [c for c in theirs if c not in ours], [c for c in ours if c not in theirs]))
        return verdict

    def kill(call, n):
        verdict = Verdict("strace: kill at %s number %d" % (call, n))
        scene.begin()
        inject = ["-e", "trace=" + call, "-e", "inject=%s:signal=SIGKILL:when=%d" % (call, n)]
        ended = place.run(strace + inject + scene.command(), env=alone)
        if ended.code != -signal.SIGKILL:
            verdict.add("other", "was to be killed, but: exit %s" % ended.code)
        check_after(scene, verdict, ended)
        return verdict

    yield "kill -9 by strace", compare
    for call in ("write", "fsync", "rename", "mkdir", "unlink"):
        count = sum(1 for _, op, _ in scene.points if op == OPS[call])
        for n in range(1, count + 1):
            yield "kill -9 by strace", lambda c=call, n=n: kill(c, n)
