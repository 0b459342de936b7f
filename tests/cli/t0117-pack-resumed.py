# SPDX-License-Identifier: Apache-2.0
"""facet pack on 1, 2 and 3 ranks, killed, asked to stop, and slowed down at many moments, then gone on with on another
number of ranks: the bytes of a run that was never disturbed, nothing left over, nothing of other pictures taken over."""
import filecmp
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

FACET = os.environ["FACET"]
SANITIZED = os.environ.get("FACET_SANITIZED") == "1"
HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT_S = 120  # of one command; generous, since the machine may be busy
failed = 0
folder = tempfile.mkdtemp()
source, golden, out = f"{folder}/in", f"{folder}/golden", f"{folder}/out"
random.seed(5)


def claim(holds, text):
    global failed
    if not holds:
        print("FAILED:", text, flush=True)
        failed = 1


def arguments(target, ranks, extra=(), wrap=()):
    facet = [*wrap, FACET, "pack", source, "-o", target, "--size", "40", "--split", "val=0.3", "--shard-size", "20",
             "--quiet", "--threads", "1", *extra]
    return ["mpirun", "-n", str(ranks), *facet] if ranks > 1 else facet


def pack(target, ranks, extra=(), wrap=()):
    return subprocess.run(arguments(target, ranks, extra, wrap), capture_output=True, text=True, timeout=LIMIT_S)


def start(target, ranks, wrap=()):
    return subprocess.Popen(arguments(target, ranks, (), wrap), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)


def ranks_of(job, ranks):
    """The pids of the job's facet processes, in order of their ranks."""
    if ranks == 1:
        return [job.pid]
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                parent = int(f.read().rsplit(")", 1)[1].split()[1])
            if parent == job.pid:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    for entry in f.read().split(b"\0"):
                        if entry.startswith(b"OMPI_COMM_WORLD_RANK="):
                            found[int(entry.split(b"=")[1])] = int(pid)
        except OSError:
            pass
    return [found[rank] for rank in sorted(found)]


def done_shards(target):
    try:
        return sum(name.endswith(".done.tmp") for name in os.listdir(target))
    except OSError:
        return 0


def wait_for(job, holds):
    """True once holds() does; False when the job ended before."""
    end = time.time() + LIMIT_S
    while not holds():
        if job.poll() is not None or time.time() > end:
            return False
        time.sleep(0.001)
    return True


def hit(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def is_same(target):
    names = sorted(os.listdir(golden))
    if sorted(os.listdir(target)) != names:
        return False
    return filecmp.cmpfiles(golden, target, names, shallow=False)[0] == names


def go_on(ranks, what):
    known = done_shards(out)
    finished = os.path.exists(f"{out}/train.h5") and os.path.exists(f"{out}/val.h5")
    done = pack(out, ranks)
    claim(done.returncode == 0, f"{what}: going on with {ranks} ranks ends well: {done.stderr}")
    if known and not finished:
        claim(f"going on: {known} of {SHARDS} shards are already there" in done.stderr,
              f"{what}: the {known} shards that are there are kept: {done.stderr}")
    claim(is_same(out), f"{what}: the same files with the same bytes with {ranks} ranks")
    shutil.rmtree(out)


def kill_all_ranks():
    hits = 0
    for ranks, next_ranks, at in ((1, 3, 0), (1, 2, 9), (2, 1, 1), (2, 3, 20), (3, 2, 12), (3, 1, 25), (3, 1, 30)):
        job = start(out, ranks)
        wait_for(job, lambda: done_shards(out) >= at)  # pylint: disable=cell-var-from-loop
        time.sleep(random.random() * 0.02)
        for pid in ranks_of(job, ranks):
            hit(pid, signal.SIGKILL)
        job.communicate(timeout=LIMIT_S)
        hits += job.returncode != 0
        go_on(next_ranks, f"{ranks} ranks killed after {at} shards")
    claim(hits >= 3, f"only {hits} runs were killed before their end")


def kill_one_rank():
    for rank in (0, 1):
        job = start(out, 2)
        was_hit = wait_for(job, lambda: done_shards(out) >= 3)
        began = time.time()
        hit((ranks_of(job, 2) + [job.pid] * 2)[rank], signal.SIGKILL)
        job.communicate(timeout=LIMIT_S)
        claim(not was_hit or job.returncode != 0, f"a job that lost rank {rank} has not succeeded")
        claim(time.time() - began < 60, f"a job that lost rank {rank} ends soon")
        go_on(2, f"rank {rank} of 2 killed")


def kill_at_calls():
    """Between the making of a file and the next, on either rank, up to the naming of the whole set."""
    if SANITIZED or subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        return
    points = 0
    for call, counts in (("rename", (1, 2, 9, 60, 80)), ("pwrite64", (40, 300)), ("unlink", (10, 60))):
        for n in counts:
            rank = n % 2
            script = (f'if [ "$OMPI_COMM_WORLD_RANK" = {rank} ]; then exec strace -f -o /dev/null -e trace={call} '
                      f'-e inject={call}:signal=SIGKILL:when={n} "$@"; fi; exec "$@"')
            done = pack(out, 2, wrap=("sh", "-c", script, "sh"))
            points += done.returncode != 0
            go_on(1 + n % 3, f"rank {rank} killed at {call} {n}")
    claim(points >= 5, f"only {points} calls were reached")


def ask_to_stop():
    for ranks, who, number in ((1, 0, signal.SIGTERM), (1, 0, signal.SIGUSR1), (2, 1, signal.SIGTERM),
                               (2, 0, signal.SIGUSR1)):
        what = f"signal {number} to rank {who} of {ranks}"
        job = start(out, ranks)
        is_early = wait_for(job, lambda: done_shards(out) >= 2)
        pids = ranks_of(job, ranks)
        if is_early and len(pids) == ranks:
            hit(pids[who], number)
        _, told = job.communicate(timeout=LIMIT_S)
        if job.returncode == 0:  # it was faster than the signal
            claim(is_same(out), f"{what}, too late")
            shutil.rmtree(out)
            continue
        claim(job.returncode == 75, f"{what} ends with 75, not {job.returncode}: {told}")
        claim(f"stopped by signal {int(number)}" in told and "the same command goes on" in told,
              f"{what} is told: {told}")
        claim(not any(".part.tmp" in name for name in os.listdir(out)), f"{what} leaves no half shard")
        go_on(3 - ranks, what)


def slow_rank():
    """A rank that does not get on holds up the shards that it has begun, no others."""
    job = start(out, 2)
    is_early = wait_for(job, lambda: done_shards(out) >= 1)
    pids = ranks_of(job, 2)
    if is_early and len(pids) == 2:
        hit(pids[1], signal.SIGSTOP)
        claim(wait_for(job, lambda: done_shards(out) >= SHARDS - 2), "rank 0 makes what the stopped rank 1 does not")
        hit(pids[1], signal.SIGCONT)
    told = job.communicate(timeout=LIMIT_S)[1]
    claim(job.returncode == 0 and is_same(out), f"a rank that was slow for a while changes nothing: {told}")
    shutil.rmtree(out)


def another_input():
    job = start(out, 2)
    wait_for(job, lambda: done_shards(out) >= 3)
    for pid in ranks_of(job, 2):
        hit(pid, signal.SIGKILL)
    job.communicate(timeout=LIMIT_S)
    whole = not done_shards(out)
    before = sorted(os.listdir(out))
    done = pack(out, 2, ("--fit", "pad"))
    claim(done.returncode == 2 and (whole or "--fit is another" in done.stderr), f"other options: {done.stderr}")
    os.rename(f"{source}/sad/0000.jpg", f"{source}/sad/0000.kept")
    done = pack(out, 1)
    claim(done.returncode == 2 and (whole or "it had 898 pictures, now 897" in done.stderr),
          f"a picture that is gone: {done.stderr}")
    os.rename(f"{source}/sad/0000.kept", f"{source}/sad/0000.jpg")
    claim(whole or done_shards(out) == sum(name.endswith(".done.tmp") for name in before),
          "what is refused takes nothing away")
    done = pack(out, 2, ("--fit", "pad", "--force"))
    claim(done.returncode == 0, f"--force starts anew: {done.stderr}")
    pack(f"{folder}/other", 1, ("--fit", "pad"))
    names = os.listdir(f"{folder}/other")
    claim(sorted(os.listdir(out)) == sorted(names) and
          filecmp.cmpfiles(out, f"{folder}/other", names, shallow=False)[0] == names, "the bytes after --force")


subprocess.run([sys.executable, f"{HERE}/pack_draw.py", source, "300"], check=True)
for name in ("happy/0007.jpg", "sad/0123.jpg", "sad/0200.jpg", "neutral/0042.jpg"):
    with open(f"{source}/{name}", "w", encoding="ascii") as broken:
        broken.write("broken")
shutil.copy(f"{source}/sad/0002.jpg", f"{source}/sad/two\nlines, \"quoted\".jpg")
shutil.copy(f"{source}/sad/0002.jpg", f"{source}/sad/".encode() + b"not\xff8.jpg")
os.symlink("0002.jpg", f"{source}/sad/link.jpg")
os.remove(f"{source}/happy/0011.jpg")
os.remove(f"{source}/happy/0012.jpg")
os.remove(f"{source}/happy/0013.jpg")
claim(pack(golden, 1).returncode == 0, "the run that is not disturbed")
SHARDS = sum("-of-" in name for name in os.listdir(golden))
with open(f"{golden}/bad.csv", encoding="utf-8") as bad:
    listed = bad.read()
claim(listed.count("\n") == 7 and "not\\xff8.jpg" in listed, f"bad.csv lists all: {listed}")
try:
    for part in (kill_all_ranks, kill_one_rank, kill_at_calls, ask_to_stop, slow_rank, another_input):
        began_at = time.time()
        part()
        print(f"{part.__name__}: {time.time() - began_at:.1f} s", flush=True)
finally:
    shutil.rmtree(folder)
sys.exit(failed)
