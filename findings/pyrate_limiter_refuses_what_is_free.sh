#!/usr/bin/env bash
# pyrate-limiter 4.5.1 on CPython 3.14t: `try_acquire(key, blocking=False)` returns False while another thread asks the
# same limiter, for whatever key: 739 to 2,207 of 4,000 tries are refused, with a million permits free.
#
# Expected: `blocking=False` "returns False immediately when the bucket is full", with the example
# `print("rate limited!")` (its README). A limiter is "thread-safe via RLock", and has "per-key limits": with a bucket
# for each key, as in the README's PerNameFactory, a key whose bucket is empty gets its permit, whatever other threads
# ask for other keys.
#
# What happens: `blocking=False` is passed on to the limiter's one lock. `combined_lock` in limiter.py raises
# TimeoutError where another thread holds it, and `try_acquire` makes the False of a full bucket of that; so does
# `timeout=0`. The caller cannot tell the two, and nothing is logged above DEBUG. The lock is held while the factory
# asks its clock, and the bucket its store: with a clock in Redis, as in the README, or a bucket in SQLite or Postgres,
# for a round trip. Builds with a GIL refuse what is free, too, above all where that is waited for. With a timeout
# that is not 0 all tries get their permits.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyrate-limiter==4.5.1

"$folder/venv/bin/python" - <<'PROGRAM'
import importlib.metadata
import sys
import threading

from pyrate_limiter import BucketFactory, Duration, InMemoryBucket, Limiter, MonotonicClock, Rate, RateItem

print("Python", sys.version.split()[0], "pyrate-limiter", importlib.metadata.version("pyrate-limiter"))
MANY = Rate(1_000_000, Duration.HOUR)
TRIES, ROUNDS, LIMIT = 2000, 50, 60


class PerNameFactory(BucketFactory):
    """As in the README."""

    def __init__(self, clock):
        self.clock = clock
        self.buckets = {}

    def wrap_item(self, name, weight=1):
        return RateItem(name, self.clock.now(), weight=weight)

    def get(self, item):
        if item.name not in self.buckets:
            self.buckets[item.name] = self.create(InMemoryBucket, [MANY])
        return self.buckets[item.name]


class SharedClock(MonotonicClock):
    """A clock that is asked over the network: the first answer takes until `answer`."""

    def now(self):
        if not asked.is_set():
            asked.set()
            assert answer.wait(LIMIT)
        return super().now()


def in_threads(*functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    return threads


# One thread asks for "a"; while the clock's answer is under way, another one asks for "b".
asked, answer = threading.Event(), threading.Event()
first = []
with Limiter(PerNameFactory(SharedClock())) as limiter:
    (thread,) = in_threads(lambda: first.append(limiter.try_acquire("a", blocking=False)))
    assert asked.wait(LIMIT)
    meanwhile = [limiter.try_acquire("b", blocking=False), limiter.try_acquire("b", timeout=0)]
    answer.set()
    thread.join()
    later = limiter.try_acquire("b", blocking=False)
    held = {name: bucket.count() for name, bucket in limiter.bucket_factory.buckets.items()}
print(f"while one thread asks for a, another asks for b: {meanwhile}; after that: {later}; permits taken: {held}")


def refused(**how):
    """Have two threads ask for two thousand permits each of a million; return how many are refused."""
    both, counts = threading.Barrier(2), []

    def ask():
        both.wait()
        counts.append(sum(not limiter.try_acquire("a", **how) for _ in range(TRIES)))

    with Limiter(MANY) as limiter:
        for thread in in_threads(ask, ask):
            thread.join()
        assert limiter.buckets()[0].count() == 2 * TRIES - sum(counts)
    return sum(counts)


rounds, without = 0, 0
while rounds < ROUNDS and not without:
    rounds += 1
    without = refused(blocking=False)
waiting = refused(timeout=10)
print(f"of {2 * TRIES} tries in two threads are refused: {without} with blocking=False, {waiting} with timeout=10")

as_found = (
    (first, meanwhile, later, held) == ([True], [False, False], True, {"a": 1, "b": 1}) and without > 0 and not waiting
)
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
