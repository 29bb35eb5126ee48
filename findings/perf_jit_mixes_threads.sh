#!/usr/bin/env bash
# CPython 3.14.7t: what `-X perf_jit` writes for perf is unreadable once two threads call new functions at once.
#
# Expected: `python -X perf_jit` writes down where each function is, as it is first called, so that `perf
# inject --jit` and `perf report` can name it, in programs with threads, too. So it is with a GIL. The
# documentation ("Python support for the Linux perf profiler") has no word about threads, and the file's
# writer makes a lock whose comment says that it is for several threads (Python/perf_jit_trampoline.c).
#
# What happens: nothing takes that lock, but for the end of the process. A record is written in seven parts
# (`perf_map_jit_write_entry`). On a free-threaded build the parts of two threads are mixed. Readers go from
# record to record by their sizes, so that all that comes after it is lost, or is given a wrong name: perf
# says "next_entry: unknown record type", and goes on with status 0. Below, each of four threads calls 500
# functions for the first time; the file has the right size, and names less than all 2,000, in some of 20
# runs. Only calls that are a function's first are written: a program's first second spoils its whole
# profile. It is the same on 3.13.15t. A change that takes the lock was proposed (python/cpython#143965, of
# January 2026) and closed.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
free=$(tools/python 3.14t) with_gil=$(tools/python 3.14)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/program.py" <<'PROGRAM'
import threading

THREADS, EACH = 4, 500
start = threading.Barrier(THREADS)


def new_functions(number):
    made = {}
    exec("".join(f"def new_{number}_{each}(): pass\n" for each in range(EACH)), made)
    return [made[f"new_{number}_{each}"] for each in range(EACH)]


def run(functions):
    start.wait()
    for function in functions:
        function()


threads = [threading.Thread(target=run, args=(new_functions(n),)) for n in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
PROGRAM

cat > "$folder/look.py" <<'PROGRAM'
import os
import pathlib
import struct
import subprocess
import sys

RUNS, FUNCTIONS, CODE = 20, 2000, 0


def names(dump):
    """Yield the names that are in a dump, up to a record of a type that perf does not know."""
    at = struct.unpack_from("<3I", dump)[2]
    while at + 16 <= len(dump):
        kind, size = struct.unpack_from("<2I", dump, at)
        if kind > 4 or size < 16:
            return
        if kind == CODE:
            yield dump[at + 56 : at + size].partition(b"\0")[0]
        at += size


def look(python):
    program = subprocess.Popen([python, "-X", "perf_jit", sys.argv[3]])
    if program.wait():
        sys.exit("the program failed")
    path = pathlib.Path(f"/tmp/jit-{program.pid}.dump")
    dump = path.read_bytes()
    path.unlink()
    return len(dump), len({name for name in names(dump) if name.startswith(b"py::new_")})


spoilt = []
for python in sys.argv[1:3]:
    version = subprocess.run([python, "-VV"], capture_output=True, text=True).stdout.strip()
    looks = [look(python) for _ in range(RUNS)]
    spoilt.append(sum(named < FUNCTIONS for _, named in looks))
    print(version)
    print(f"  {spoilt[-1]} of {RUNS} dumps are spoilt; functions named, of {FUNCTIONS}, at least:",
          min(named for _, named in looks))

as_found = spoilt[0] > 0 and spoilt[1] == 0
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
"$with_gil" "$folder/look.py" "$free" "$with_gil" "$folder/program.py"
