# SPDX-License-Identifier: Apache-2.0
"""The fault campaign: injects faults of many kinds into facet and counts what became of them.
  /usr/bin/python3 tests/fault/campaign --short                 a sample of every kind, in three minutes; a test
  /usr/bin/python3 tests/fault/campaign --long --minutes 30     all, then at random until the time is over
  ... --only KIND (several times), --seed S, --out FOLDER (campaign.json, campaign.md), Ctrl-C: what there is so far
Ends with 1 when data was lost, silently wrong, a program crashed, or survived otherwise than promised."""
import argparse
import os
import platform
import random
import signal
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
if os.environ.get("FACET_SANITIZED", "0") != "0":
    print("skipped: the shim and the sanitizers both stand in for malloc")
    sys.exit(77)

from kinds import KINDS  # noqa: E402
from place import Place  # noqa: E402
from tally import Tally  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", choices=list(KINDS), default=[])
    parser.add_argument("--out", default=None)
    chosen = parser.parse_args()
    if chosen.short == chosen.long:
        parser.error("give --short or --long")
    return chosen


def in_random_order(kind, place, rng):
    """A kind's faults in random order, so that a part is a fair sample; those without end, or with an order, as they come."""
    faults = kind.faults(place, rng)
    if not kind.in_order:
        faults = list(faults)
        rng.shuffle(faults)
    return faults


def inject(faults, seconds, most, tally):
    """One kind's faults until its time is over; returns how many."""
    end, done = time.monotonic() + seconds, 0
    for kind, fault in faults:
        tally.take(kind, fault())
        done += 1
        if time.monotonic() > end or (most and done >= most):
            break
    return done


def run(chosen, place, tally):
    names = chosen.only or list(KINDS)
    total = 90 if chosen.short else 60 * chosen.minutes
    shares = sum(KINDS[name].share for name in names)
    end = time.monotonic() + total
    for name in names:
        kind = KINDS[name]
        rng = random.Random("%d %s" % (chosen.seed, name))
        # What a kind leaves of its time goes to those after it.
        seconds = max(1, end - time.monotonic()) * kind.share / shares
        shares -= kind.share
        began = time.monotonic()
        os.makedirs(place.path(name))
        place.top = place.path(name)
        done = 0
        try:
            done = inject(in_random_order(kind, place, rng), seconds, kind.short if chosen.short else 0, tally)
        except AssertionError:  # the undisturbed run that a kind begins with failed: the others go on
            tally.harmed.append("%s: %s" % (name, traceback.format_exc()))
            print(tally.harmed[-1], flush=True)
        place.top = place.home
        place.clear(name)
        print("%-10s %6d faults in %5.1f s" % (name, done, time.monotonic() - began), flush=True)


def report(chosen, tally, seconds):
    about = {"command": " ".join(["campaign"] + sys.argv[1:]), "date": time.strftime("%Y-%m-%d"), "seconds": round(seconds),
             "machine": "%s, %d cores, Linux %s" % (platform.machine(), os.cpu_count(), platform.release())}
    print("\n%s\n\n%d faults in %.0f s" % (tally.text(), tally.injected(), seconds))
    if not chosen.out:
        return
    os.makedirs(chosen.out, exist_ok=True)
    with open(os.path.join(chosen.out, "campaign.json"), "w", encoding="utf-8") as file:
        file.write(tally.json(**about) + "\n")
    with open(os.path.join(chosen.out, "campaign.md"), "w", encoding="utf-8") as file:
        file.write("`%s`, %d faults in %.0f s, %s, %s\n\n%s" % (
            about["command"], tally.injected(), seconds, about["machine"], about["date"], tally.markdown()))


def main():
    chosen = arguments()
    place, tally, began = Place(), Tally(), time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(chosen, place, tally)
    except KeyboardInterrupt:
        print("stopped")
    finally:
        place.remove()
    report(chosen, tally, time.monotonic() - began)
    return 1 if tally.failed() or not tally.injected() else 0


sys.exit(main())
