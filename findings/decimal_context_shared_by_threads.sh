#!/usr/bin/env bash
# CPython 3.14.7t, gmpy2 2.3.2: a thread that sets its decimal precision sets that of the thread that has
# started it, too; whether it does depends on what the other thread has computed before.
#
# Expected: "Having separate thread contexts means that threads may make changes (such as
# getcontext().prec=10) without interfering with other threads" (library/decimal, "Working with threads").
# Below it stands that threads start "with a copy of context" where `sys.flags.thread_inherit_context` is
# set, as it is on builds without a GIL: of a copy, too, one would say that it is the thread's own.
#
# What happens: what is copied are the context *variables*. The decimal context is one of their values, and
# the copy has the same object (`current_context` in Modules/_decimal/_decimal.c, `getcontext` in
# _pydecimal.py). Precision, rounding, traps and flags are then those of all threads: results have too few
# digits, without an error. If the starting thread has not used a Decimal yet, there is no value to copy, and
# each thread makes one of its own: so tests of a function alone pass. `asyncio.to_thread` hands on the same
# object on all builds. `localcontext()` in the thread makes a real copy. It is open as gh-141148. gmpy2, which
# has wheels for builds without a GIL, shares its context in the same way.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gmpy2==2.3.2

cat > "$folder/program.py" <<'PROGRAM'
import asyncio
import decimal
import importlib.metadata
import sys
import threading

import gmpy2


def a_third():
    return str(decimal.Decimal(1) / 3)


def short():
    decimal.getcontext().prec = 5


def short_local():
    with decimal.localcontext():
        short()


def short_gmpy2():
    gmpy2.get_context().precision = 20


def run_in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def outer(function):
    """Run `function` in a thread that has a decimal context of its own, and return what it returns."""
    results = []

    def run():
        decimal.setcontext(decimal.Context(prec=28))
        results.append(function())

    run_in_thread(run)
    return results[0]


def after(other, run=run_in_thread):
    run(other)
    return a_third()


async def after_to_thread():
    await asyncio.to_thread(short)
    return a_third()


def after_gmpy2():
    gmpy2.set_context(gmpy2.context())
    run_in_thread(short_gmpy2)
    return gmpy2.get_context().precision


# First of all: this thread has not used a Decimal.
untouched = after(short)
found = {
    "the thread had not used a Decimal": untouched,
    "it had": outer(lambda: after(short)),
    "it had; the other uses localcontext()": outer(lambda: after(short_local)),
    "asyncio.to_thread": outer(lambda: asyncio.run(after_to_thread())),
    "gmpy2's precision, 53 bits at first": outer(after_gmpy2),
}
print("Python", sys.version.split()[0], "gmpy2", importlib.metadata.version("gmpy2"), end=", ")
print("threads inherit contexts:", bool(sys.flags.thread_inherit_context))
for what, seen in found.items():
    print(f"  {what:40} {seen}")

LONG, SHORT = "0." + 28 * "3", "0.33333"
shared = sys.flags.thread_inherit_context
expected = [LONG, SHORT if shared else LONG, LONG, SHORT, 20 if shared else 53]
sys.exit(list(found.values()) != expected)
PROGRAM

if "$folder/venv/bin/python" "$folder/program.py" &&
    "$folder/venv/bin/python" -X thread_inherit_context=0 "$folder/program.py"; then
    echo "as described"
else
    echo "CHANGED"
    exit 1
fi
