#!/usr/bin/env bash
# persist-queue 1.1.0 on CPython 3.14t: one thread's `task_done()` takes what all other threads still work on off
# the disk; if the program ends then, it is lost.
#
# Expected: a "thread-safe, disk-based queue" that survives "process crashes and restarts" (its README). With
# `get` and `task_done` as in `queue.Queue`, where each call stands for one item: the README's program for several
# threads calls `task_done()` after each item, and "the change is only persisted when task_done() is called" (the
# docstring of Queue). So an item for which nobody has said `task_done()` is there again after a restart.
#
# What happens: `task_done()` does not know of which item. The queue in files saves how far all threads together
# have read; the one in SQLite with `auto_commit=False` deletes all rows up to the last that any thread has got. So
# the quick one's call stands for the slow one's item, too: right with one thread, and never with two. `join()`
# counts calls, so that nothing shows it until a restart. SQLiteAckQueue, whose `ack` names the item, keeps it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check persist-queue==1.1.0

cat > "$folder/program.py" <<'PROGRAM'
import importlib.metadata
import os
import sys
import threading
from multiprocessing import get_context

import persistqueue

FOLDER = sys.argv[1]
KINDS = {
    "Queue": persistqueue.Queue,
    "SQLiteQueue": lambda path: persistqueue.SQLiteQueue(path, auto_commit=False, multithreading=True),
    "SQLiteAckQueue": lambda path: persistqueue.SQLiteAckQueue(path, multithreading=True),
}


def program(kind, path):
    """Put three items, have two threads get one each, and end while the first is at work."""
    queue = KINDS[kind](path)
    for item in ("first", "second", "third"):
        queue.put(item)
    if kind == "SQLiteQueue":
        queue.task_done()  # which saves what was put, too
    at_work, never = threading.Event(), threading.Event()

    def slow():
        queue.get()
        at_work.set()
        never.wait()
        queue.task_done()

    def quick():
        item = queue.get()
        queue.ack(item) if kind == "SQLiteAckQueue" else queue.task_done()

    threading.Thread(target=slow, daemon=True).start()
    at_work.wait()
    other = threading.Thread(target=quick)
    other.start()
    other.join()
    os._exit(0)


def after_a_restart(kind, path):
    """Run the program, and return what a new queue of the same folder has."""
    first = get_context("spawn").Process(target=program, args=(kind, path))
    first.start()
    first.join()
    assert first.exitcode == 0
    queue, items = KINDS[kind](path), []
    while True:
        try:
            items.append(queue.get(block=False))
        except persistqueue.Empty:
            return items


if __name__ == "__main__":
    print("Python", sys.version.split()[0], "persist-queue", importlib.metadata.version("persist-queue"))
    found = {kind: after_a_restart(kind, f"{FOLDER}/{kind}") for kind in KINDS}
    for kind, items in found.items():
        print(f"{kind:14}: the first at work, the second done, after a restart there is: {items}")

    as_found = found == {
        "Queue": ["third"],
        "SQLiteQueue": ["third"],
        "SQLiteAckQueue": ["first", "third"],
    }
    print("as described" if as_found else "CHANGED")
    sys.exit(not as_found)
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" "$folder"
