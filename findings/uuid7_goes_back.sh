#!/usr/bin/env bash
# CPython 3.14.7 and litequeue 0.14: `uuid.uuid7()` gives a thread an id that is smaller than its last one, on
# 3.14t; and a queue in SQLite that is in the order of such ids hands out a thread's second message before its
# first, on a build with a GIL.
#
# Expected: ids of version 7 sort by when they were made, and these "feature monotonicity within a millisecond" (the
# docstring of `uuid7`, which is new in 3.14). So they are taken for keys of tables, and for the order of what one
# sender has sent. litequeue's `pop` claims "the oldest ready message", and one LiteQueue "can be shared between
# threads" (its docstrings).
#
# What happens: the last time stamp and the last counter are two globals of Lib/uuid.py, without a lock. Between
# reading and storing them lie a call of `os.urandom` and the making of a UUID. A thread that is held up there puts
# both globals back to what they were, and then the ids of all other threads go back, within a millisecond and
# across milliseconds. Nothing is raised; ids stay unique, by their random tail. A loop of nothing but `uuid7()`
# hides it on a build with a GIL. litequeue has a copy of the function, and waits for SQLite after each id: there
# the GIL goes round often, and messages of one thread come in another order than it has put them in. uuid-utils
# 1.2.0 has ids of the same version, made in Rust, and they do not go back.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
free=$(tools/python 3.14t)
gil=$(tools/python 3.14)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$free" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check litequeue==0.14 uuid-utils==1.2.0
packages=$("$folder/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

cat > "$folder/program.py" <<'PROGRAM'
import importlib.metadata
import sys
import tempfile
import threading
import uuid

from litequeue import LiteQueue

THREADS = 8


def on_all(function):
    """Call a function of a number on eight threads at once; return what it has returned."""
    start, results = threading.Barrier(THREADS), []

    def run(number):
        start.wait()
        results.append(function(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def ids_that_go_back(make):
    """Return how many ids of 160 000 are smaller than the one that their thread made before."""

    def own(_):
        ids = [make() for _ in range(20_000)]
        return sum(first >= second for first, second in zip(ids, ids[1:], strict=False))

    return sum(on_all(own))


def messages_that_overtake():
    """Return how many messages of 4000 come out of a queue after a later one of their thread."""
    with tempfile.TemporaryDirectory() as folder:
        queue = LiteQueue(f"{folder}/queue")

        def put(number):
            for serial in range(500):
                queue.put(f"{number} {serial}")

        on_all(put)
        newest, late = dict.fromkeys(range(THREADS), -1), 0
        while message := queue.pop():
            number, serial = map(int, message.data.split())
            late += serial < newest[number]
            newest[number] = max(serial, newest[number])
        queue.close()
    return late


def until_found(count, limit=20):
    """Repeat until something is found; return how much, and in which round."""
    for rounds in range(1, limit + 1):
        if found := count():
            return found, rounds
    return 0, limit


print("Python", sys.version.split()[0], "GIL", sys._is_gil_enabled())
print("litequeue", importlib.metadata.version("litequeue"), "uuid-utils", importlib.metadata.version("uuid-utils"))
if sys._is_gil_enabled():
    found, others = until_found(messages_that_overtake), None
    print(f"litequeue: {found[0]} messages of 4000 are out of their thread's order, in round {found[1]}")
else:
    import uuid_utils  # for this build alone

    found, others = until_found(lambda: ids_that_go_back(uuid.uuid7)), ids_that_go_back(uuid_utils.uuid7)
    print(f"uuid.uuid7: {found[0]} ids of 160000 go back, in round {found[1]}; uuid_utils.uuid7: {others}")

as_found = found[0] > 0 and not others
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
PYTHONPATH=$packages "$gil" "$folder/program.py"
