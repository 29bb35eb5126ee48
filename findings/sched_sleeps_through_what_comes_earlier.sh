#!/usr/bin/env bash
# CPython 3.14.7: a scheduler of `sched` that runs in a thread sleeps through what another thread enters for an earlier time.
#
# Expected: "scheduler class can be safely used in multi-threaded environments" (library/sched, since 3.3), and
# `enter(delay, …)` schedules "for delay more time units". So a thread runs the scheduler, others enter what is to be
# done, and each is done at its time. An event that is cancelled is "removed from the queue": there is nothing to wait for.
#
# What happens: `scheduler.run` in Lib/sched.py takes the first time, lets go of its lock, and calls
# `delayfunc(time - now)`, which is `time.sleep`. Neither `enter` nor `cancel` can wake it. An event for 0.1 s is run after
# two, as one for two seconds was there before; and where that one is cancelled meanwhile, `run` returns all the same
# only after two seconds. Nothing is raised, and the queue is right throughout. Whether a timer is late depends on what
# others have entered. It is the same with a GIL and without one.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/program.py" <<'PROGRAM'
import sched
import sys
import threading
import time

LATE, EARLY = 2.0, 0.1


def run(while_it_waits):
    """Run a scheduler with one event in a thread; return when events ran, and when `run` returned."""
    waits, ran, began = threading.Event(), {}, time.monotonic()

    def wait(seconds):
        if seconds:
            waits.set()
        time.sleep(seconds)

    def note(name):
        ran[name] = round(time.monotonic() - began, 1)

    scheduler = sched.scheduler(time.monotonic, wait)
    late = scheduler.enter(LATE, 1, note, ("late",))
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    waits.wait()
    while_it_waits(scheduler, late, note)
    thread.join()
    return ran, round(time.monotonic() - began, 1)


print("Python", sys.version)
ran, _ = run(lambda scheduler, late, note: scheduler.enter(EARLY, 1, note, ("early",)))
print(f"entered for {LATE} s, and then for {EARLY} s; run after:", ran)
cancelled, returned = run(lambda scheduler, late, note: scheduler.cancel(late))
print(f"the only event is cancelled; run: {cancelled}, and the scheduler returned after {returned} s")

as_found = ran["early"] >= LATE and not cancelled and returned >= LATE
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
"$python" "$folder/program.py"
