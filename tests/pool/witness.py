"""A worker that does what its messages say, and a witness of what a pool did."""

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

from tests.helpers import DEADLINE, until
from tests.pool.doubles import Boom
from threadpool_mb import DeadLetter, DrainReport, Mailbox, Pool, WorkerExit

END: Final = "end"
"""The message at which `Witness.work` returns."""


ENDS: Final[dict[str, tuple[Callable[[Pool[Any, Any]], object], str]]] = {
    "remove": (lambda pool: pool.remove("a"), "worker removed"),
    "drain": (lambda pool: pool.remove("a", drain=True), "worker removed"),
    "return": (lambda pool: pool.dispatch("a", END), "worker ended"),
    "fail": (lambda pool: pool.dispatch("a", Boom()), "worker failed"),
}
"""What ends the worker of key "a", and what becomes then of the messages it leaves."""


class Gate:
    """Where a thread stops until the test opens it; as a message: where its worker stops."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._opened = threading.Event()

    def __call__(self) -> None:
        """Stop here."""
        self._reached.set()
        assert self._opened.wait(DEADLINE), "the test has not opened the gate"

    def wait_until_reached(self) -> None:
        """Wait until a thread has stopped here."""
        assert self._reached.wait(DEADLINE), "no thread came to the gate"

    def open(self) -> None:
        """Let the thread go on."""
        self._opened.set()


class Witness:
    """What the workers and hooks of a pool have seen, in the order in which they saw it."""

    def __init__(self, kind: str = "function") -> None:
        self.kind: Final = kind
        """Of the workers: `"function"` or `"generator"`."""
        self.handled: Final[list[tuple[Any, Any]]] = []
        self.letters: Final[list[DeadLetter[Any, Any]]] = []
        self.exits: Final[list[WorkerExit[Any]]] = []
        self._gates: Final[list[Gate]] = []

    def work(self, key: Any, mailbox: Mailbox[Any]) -> None:  # noqa: ANN401 - any key
        """Raise messages that are exceptions, call those that can be called, keep the others."""
        for message in mailbox:
            if not self._obey(key, message):
                return

    def work_in_turns(self, key: Any) -> Generator[None, Any]:  # noqa: ANN401 - any key
        """Do the same as a generator worker."""
        while self._obey(key, (yield)):
            pass

    def _obey(self, key: object, message: Any) -> bool:  # noqa: ANN401 - any message
        if message is END:
            return False
        if isinstance(message, BaseException):
            raise message
        if callable(message):
            message()
        else:
            self.handled.append((key, message))
        return True

    def thread_name(self, pool: str, key: str) -> str:
        """Return how the name begins of the thread on which a key's worker runs."""
        return f"{pool}-{key!r}" if self.kind == "function" else f"{pool}-shared-"

    @property
    def dead(self) -> list[tuple[Any, Any, str]]:
        """Key, message and reason of each dead letter."""
        return [(letter.key, letter.message, str(letter.reason)) for letter in self.letters]

    @property
    def ended(self) -> list[tuple[Any, BaseException | None]]:
        """Key and error of each worker that has ended."""
        return [(exit_.key, exit_.error) for exit_ in self.exits]

    def gate(self) -> Gate:
        """Return a gate that is opened at the end of the test, if not before."""
        gate = Gate()
        self._gates.append(gate)
        return gate

    def start(self, pool: Pool[Any, Any], key: object) -> None:
        """Give the key a worker and wait until it runs: it can no more be dropped."""
        started = pool.stats().started
        assert pool.initialize(key)
        until(lambda: pool.stats().started > started)

    def hold(self, pool: Pool[Any, Any], key: object) -> Gate:
        """Give the key a worker if it has none, and return the gate at which it has stopped."""
        gate = self.gate()
        if key not in pool:
            assert pool.initialize(key)
        assert pool.dispatch(key, gate)
        gate.wait_until_reached()
        return gate

    @contextlib.contextmanager
    def pool(
        self,
        worker: Callable[..., Any] | None = None,
        **options: Any,  # noqa: ANN401 - what `Pool` takes
    ) -> Iterator[Pool[Any, Any]]:
        """Make a pool that tells this witness; cancel and join it at the end of the block."""
        options = {
            "on_dead_letter": self.letters.append,
            "on_worker_exit": self.exits.append,
        } | options
        if worker is None:
            worker = self.work if self.kind == "function" else self.work_in_turns
        pool = Pool(worker, **options)
        try:
            yield pool
        finally:
            for gate in self._gates:
                gate.open()
            pool.cancel()
            assert pool.join(timeout=DEADLINE).finished


def finish(pool: Pool[Any, Any]) -> DrainReport[Any]:
    """Close the pool and wait for its end."""
    pool.close()
    report = pool.join(timeout=DEADLINE)
    assert report.finished
    return report


def named(name: str) -> list[threading.Thread]:
    """Return the living threads whose name begins with `name`."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]
