#!/usr/bin/env bash
# structlog 26.1.0 and dask 2026.8.0 on CPython 3.14t: a thread pool goes on logging as the request
# that started its threads.
#
# Expected: contextvars do not reach the threads of a ThreadPoolExecutor (so it is up to 3.13, and on
# 3.14 with a GIL), or those of the task's submitter do (as with asyncio.to_thread).
#
# What happens: neither. On free-threaded builds from 3.14 a thread begins with a copy of the context
# of whoever starts it (sys.flags.thread_inherit_context), and a ThreadPoolExecutor starts a thread
# when a task comes and none is idle. So each thread keeps, for its life, what the submitter of its
# first task had bound: request B's tasks log with request A's fields, and so do those of no request.
# In a first test, where all threads are new, it looks as if contexts arrived.
#
# dask crosses this: its own default pool is a ContextAwareThreadPoolExecutor, whose tasks have the
# context of the computation; the same computation on `pool=ThreadPoolExecutor()` has the stale one.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check structlog==26.1.0 dask==2026.8.0 \
    click==8.5.1 cloudpickle==3.1.3 fsspec==2026.9.0 packaging==26.4 partd==1.4.2 locket==1.0.0 \
    pyyaml==6.0.4 toolz==1.2.0

cat > "$folder/program.py" <<'PROGRAM'
import importlib.metadata
import sys
from concurrent.futures import ThreadPoolExecutor

import dask
from structlog.contextvars import bound_contextvars, get_contextvars

versions = {name: importlib.metadata.version(name) for name in ("structlog", "dask")}
inherits = sys.flags.thread_inherit_context
print("Python", sys.version.split()[0], versions, "thread_inherit_context", inherits)


def by_request(look):
    """Return what tasks of two requests, and of none, find bound."""
    seen = []
    for request in "AB":
        with bound_contextvars(request=request):
            seen.append(look().get("request"))
    return [*seen, look().get("request")]


def computed(**options):
    return dask.compute(dask.delayed(get_contextvars)(), **options)[0]


with ThreadPoolExecutor(1) as plain, ThreadPoolExecutor(1) as own:
    found = {
        "ThreadPoolExecutor": by_request(lambda: plain.submit(get_contextvars).result()),
        "dask, own pool": by_request(lambda: computed(pool=own)),
        "dask, default pool": by_request(lambda: computed()),
    }
for where, seen in found.items():
    print(f"{where:20} in request A: {seen[0]}, in request B: {seen[1]}, in none: {seen[2]}")

stale = ["A", "A", "A"] if inherits else [None, None, None]
as_found = found == {
    "ThreadPoolExecutor": stale,
    "dask, own pool": stale,
    "dask, default pool": ["A", "B", None],
}
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
echo "The same with what builds with a GIL do by default:"
"$folder/venv/bin/python" -X thread_inherit_context=0 "$folder/program.py"
