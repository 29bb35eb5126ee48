#!/usr/bin/env bash
# PyOrleans 0.2.0 on CPython 3.14t: a grain that works for longer than the idle time-out is deactivated at
# work, and a second one of the same identity works beside it.
#
# Expected: "single-threaded turns", "one logical thread of execution per activation", and one activation
# an identity: that is what a virtual actor is for. Whatever works is not idle.
#
# What happens: the time of the last use is set when a call *ends* (`_invoke` in silo.py), so a grain whose
# call takes longer than `idle_timeout_seconds`, 120 where nothing is said, counts as idle. `on_deactivate`
# runs in another thread while the call goes on (`deactivate_grain` does not take the grain's lock). A call
# that waited for its turn fails with RuntimeError("WorkItemQueue has been stopped"); the next one makes a
# second grain, which does not know what the first has not saved yet. The time-out must be longer than the
# longest call.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyorleans==0.2.0

"$folder/venv/bin/python" - <<'PROGRAM'
import asyncio
import importlib.metadata
import sys
import threading

from pyorleans import Grain, GrainFactory, Silo

print("Python", sys.version.split()[0], "pyorleans", importlib.metadata.version("pyorleans"))
begun, deactivated, over = threading.Event(), threading.Event(), threading.Event()
told = []


class Account(Grain):
    working = False

    def on_deactivate(self, reason):
        if not over.is_set():
            told.append((reason.code.value, self.working))
            deactivated.set()

    def long_call(self):
        self.working = True
        begun.set()
        over.wait()
        self.working = False
        return self

    def call(self):
        return self


async def main():
    silo = Silo(max_workers=4, idle_timeout_seconds=2, collection_interval_seconds=0.1)
    silo.register_grain_class(Account)
    await silo.start()
    account = GrainFactory(silo).get_grain(Account, "4711")
    working = asyncio.ensure_future(account.long_call())
    await asyncio.to_thread(begun.wait)
    waiting = asyncio.ensure_future(account.call())
    ended = await asyncio.to_thread(deactivated.wait, 20)
    other = await account.call() if ended else None
    at_work = not working.done()
    over.set()
    one, refused = await asyncio.gather(working, waiting, return_exceptions=True)
    await silo.stop()
    return one, other, at_work, refused


one, other, at_work, refused = asyncio.run(main())
print("deactivated (why, at work):", *told)
print("a second grain of the same identity answered while the first worked:", at_work and one is not other)
print("the call that waited for its turn:", repr(refused))

as_found = (
    told[:1] == [("activation_idle", True)]
    and at_work
    and isinstance(other, Account)
    and one is not other
    and isinstance(refused, RuntimeError)
)
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
