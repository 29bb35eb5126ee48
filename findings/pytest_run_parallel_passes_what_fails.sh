#!/usr/bin/env bash
# pytest-run-parallel 0.10.0, pytest 9.2.0 on CPython 3.14t: with `--parallel-threads=4` a test passes that fails
# without it: one that `python -W error` makes fail; and one is skipped that fails on three of its four threads.
#
# Expected: what runs a test on several threads reports it as failed if it fails on one of them. That is what the
# plugin is for: it is how extension modules are tested on free-threaded builds.
#
# What happens: the function that each thread runs (`wrap_function_parallel` in plugin.py) has `except Warning:
# pass` before it looks for errors, and a warning that a filter makes an error is raised as an exception. So a
# suite with `filterwarnings = error` has no such failure in parallel, whatever warns. Of the threads' outcomes a
# skip is looked for first, so that one thread that skips hides the failures of all others; and of the rest,
# `pytest.fail` hides what else was raised.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    pytest-run-parallel==0.10.0 pytest==9.2.0 iniconfig==2.3.1 packaging==26.4 pluggy==1.7.0 pygments==2.21.0

cat > "$folder/test_outcomes.py" <<'PROGRAM'
import itertools
import threading
import warnings

import pytest

turn, lock = itertools.count(), threading.Lock()


def total(numbers):
    warnings.warn("total() goes in 2.0", DeprecationWarning, stacklevel=2)
    return sum(numbers)


def test_what_warns():
    assert total([1, 2]) == 3


def test_what_warns_and_is_wrong():
    assert total([1, 2]) == 4


def test_one_thread_skips_and_the_others_fail():
    with lock:
        number = next(turn)
    if number % 4 == 0:
        pytest.skip("not for the first thread")
    assert number < 0
PROGRAM

"$folder/venv/bin/python" -c 'import sys; print("Python", sys.version.split()[0])'
run() {
    { "$folder/venv/bin/python" -W error -m pytest -q -p no:cacheprovider --tb=no "$@" "$folder/test_outcomes.py" \
        2>&1 || true; } | grep -E '^[0-9].* in ' | sed 's/ in [0-9.]*s//'
}
alone=$(run)
parallel=$(run --parallel-threads=4)
echo "python -W error -m pytest: $alone; with --parallel-threads=4: $parallel"
if [[ $alone == '2 failed, 1 skipped' && $parallel == '2 passed, 1 skipped' ]]; then
    echo "as described"
else
    echo "CHANGED"
    exit 1
fi
