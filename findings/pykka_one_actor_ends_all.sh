#!/usr/bin/env bash
# Pykka 4.5.0 on CPython 3.14t: a cancelled coroutine in one actor stops all actors of the process, and nothing
# is logged.
#
# Expected: what an actor raises is logged, and that actor stops; `on_failure` is called, and `on_stop` "is *not*
# called when the actor stops because of an unhandled exception" (the docstring of `on_stop`). In a thread
# `SystemExit` ends that thread.
#
# What happens: so it is for an `Exception`. What is none, `asyncio.CancelledError` since 3.8, or the `SystemExit`
# of `sys.exit()` and of argparse, is taken for the end of the program: `_actor_loop_running` in _actor.py
# calls `ActorRegistry.stop_all()`. All actors run their `on_stop`, none its `on_failure`, and the only trace is
# a line at the level DEBUG. Whoever has asked the actor that raised gets no answer, not even ActorDeadError.
# The documentation does not mention it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pykka==4.5.0

"$folder/venv/bin/python" - <<'PROGRAM'
import asyncio
import importlib.metadata
import logging
import sys
import threading

import pykka

print("Python", sys.version.split()[0], "pykka", importlib.metadata.version("pykka"))
LIMIT = 60


class Lines(logging.Handler):
    def emit(self, record):
        lines.append(record.levelname)


async def fetch():
    task = asyncio.create_task(asyncio.sleep(LIMIT))
    task.cancel()
    await task


def fails():
    raise ValueError


class Account(pykka.ThreadingActor):
    def on_start(self):
        threads[self.actor_urn] = threading.current_thread()

    def on_receive(self, message):
        message()

    def on_failure(self, *_):
        hooks.append("on_failure")

    def on_stop(self):
        hooks.append("on_stop")


def end_one_of_three(message):
    """Return how many other actors live on, which hooks were called, and what was logged."""
    hooks.clear()
    lines.clear()
    one, *others = (Account.start() for _ in range(3))
    one.ask(dict)  # it is in `threads` now
    one.tell(message)
    thread = threads[one.actor_urn]
    thread.join(LIMIT)
    assert not thread.is_alive()
    seen = sum(other.is_alive() for other in others), sorted(hooks), list(lines)
    pykka.ActorRegistry.stop_all(timeout=LIMIT)
    return seen


threads, hooks, lines = {}, [], []
logging.getLogger().addHandler(Lines(logging.INFO))
found = {
    "an Exception": end_one_of_three(fails),
    "a cancelled coroutine": end_one_of_three(lambda: asyncio.run(fetch())),
    "sys.exit()": end_one_of_three(sys.exit),
}
for what, (living, called, logged) in found.items():
    print(f"{what:22}: {living} of 2 other actors live on; called: {called}; logged: {logged}")

ended = (0, ["on_stop"] * 3, [])
as_found = list(found.values()) == [(2, ["on_failure"], ["ERROR"]), ended, ended]
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
