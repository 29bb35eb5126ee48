#!/usr/bin/env bash
# CPython 3.14.7t: an attribute in `__slots__` takes other threads longer than one in `__dict__`, until somebody has made
# a weak reference to its value.
#
# Expected: `__slots__` "can significantly improve attribute lookup speed" (reference/datamodel), and an object that
# all threads only read needs no lock.
#
# What happens: to have a reference of an object that another thread has made, a thread counts it in a field of its
# own, which it may do without a lock only once that field is in use: somebody else holds it there, or it has
# had a weak reference. The slots' descriptor (`PyMember_GetOne`) takes the instance's lock instead, counts, and
# leaves the field unused when the reference is dropped: so the next read takes the lock again, each time, and
# leaves the specialized instruction. An instance's `__dict__` does so for the first read alone, and has the
# value marked for the next ones. So do lists and dicts. A weak reference that is made to the value, and dropped at
# once, marks it, too. The thread that made the value sees none of it, nor does a build with the GIL.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/program.py" <<'PROGRAM'
import statistics
import sys
import threading
import time
import weakref

READS = 200_000


class Value:
    """What is in the attribute."""


class InSlots:
    __slots__ = ("value",)


class InDict:
    pass


def read(holder, took):
    began = time.thread_time_ns()
    for _ in range(READS):
        holder.value
    took.append((time.thread_time_ns() - began) / READS)


def in_another_thread(holder, took):
    thread = threading.Thread(target=read, args=(holder, took))
    thread.start()
    thread.join()


def took(kind, run=in_another_thread, *, marked=False):
    """Return the nanoseconds that a read takes, of several runs the middle one."""
    found = []
    for _ in range(9):
        holder = kind()
        holder.value = Value()
        if marked:
            weakref.ref(holder.value)
        run(holder, found)
    return statistics.median(found)


print("Python", sys.version)
took(InSlots), took(InDict)
slots, in_dict, marked = took(InSlots), took(InDict), took(InSlots, marked=True)
print(f"by the thread that has made the value: slots {took(InSlots, read):.0f} ns, dict {took(InDict, read):.0f}")
print(f"by another thread: slots {slots:.0f} ns, dict {in_dict:.0f}, slots after a weak reference {marked:.0f}")

as_found = slots > 1.3 * in_dict and slots > 1.3 * marked
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
"$python" "$folder/program.py"
