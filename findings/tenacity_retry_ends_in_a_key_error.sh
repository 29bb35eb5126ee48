#!/usr/bin/env bash
# tenacity 9.2.1 on CPython 3.14t: a function with `@retry` that several threads call raises KeyError now and
# then, in the place of trying again.
#
# Expected: a decorated function may be called by any thread. "The values in this dictionary are local to the
# thread running call" (the docstring of `statistics`).
#
# What happens: all calls of a decorated function keep their statistics in one dictionary, and each call
# clears it when it begins (`wrapped_f` in __init__.py; in `AsyncRetrying`, tasks of one thread do it to each
# other). So a call in its third attempt reads that it is in its first. Where another call has just cleared
# the dictionary, the attempt that failed cannot count: `self.statistics["idle_for"] += sleep` raises KeyError
# out of the decorated function, which is tried no more. Four threads whose calls all fail need some hundred to
# some thousand calls for that. The same comes always where a generator with `for attempt in Retrying()` goes
# on in another thread than it began in: there the dictionary is a `threading.local`'s, and empty. These are
# open as issues 701 and 507 of jd/tenacity. `Retrying()(function)`, made for each call, has neither.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tenacity==9.2.1

"$folder/venv/bin/python" - <<'PROGRAM'
import importlib.metadata
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import tenacity

print("Python", sys.version.split()[0], "tenacity", importlib.metadata.version("tenacity"))


class Down(Exception):
    pass


POLICY = {"stop": tenacity.stop_after_attempt(3), "retry": tenacity.retry_if_exception_type(Down), "reraise": True}


@tenacity.retry(**POLICY)
def fetch():
    raise Down


def fetch_plainly():
    tenacity.Retrying(**POLICY)(fetch.__wrapped__)


def repeat(call, seconds):
    """Have four threads call until one gets another error than `Down`; return that, or None."""
    over, errors = threading.Event(), []

    def run():
        while not over.is_set():
            try:
                call()
            except Down:
                pass
            except Exception as error:
                errors.append(repr(error))
                over.set()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    over.wait(seconds)
    over.set()
    for thread in threads:
        thread.join()
    return errors[0] if errors else None


def third_attempt():
    """Return which attempt a call in its third one reads, after another thread has begun a call."""
    attempts = []

    @tenacity.retry(**POLICY)
    def fetch(key):
        if key == "b":
            return
        attempts.append(fetch.statistics["attempt_number"])
        if len(attempts) < 3:
            raise Down
        with ThreadPoolExecutor(1) as pool:
            pool.submit(fetch, "b").result()
        attempts.append(fetch.statistics["attempt_number"])

    fetch("a")
    return attempts


def worker():
    for attempt in tenacity.Retrying(**POLICY):
        with attempt:
            yield
            raise Down


def moved():
    """Return what a generator raises that begins in a thread and goes on in another."""
    generator = worker()
    next(generator)
    with ThreadPoolExecutor(1) as pool:
        return repr(pool.submit(next, generator).exception())


found = {
    "@retry, four threads, until it is found": repeat(fetch, 120),
    "Retrying() for each call, four threads, 2 s": repeat(fetch_plainly, 2),
    "attempts; then, after another's call": third_attempt(),
    "a generator that goes on in another thread": moved(),
}
for what, seen in found.items():
    print(f"{what:45}{seen}")

as_found = list(found.values()) == ["KeyError('idle_for')", None, [1, 2, 3, 1], "KeyError('idle_for')"]
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
