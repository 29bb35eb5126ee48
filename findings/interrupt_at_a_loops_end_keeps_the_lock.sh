#!/usr/bin/env bash
# CPython 3.14.7 and 3.13.15, with and without the GIL: an interrupt at the end of a loop within `with lock:` leaves the
# lock held, if the loop's body ends with an `if`.
#
# Expected: `with` leaves its lock however its body ends, by Ctrl-C, too (reference/compound_stmts). What is known
# is the moment before the body begins; within the body a `KeyboardInterrupt` is an exception like others.
#
# What happens: signal handlers run where a loop jumps back. Where the last thing of its body is an `if`, a `continue`
# or a `while`'s condition, the compiler makes a jump backwards of the jump that ends it, and this instruction gets no
# entry in the table of exception handlers (gh-108214, open since 2023). An interrupt that comes there passes the
# `with`, and a `try` with its `finally` in the same way: the lock stays held, and the next thread that wants it waits
# for ever. With one statement behind the `if`, the same loop releases it. An interrupt falls there the likelier the
# shorter the body is: in a loop that looks for something, at each item that is not it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/program.py" <<'PROGRAM'
import _thread
import itertools
import sys
import threading


def if_comes_last(lock, items):
    with lock:
        for item in items:
            if item:
                len("")


def if_comes_first(lock, items):
    with lock:
        for item in items:
            if item:
                len("")
            last = item
        return last


def finally_of_a_try(lock, items):
    lock.acquire()
    try:
        for item in items:
            if item:
                len("")
    finally:
        lock.release()


def held(function):
    """Interrupt at the end of the first, second and third round; return in how many the lock stays held."""
    count = 0
    for rounds in range(3):
        lock = threading.Lock()
        # It comes due within the instruction that asks for the next item, and so is raised at that round's end.
        due = itertools.starmap(_thread.interrupt_main, [()])
        try:
            function(lock, itertools.chain([0] * rounds, due, [0, 0]))
        except KeyboardInterrupt:
            count += lock.locked()
        else:
            raise AssertionError("no interrupt came")
    return count


print("Python", sys.version.split()[0], "GIL", sys._is_gil_enabled())
counts = [held(function) for function in (if_comes_last, if_comes_first, finally_of_a_try)]
print("held after an interrupt, of 3: with, an if last: %d; with, an if first: %d; try, an if last: %d" % tuple(counts))
as_found = counts == [3, 0, 3]
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
for version in 3.14t 3.13t 3.14; do
    "$(tools/python "$version")" "$folder/program.py"
done
