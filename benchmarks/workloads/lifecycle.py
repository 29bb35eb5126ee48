"""Short lives: start a key, talk to it, stop it."""

import queue
from collections.abc import Callable, Generator, Iterable, Iterator
from time import perf_counter
from typing import Final, Protocol

import threadpool_mb as mb
from benchmarks.measuring import PATIENCE, compare, ours, peer, scaled
from benchmarks.peers.actors import ActorPerKey
from benchmarks.peers.thread_per_key import ThreadPerKey
from benchmarks.results import Comparison

KEYS: Final = 1000
SYNCHRONOUS: Final = 10
ASYNCHRONOUS: Final = 10

type Request = tuple[int, queue.SimpleQueue[int] | None]
"""A number, and where the next number is to go if the sender waits for it; -1 stops."""


class Contender(Protocol):
    """Workers by key."""

    def start(self, key: int, /) -> object:
        """Start the worker of a key."""

    def send(self, key: int, messages: Iterable[Request], /) -> object:
        """Send messages to the worker of a key."""

    def stop(self, key: int, /) -> object:
        """Let the worker of a key end once it has done its work."""

    def close(self) -> object:
        """Wait until all workers have ended."""


class Ledger:
    """The workers of all contenders; each notes what it handled when it ends."""

    def __init__(self) -> None:
        self.handled: Final[dict[int, list[int]]] = {}

    def generator(self, key: int) -> Generator[None, Request]:
        """Work by `yield`, until closed."""
        numbers: list[int] = []
        try:
            while True:
                number, reply = yield
                numbers.append(number)
                if reply is not None:
                    reply.put(number + 1)
        finally:
            self.handled[key] = numbers

    def loop(self, key: int, mailbox: Iterable[Request]) -> None:
        """Work by iterating, until the mailbox ends."""
        numbers: list[int] = []
        for number, reply in mailbox:
            numbers.append(number)
            if reply is not None:
                reply.put(number + 1)
        self.handled[key] = numbers

    def function(self, key: int, get: Callable[[], Request]) -> None:
        """Work by calling `get`, until -1."""
        numbers: list[int] = []
        while True:
            number, reply = get()
            if number < 0:
                break
            numbers.append(number)
            if reply is not None:
                reply.put(number + 1)
        self.handled[key] = numbers

    def handle(self, key: int) -> Callable[[Request], bool]:
        """Return a function that is called with each message, until it returns true."""
        numbers: list[int] = []

        def handle(message: Request) -> bool:
            number, reply = message
            if number < 0:
                self.handled[key] = numbers
                return True
            numbers.append(number)
            if reply is not None:
                reply.put(number + 1)
            return False

        return handle


class _Pool:
    def __init__(self, pool: mb.Pool[int, Request]) -> None:
        self._pool: Final = pool
        self.start: Final = pool.initialize

    def send(self, key: int, messages: Iterable[Request]) -> None:
        for message in messages:
            self._pool.dispatch(key, message)

    def stop(self, key: int) -> None:
        self._pool.remove(key, drain=True)

    def close(self) -> None:
        self._pool.close()
        if any(self._pool.join().dead_letters.values()):
            raise AssertionError("the pool lost messages")


class _ThreadPerKey(ThreadPerKey[int, Request]):
    def stop(self, key: int) -> None:
        self.send(key, [(-1, None)])


class _ActorPerKey(ActorPerKey[int, Request]):
    def stop(self, key: int) -> None:
        self.send(key, [(-1, None)])


def _run(make: Callable[[Ledger], Contender], keys: int) -> float:
    ledger = Ledger()
    reply: queue.SimpleQueue[int] = queue.SimpleQueue()
    requests: list[list[Request]] = [[(number, reply)] for number in range(SYNCHRONOUS)]
    every = SYNCHRONOUS + ASYNCHRONOUS
    work: list[Request] = [(number, None) for number in range(SYNCHRONOUS, every)]
    start = perf_counter()
    contender = make(ledger)
    for key in range(keys):
        contender.start(key)
    for key in range(keys):
        for number, request in enumerate(requests):
            contender.send(key, request)
            if reply.get(timeout=PATIENCE) != number + 1:
                raise AssertionError("an answer to another request")
    for key in range(keys):
        contender.send(key, work)
    for key in range(keys):
        contender.stop(key)
    contender.close()
    took = perf_counter() - start
    if ledger.handled != {key: list(range(every)) for key in range(keys)}:
        raise AssertionError("messages are missing or out of order")
    return took


def lifecycle(rounds: int, scale: float) -> Iterator[Comparison]:
    """Keys that are started, asked, given work and stopped.

    All keys are started; each is sent 10 requests, one after the other, each of which carries a
    queue for the answer that is waited for; then each is sent 10 messages of work; then all are
    stopped. Timed from the making of the pool until every worker has ended.
    """
    keys = scaled(KEYS, scale)
    entries = [
        peer(
            "dict of SimpleQueue, a thread per key", _run, lambda w: _ThreadPerKey(w.function), keys
        ),
        peer("Pykka, an actor per key", _run, lambda w: _ActorPerKey(w.handle), keys),
        ours("Pool, generators", _run, lambda w: _Pool(mb.Pool(w.generator)), keys),
        ours("Pool, functions", _run, lambda w: _Pool(mb.Pool(w.loop)), keys),
    ]
    title = f"{keys} keys: start, {SYNCHRONOUS} answers, {ASYNCHRONOUS} messages, stop"
    yield compare(title, "µs per key", entries, rounds=rounds, factor=1e6 / keys)
