#!/usr/bin/env bash
# CPython 3.14.7: `Executor.map(…, buffersize=…)` gives the first results, and then ends as if there were
# no more.
#
# Expected: `buffersize`, new in 3.14, makes `map` lazy ("if the buffer is full, iteration over the
# iterables pauses until a result is yielded"). The results are the same; should the executor be gone by
# then, there is RuntimeError("cannot schedule new futures after shutdown").
#
# What happens: the iterator has only a weak reference to its executor (`result_iterator` in
# concurrent/futures/_base.py), and takes its being gone for the end of the input. A function that returns
# `executor.map(…)`, inside a `with` or without one, gives as many results as the buffer has room for: no
# error, no warning, and all hundred of them without `buffersize`. Where the executor is shut down and
# still referenced, RuntimeError comes, and the results that are there already are thrown away. The
# documentation of `map` does not mention the executor's life. It is open as gh-146392.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/program.py" <<'PROGRAM'
import sys
from concurrent.futures import ThreadPoolExecutor

NUMBERS = range(100)


def held_by_nobody(**options):
    return ThreadPoolExecutor(2).map(abs, NUMBERS, **options)


def returned_from_with(**options):
    with ThreadPoolExecutor(2) as executor:
        return executor.map(abs, NUMBERS, **options)


def begun_in_with(**options):
    with ThreadPoolExecutor(2) as executor:
        results = executor.map(abs, NUMBERS, **options)
        first = next(results)
    return [first, *results]


def count(program, **options):
    try:
        return len(list(program(**options)))
    except RuntimeError as error:
        return repr(error)


print("Python", sys.version)
found = {
    program.__name__: (count(program), count(program, buffersize=4))
    for program in (held_by_nobody, returned_from_with, begun_in_with)
}
for name, (plain, buffered) in found.items():
    print(f"{name:18}: {plain} results; with buffersize=4: {buffered}")

as_found = found == {
    "held_by_nobody": (100, 4),
    "returned_from_with": (100, 4),
    "begun_in_with": (100, "RuntimeError('cannot schedule new futures after shutdown')"),
}
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
"$python" "$folder/program.py"
