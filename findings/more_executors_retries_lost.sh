#!/usr/bin/env bash
# more-executors 2.11.4: leaving `with ….with_retry()` leaves futures that never end.
#
# Expected: an executor's `with` waits, at its end, until all that was submitted is done; so says
# concurrent.futures, and a wrapper that retries should wait for its retries, or cancel them.
#
# What happens: a thread of the wrapper's own hands each task to the wrapped executor, and each retry
# when it is due. shutdown() ends that thread at once (`_submit_loop` in _impl/retry.py), waits for
# the wrapped executor, which is idle, and returns. A task that failed and waits for its next try is
# neither tried again nor cancelled nor failed: its future stays pending, and whoever waits for its
# result waits for ever. One that was not yet handed over never runs at all.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check more-executors==2.11.4 six==1.17.0

"$folder/venv/bin/python" - <<'PROGRAM'
import importlib.metadata
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait

from more_executors import Executors

print("Python", sys.version.split()[0], "more-executors", importlib.metadata.version("more-executors"))
logging.getLogger("RetryExecutor").setLevel(logging.CRITICAL)  # it logs the failure
tries = []
tried = threading.Event()


def fails_once():
    tries.append(len(tries))
    tried.set()
    if len(tries) == 1:
        raise LookupError("the first try")
    return "done"


with Executors.thread_pool(max_workers=1).with_retry(max_attempts=3, sleep=0.5) as retrying:
    future = retrying.submit(fails_once)
    tried.wait()
wait([future], timeout=5)
print(f"failed once, to be tried again in 0.5 s; 5 s after `with`: {len(tries)} try, {future}")

never = 0
for _ in range(20):
    ran = threading.Event()
    with Executors.thread_pool(max_workers=1).with_retry() as retrying:
        retrying.submit(ran.set)
    never += not ran.is_set()
print(f"submitted, and `with` left at once: {never} of 20 tasks never ran (a race)")

with ThreadPoolExecutor(1) as standard:
    plain = standard.submit(int)
print("beside it, ThreadPoolExecutor: done is", plain.done())

as_found = not future.done() and len(tries) == 1 and plain.done()
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
