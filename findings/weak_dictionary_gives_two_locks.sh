#!/usr/bin/env bash
# CPython 3.14.7t: a `WeakValueDictionary` of locks, one for each key, gives two threads two locks for one key.
#
# Expected: `locks.setdefault(key, Lock())` is how one lock for each key is had, and a `WeakValueDictionary`
# forgets those that nobody holds. For a dict `setdefault` is "safe to call from multiple threads": "insert if
# missing" (library/threadsafety). And 3.14 made `WeakValueDictionary` "safe against concurrent mutations from
# other threads" (its change log, gh-89967).
#
# What happens: `WeakValueDictionary.setdefault` (Lib/weakref.py) looks, and then stores. Two threads that look at
# the same moment both store, and each returns its own lock: both are in the section that one lock was to
# guard, and neither hears of it. That it was made safe means that iterating over it does not raise. It is so
# with a GIL, too. A plain dict gives one lock, and keeps it for ever.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/program.py" <<'PROGRAM'
import sys
import threading
from weakref import WeakValueDictionary

KEYS = range(2000)


def keys_with_two_locks(locks):
    """Have four threads take the lock of each key in turn; return for how many keys they differ."""
    start, taken = threading.Barrier(4), []

    def take():
        start.wait()
        taken.append([locks.setdefault(key, threading.Lock()) for key in KEYS])

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(len(set(of_key)) > 1 for of_key in zip(*taken, strict=True))


def until_found(make, limit):
    """Repeat until a key had two locks; return how often, and how many keys had."""
    for rounds in range(1, limit + 1):
        if found := keys_with_two_locks(make()):
            return rounds, found
    return limit, 0


print("Python", sys.version)
weak, plain = until_found(WeakValueDictionary, 5000), until_found(dict, 100)
print(f"WeakValueDictionary: {weak[1]} keys of {len(KEYS)} had two locks, in round {weak[0]}")
print(f"dict: {plain[1]} in {plain[0]} rounds")

as_found = weak[1] > 0 and plain == (100, 0)
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
"$python" "$folder/program.py"
