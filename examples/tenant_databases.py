"""A sqlite3 database for each tenant, of which a few are open at a time.

**Problem.** Each tenant has a database file of its own. A connection of `sqlite3` belongs to the
thread that has opened it. Files that are open cost memory and descriptors, so that the one that was
not used for the longest time is to be closed when there are too many.

**Solution.** A tenant is a key. `pinned=True` runs a worker on one thread for its whole life, so
that it can keep a connection. `start="on_demand"` opens the file at the first message, and
`max_keys` ends the worker that is idle longest. The worker has the connection in its `with`, twice:
`closing` closes it, and the connection itself commits at a normal exit and rolls back after an
exception. `until_drained` makes a clean end of the worker a normal exit.

Read: the two messages; `Tenants`, above all `_tenant`, the worker.
"""

import contextlib
import sqlite3
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import threadpool_mb as mb

SCHEMA: Final = "CREATE TABLE IF NOT EXISTS notes (number INTEGER PRIMARY KEY, text TEXT NOT NULL)"


@dataclass(frozen=True, slots=True)
class Add(mb.Notice):
    """Add a note. No answer is expected."""

    text: str


@dataclass(frozen=True, slots=True)
class Notes(mb.Command[tuple[str, ...]]):
    """Which notes are there, in the order in which they were added?"""


class Tenants:
    """Notes by tenant. Leaving the block commits and closes all databases."""

    def __init__(self, folder: Path, *, max_open: int) -> None:
        """Keep a file for each tenant in the folder, and about `max_open` of them open."""
        self._folder: Final = folder
        self.log: list[tuple[str, str]] = []
        """What happened to which tenant's file, `"opened"` or why it was closed."""
        self.pool: mb.Pool[str, mb.originals.Request] = mb.Pool(
            self._tenant,
            pinned=True,
            start="on_demand",
            max_keys=max_open,
            max_threads=2,
            on_worker_exit=lambda worker: self.log.append((worker.key, worker.cause)),
            name="tenants",
        )

    def _tenant(self, name: str) -> Generator[None, mb.originals.Request]:
        connection = sqlite3.connect(self._folder / f"{name}.sqlite3")
        with contextlib.closing(connection), connection, mb.until_drained():
            self.log.append((name, "opened"))
            connection.execute(SCHEMA)
            while True:
                match (yield):
                    case mb.Cast(Add(text)):
                        connection.execute("INSERT INTO notes (text) VALUES (?)", (text,))
                    case mb.Call(Notes(), reply_box):
                        rows = connection.execute("SELECT text FROM notes ORDER BY number")
                        reply_box.reply(tuple(text for (text,) in rows))
                    case _:
                        pass

    def add(self, tenant: str, text: str) -> None:
        """Add a note."""
        mb.cast(self.pool.ref(tenant), Add(text))

    def notes(self, tenant: str) -> tuple[str, ...]:
        """Return a tenant's notes, all that were added before."""
        return mb.call(self.pool.ref(tenant), Notes())

    def __enter__(self) -> Self:
        self.pool.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        # Not the pool's own way, which would roll back after an exception.
        self.pool.drain(timeout=None)


def main() -> None:
    """Write notes for four tenants with at most two open databases; read them from the files."""
    names = ["acme", "bolt", "coil", "dome"]
    with tempfile.TemporaryDirectory() as folder:
        with Tenants(Path(folder), max_open=2) as tenants:
            for number in (1, 2):
                for name in names:
                    tenants.add(name, f"note {number}")
                    tenants.notes(name)  # waits until it is added: then the worker is idle
        with Tenants(Path(folder), max_open=2) as tenants:
            for name in names:
                print(f"{name}: {tenants.notes(name)}")


if __name__ == "__main__":
    main()
