#!/usr/bin/env bash
# CPython 3.14.7t: threads that have ended, and were joined, are listed by `threading.enumerate()` as alive, if what
# they had in a `threading.local` logs a line as it is let go of.
#
# Expected: `threading.enumerate()` has "all Thread objects currently alive" and "excludes terminated threads"
# (library/threading). A `threading.local` lets go of a thread's objects when that thread ends; the usual use is
# a connection for each thread, and a connection that says in the log that it was closed.
#
# What happens: the thread takes itself off the list first, and its `threading.local` is emptied after that. Each
# record of `logging` asks for `threading.current_thread()`, which finds nothing under the thread's ident any
# more, and lists a `_DummyThread` of it. Since 3.13 those are taken off when their thread ends, but by an object in
# a `threading.local` too, and for this one it is too late. They stay until another thread gets the same ident:
# `is_alive()` is true, `join()` raises RuntimeError, `active_count()` counts them. Whatever looks for threads that
# a test has left behind finds some. The line itself has the name `Dummy-1` in the place of the thread's. It is so
# on all builds; an object that is let go of before its thread's function returns leaves nothing.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/program.py" <<'PROGRAM'
import logging
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

THREADS = 4
names, own = [], threading.local()


class Names(logging.Handler):
    def emit(self, record):
        names.append(record.threadName)


class Connection:
    def __del__(self):
        logging.info("closed")


def use(forget):
    """Have four threads of a pool open a connection each, and end; return which threads are left."""
    names.clear()
    all_have_one = threading.Barrier(THREADS)

    def connect(_):
        own.connection = Connection()
        all_have_one.wait()
        if forget:
            del own.connection

    with ThreadPoolExecutor(THREADS, thread_name_prefix="io") as pool:
        list(pool.map(connect, range(THREADS)))
    left = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    running = len(os.listdir("/proc/self/task")) - 1 if os.path.isdir("/proc/self/task") else 0
    return left, running, sorted(name.split("-")[0].split("_")[0] for name in names)


def joined(thread):
    try:
        thread.join()
    except RuntimeError as error:
        return str(error)
    return "joined"


logging.basicConfig(level=logging.INFO, handlers=[Names()])
print("Python", sys.version.split()[0], "GIL", sys._is_gil_enabled())
in_time, nothing_runs, by_name = use(forget=True)
print(f"closed by their threads: {len(in_time)} threads listed, {nothing_runs} run; logged by {by_name}")
left, still_nothing_runs, logged = use(forget=False)
alive = sum(thread.is_alive() for thread in left)
errors = sorted({joined(thread) for thread in left})
print(f"closed at their ends: {len(left)} listed, {alive} alive, {still_nothing_runs} run; {errors}; logged by {logged}")

as_found = (
    (len(in_time), nothing_runs, by_name) == (0, 0, ["io"] * THREADS)
    and (len(left), alive, still_nothing_runs) == (THREADS, THREADS, 0)
    and (errors, logged) == (["cannot join a dummy thread"], ["Dummy"] * THREADS)
)
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
"$python" "$folder/program.py"
