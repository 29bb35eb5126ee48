#!/usr/bin/env bash
# pytest 9.2.0 on CPython 3.14t: a thread pool that tests share keeps the warning filters of the test
# that started its threads, also under `python -W error`.
#
# Expected: `filterwarnings` of the configuration and `@pytest.mark.filterwarnings` of a test hold
# for the test that runs, in all threads. So it is on builds with a GIL, where warning filters are the
# process's.
#
# What happens: on free-threaded builds from 3.14 warnings are context-aware and threads inherit
# contexts. The filters that pytest sets for a test are in the test's context; a thread that the test
# starts has a copy of them for its life, later tests' filters do not reach it. One test that ignores a
# warning and happens to be the first to use a session's pool makes all later tests blind to it there:
# whether a warning fails a test depends on the order of the tests. `-W error` does not help, since the
# copied filters come before the interpreter's.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    pytest==9.2.0 iniconfig==2.3.1 packaging==26.4 pluggy==1.7.0 pygments==2.21.0

cat > "$folder/test_pool.py" <<'PROGRAM'
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest


@pytest.fixture(scope="session")
def pool():
    with ThreadPoolExecutor(1) as pool:
        yield pool


def warn():
    warnings.warn("old", UserWarning, stacklevel=1)


@pytest.mark.filterwarnings("ignore:old")
def test_that_ignores_the_warning(pool):
    pool.submit(warn).result()


def test_that_wants_it_as_an_error(pool):
    with pytest.raises(UserWarning):
        warn()
    with pytest.raises(UserWarning):
        pool.submit(warn).result()
PROGRAM

# Prints how a run ends: its last line, and nothing else.
run() {
    (cd "$folder" && "$folder/venv/bin/python" "$@" || true) | tail -n 1
}
options=(-m pytest -q -p no:cacheprovider -o filterwarnings=error)
both=$(run -W error "${options[@]}" test_pool.py)
second=$(run -W error "${options[@]}" test_pool.py -k error)
process=$(run -X context_aware_warnings=0 -W error "${options[@]}" test_pool.py)

"$folder/venv/bin/python" -V
"$folder/venv/bin/pytest" --version
echo "both tests:                                 $both"
echo "the second alone:                           $second"
echo "both, the filters being the process's:      $process"
if [[ $both == "1 failed, 1 passed"* && $second == "1 passed"* && $process == "2 passed"* ]]; then
    echo "as described"
else
    echo "CHANGED"
    exit 1
fi
