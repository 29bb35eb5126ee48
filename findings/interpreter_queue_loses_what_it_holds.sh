#!/usr/bin/env bash
# CPython 3.14.7: what an interpreter has put into a queue of `concurrent.interpreters`, and nobody has taken yet,
# is gone when that interpreter ends; so leaving `with InterpreterPoolExecutor()` empties the queue of its tasks'
# results, and `get()` gives a placeholder for each of them.
#
# Expected: "most objects are copied" when they are put, and the queue "implements the `queue.Queue` interface"
# (library/concurrent.interpreters). What is in a queue is the queue's: it outlives whoever has put it, as with a
# pool of threads and `queue.Queue`, or a pool of processes and a queue of `multiprocessing`.
#
# What happens: an item stays bound to the interpreter that put it, str and int too. When that one is closed each of
# its items becomes UNBOUND, an object that `get()` returns as if it had been put. `qsize()` is what it was, and
# nothing is raised or logged. The documentation mentions neither; the name, and the argument `unbounditems`
# that makes `get()` raise, are in the private module `concurrent.interpreters._queues` alone. It is so on
# builds with a GIL and without one. What is taken before the pool ends is whole, and so are results of futures.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
free=$(tools/python 3.14t)
gil=$(tools/python 3.14)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/program.py" <<'PROGRAM'
import queue
import sys
from concurrent import interpreters
from concurrent.futures import InterpreterPoolExecutor, ThreadPoolExecutor

KEYS = ("a", "b")


def work(results, key):
    for number in range(3):
        results.put((key, number))
    return key


def through(pool_class, results):
    """Have a pool put six results; return what is in the queue in its `with`, and after it."""
    with pool_class(2) as pool:
        futures = [pool.submit(work, results, key) for key in KEYS]
        done = [future.result() for future in futures]
        first = [results.get(timeout=60) for _ in KEYS]
    size = results.qsize()
    return done, first, size, [results.get(timeout=60) for _ in range(size)]


def kinds(items):
    return sorted({type(item).__name__ for item in items})


print("Python", sys.version.split()[0], "GIL", sys._is_gil_enabled())
seen = {
    "threads": through(ThreadPoolExecutor, queue.Queue()),
    "interpreters": through(InterpreterPoolExecutor, interpreters.create_queue()),
}
for name, (done, first, size, rest) in seen.items():
    print(f"{name:12}: futures {done}; in `with` {kinds(first)}; after it {size} items, {kinds(rest)}")
print("after it, of interpreters:", seen["interpreters"][3])
print("UNBOUND is public:", hasattr(interpreters, "UNBOUND"))

found = {name: (done, kinds(first), size, kinds(rest)) for name, (done, first, size, rest) in seen.items()}
as_found = found == {
    "threads": (["a", "b"], ["tuple"], 4, ["tuple"]),
    "interpreters": (["a", "b"], ["tuple"], 4, ["UnboundQueueItem"]),
} and not hasattr(interpreters, "UNBOUND")
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
"$free" "$folder/program.py"
"$gil" "$folder/program.py"
