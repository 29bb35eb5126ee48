#!/usr/bin/env bash
# RLoop 0.5.0 on CPython 3.14t, an event loop for asyncio: a closed loop takes what threads hand to it, and says
# nothing; an exception handler is called with one argument; `sys.exit()` in a callback ends nothing.
#
# Expected: what asyncio does, and uvloop 0.23.0. `call_soon_threadsafe` raises RuntimeError "if called on a loop
# that's been closed" (asyncio's documentation), by which a thread knows that nobody will answer it;
# `set_exception_handler` takes "a callable with the signature (loop, context)"; SystemExit leaves `run_forever`.
#
# What happens: a thread that hands its result to a loop that has just been closed goes on as if somebody had
# taken it, and `asyncio.run_coroutine_threadsafe` gives it a future that is never done. A handler of the
# documented form raises TypeError, so that it hears of no error (exc.py: `handler(context)`).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check rloop==0.5.0 uvloop==0.23.0

"$folder/venv/bin/python" - <<'PROGRAM'
import asyncio
import importlib.metadata
import logging
import sys
import threading

import rloop
import uvloop

logging.getLogger("asyncio").setLevel(logging.CRITICAL)
print("Python", sys.version.split()[0], *(f"{name} {importlib.metadata.version(name)}" for name in ("rloop", "uvloop")))


def handed_to_a_closed_loop(loop):
    """Return what a thread gets that has a result for a loop that is closed."""
    loop.close()
    got = []

    def hand():
        try:
            loop.call_soon_threadsafe(print, "never printed")
            got.append("nothing")
        except RuntimeError as error:
            got.append(f"RuntimeError: {error}")

    thread = threading.Thread(target=hand)
    thread.start()
    thread.join()
    return got[0]


def heard_of_an_error(loop):
    """Return what an exception handler hears of a callback that raises."""
    heard = []
    loop.set_exception_handler(lambda loop, context: heard.append(repr(context["exception"])))
    loop.call_soon(lambda: 1 / 0)
    loop.call_later(0.05, loop.stop)
    loop.run_forever()
    return heard


def left_by_exit(loop):
    """Return whether `sys.exit()` in a callback leaves the loop."""
    loop.call_soon(sys.exit)
    loop.call_later(0.05, loop.stop)
    try:
        loop.run_forever()
    except SystemExit:
        return True
    return False


found = {}
for name, new_loop in (("asyncio", asyncio.new_event_loop), ("uvloop", uvloop.new_event_loop), ("rloop", rloop.new_event_loop)):
    last = new_loop()
    asyncio.set_event_loop(last)
    first = heard_of_an_error(last), left_by_exit(last)
    found[name] = handed_to_a_closed_loop(last), *first
    print(f"{name}: handed to it closed: {found[name][0]}; its handler heard of {found[name][1]}; left by exit: {found[name][2]}")

closed = "RuntimeError: Event loop is closed"
error = ["ZeroDivisionError('division by zero')"]
as_found = found == {
    "asyncio": (closed, error, True),
    "uvloop": (closed, error, True),
    "rloop": ("nothing", [], False),
}
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
