#!/usr/bin/env bash
# CPython 3.14.7t: a profile of one thread has the calls of all threads in it, and bills the wrong ones.
#
# Expected: cProfile profiles the thread that has enabled it, so that each worker can have a profile of its
# own. So it is on 3.11.
#
# What happens: since 3.12 cProfile uses sys.monitoring, whose events are the interpreter's
# (`_lsprof.Profiler.enable` in Modules/_lsprof.c). Calls of all threads go onto one stack: what another
# thread calls meanwhile seems to be called by this one's function, and the function that returns first is
# billed for the call that was made last. Below, `request` takes a second and its profile says 0.0: it was
# billed for a `handler` that another thread had entered just before. A second profile, in another thread,
# is refused with ValueError (gh-124656). The documentation of `profile` does not mention threads, and
# "What's new in Python 3.12" does not mention the change. It is the same on 3.13t, and with a GIL.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/program.py" <<'PROGRAM'
import cProfile
import pstats
import sys
import threading
import time

entered, left, refused = threading.Event(), threading.Event(), []


def handler():
    entered.set()
    left.wait()


def other_thread():
    try:
        cProfile.Profile().enable()
    except ValueError as error:
        refused.append(repr(error))
    handler()


def request():
    time.sleep(1)
    thread.start()
    entered.wait()


def profiled(function):
    """Return how long `function` took, and the profile's row of it and of `handler`."""
    profile = cProfile.Profile()
    profile.enable()
    began = time.perf_counter()
    function()
    took = time.perf_counter() - began
    left.set()
    thread.join()
    profile.disable()
    rows = {key[2]: (row[0], row[3]) for key, row in pstats.Stats(profile).stats.items()}
    return took, rows["request"], rows.get("handler")


print("Python", sys.version)
thread = threading.Thread(target=other_thread)
took, (calls, billed), others = profiled(request)
print(f"request took {took:.1f} s; by its profile {calls} call, {billed:.1f} s")
print("the other thread's handler, calls and seconds:", others)
print("a profile of the other thread's own:", *refused)

as_found = took > 0.9 and calls == 1 and billed < 0.5 and others and "in use" in str(refused)
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
"$python" "$folder/program.py"
