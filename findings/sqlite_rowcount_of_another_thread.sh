#!/usr/bin/env bash
# CPython 3.14.7: a cursor of `sqlite3` says what another thread's statement has changed. So two threads that share a
# connection both claim a job with `UPDATE … WHERE owner IS NULL` now and then, and some jobs are claimed by nobody.
#
# Expected: `sqlite3.threadsafety` is 3, "threads may share the module, connections and cursors", and SQLite then
# "can be safely used by multiple threads with no restriction" (library/sqlite3; `check_same_thread` says that writes
# "may need to be serialized […] to avoid data corruption", and points there). Each thread has a cursor of its own, and
# its `rowcount` is "the number of modified rows". One UPDATE with a condition is atomic: of the threads that execute
# it for a row, the one that sees `rowcount == 1` has the row, and no other.
#
# What happens: the UPDATE is atomic, and each row has one owner. But `_pysqlite_query_execute` in
# Modules/_sqlite/cursor.c asks the connection, by `sqlite3_changes` and `sqlite3_last_insert_rowid`, once the
# statement has ended and the connection's lock is free: `rowcount` and `lastrowid` are those of whichever thread's
# statement ended last. Nothing is raised. It is so with a GIL and without one. `RETURNING` gives rows of the statement
# itself, and is right; but only with `cached_statements=0`, as here throughout: with the default two threads that
# execute the same SQL at once share one prepared statement and its parameters, too (python/cpython#118172, open).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
free=$(tools/python 3.14t)
gil=$(tools/python 3.14)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/program.py" <<'PROGRAM'
import sqlite3
import sys
import threading
from collections import Counter

THREADS, JOBS, ROUNDS = 4, 10_000, 100
CLAIM = "UPDATE job SET owner = ? WHERE id = ? AND owner IS NULL"


def in_threads(work, connection):
    """Have threads work with a cursor each of one connection; return what each returns."""
    together, results = threading.Barrier(THREADS), {}

    def run(name):
        cursor = connection.cursor()
        together.wait()
        results[name] = work(cursor, name)

    threads = [threading.Thread(target=run, args=(name,)) for name in map(str, range(THREADS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def by_rowcount(cursor, name):
    return [job for job in range(JOBS) if cursor.execute(CLAIM, (name, job)).rowcount == 1]


def by_returning(cursor, name):
    return [job for job in range(JOBS) if cursor.execute(CLAIM + " RETURNING id", (name, job)).fetchone()]


def ids(cursor, name):
    return {number: cursor.execute("INSERT INTO job (owner) VALUES (?)", (name,)).lastrowid for number in range(JOBS)}


def connect():
    connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None, cached_statements=0)
    connection.execute("CREATE TABLE job (id INTEGER PRIMARY KEY, owner TEXT)")
    return connection


def claimed(work):
    """Have threads claim all jobs; return how many are claimed twice, how many never, and how many have an owner."""
    connection = connect()
    connection.executemany("INSERT INTO job (id) VALUES (?)", ((job,) for job in range(JOBS)))
    times = Counter(job for jobs in in_threads(work, connection).values() for job in jobs)
    owned = connection.execute("SELECT count(*) FROM job WHERE owner IS NOT NULL").fetchone()[0]
    return Counter(twice=sum(n > 1 for n in times.values()), never=JOBS - len(times), owned=owned)


def inserted():
    """Have threads insert rows; return how many ids are those of another one's rows."""
    connection = connect()
    results = in_threads(ids, connection)
    owners = dict(connection.execute("SELECT id, owner FROM job"))
    assert len(owners) == THREADS * JOBS
    return sum(owners[row] != name for name, rows in results.items() for row in rows.values())


print("Python", sys.version.split()[0], "GIL", sys._is_gil_enabled(), "threadsafety", sqlite3.threadsafety)
seen, rounds = Counter(), 0
while rounds < ROUNDS and not (seen["twice"] and seen["never"]):
    rounds += 1
    seen += claimed(by_rowcount)
print(f"rowcount:  of {rounds * JOBS} jobs {seen['twice']} are claimed by two threads,"
      f" {seen['never']} by none; in the table {seen['owned']} have an owner")
returning = sum((claimed(by_returning) for _ in range(3)), Counter())
print(f"RETURNING: of {3 * JOBS} jobs {returning['twice']} are claimed by two threads,"
      f" {returning['never']} by none")
wrong, tries = 0, 0
while tries < ROUNDS and not wrong:
    tries += 1
    wrong += inserted()
print(f"lastrowid: of {tries * THREADS * JOBS} ids {wrong} are those of another thread's row")

as_found = (
    sqlite3.threadsafety == 3
    and seen["twice"] > 0
    and seen["never"] > 0
    and seen["owned"] == rounds * JOBS
    and not returning["twice"] + returning["never"]
    and wrong > 0
)
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
"$free" "$folder/program.py"
"$gil" "$folder/program.py"
