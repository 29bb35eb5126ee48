#!/usr/bin/env bash
# anyio 4.16.0 (trio 0.35.0) on CPython 3.14t: a CapacityLimiter of one, and five threads run; on trio's
# event loop the same program runs one.
#
# Expected: "limiter: capacity limiter to use to limit the total amount of threads running" (the docstring
# of `to_thread.run_sync`), the same on both event loops. An abandoned thread still runs, so it counts.
#
# What happens: on asyncio the limiter is a context around the *waiting* for the thread
# (`run_sync_in_worker_thread` in _backends/_asyncio.py): when the waiting task is cancelled, with
# `abandon_on_cancel=True`, the place is free and the next call starts one more thread. On trio the thread
# itself gives the place back when it ends. While the database of a service hangs, and requests have a
# time-out, there is one more thread for each request on asyncio; on trio all later calls wait, also those
# that would not hang. The docstring says neither.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    anyio==4.16.0 idna==3.20 trio==0.35.0 attrs==26.1.0 outcome==1.3.0.post0 sniffio==1.3.1 \
    sortedcontainers==2.4.0 typing-extensions==4.16.0

"$folder/venv/bin/python" - <<'PROGRAM'
import importlib.metadata
import sys
import threading

import anyio

versions = {name: importlib.metadata.version(name) for name in ("anyio", "trio")}
print("Python", sys.version.split()[0], versions)


async def requests():
    """Give up five calls of one that hangs; return how many hang at once, and what the limiter says."""
    limiter = anyio.CapacityLimiter(1)
    begun, over = threading.Semaphore(0), threading.Event()

    def hang():
        begun.release()
        over.wait()

    for _ in range(5):
        with anyio.move_on_after(0.5):
            await anyio.to_thread.run_sync(hang, limiter=limiter, abandon_on_cancel=True)
    hanging = 0
    while begun.acquire(timeout=1):
        hanging += 1
    borrowed = limiter.borrowed_tokens
    over.set()
    return hanging, borrowed


found = {loop: anyio.run(requests, backend=loop) for loop in ("asyncio", "trio")}
for loop, (hanging, borrowed) in found.items():
    print(f"{loop:7}: a limiter of 1, five calls given up: {hanging} threads hang, {borrowed} counted")

as_found = found == {"asyncio": (5, 0), "trio": (1, 1)}
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
