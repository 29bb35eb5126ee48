"""The Haskell original's pool benchmark: `src-benchmark/Main.hs` of rio-process-pool."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Final, Protocol

import threadpool_mb as mb
from benchmarks.machine import cores
from benchmarks.measuring import Entry, compare, ideal, ours, peer, scaled
from benchmarks.peers import tonio_tasks
from benchmarks.peers.actors import ActorPerKey
from benchmarks.peers.casty_actors import Actors
from benchmarks.peers.grains import Grains
from benchmarks.peers.ideal import HandWrittenIdeal
from benchmarks.peers.installed import CASTY, NIGRAINS, TONIO
from benchmarks.peers.one_loop import LoopOnThread, OneLoop
from benchmarks.peers.sharded import ShardedExecutors
from benchmarks.peers.thread_per_key import ThreadPerKey
from benchmarks.receivers import Handle, Numbered, Receivers
from benchmarks.results import Comparison

PUBLISHED: Final = {(10, 500): 65.0, (10, 1000): 125.0, (50, 500): 94.0, (50, 1000): 235.0}
"""Milliseconds of the original, by messages and receivers: at its better number of cores."""

ROUNDS: Final = 2
"""Of fresh receivers in one run."""


class Contender(Protocol):
    """A pool, or what stands in its place."""

    def start(self, key: int, /) -> object:
        """Start the receiver of a key."""

    def send(self, key: int, messages: Iterable[Numbered], /) -> object:
        """Send messages to the receiver of a key, one after the other."""

    def close(self) -> object:
        """Let all threads end."""


class SendsItself(Protocol):
    """A loop or a runtime whose sender is a coroutine on it."""

    def round(self, keys: range, messages: Sequence[Numbered], /) -> object:
        """Start the receivers of keys, send each the messages, and wait until all have ended."""

    def close(self) -> object:
        """Let all threads end."""


def make_message(number: int) -> Numbered:
    """Return a message of the original's shape."""
    return (
        number,
        (
            f"The not so {'very ' * 24}{23 * number}",
            "large",
            f"m{'e' * 83}{'s' * 34}{number}",
            (
                "a" * 129,
                "g" * 86 + "e" * 44,
                number % 2 == 0,
                123423421111111111111111111123234 * number,
            ),
        ),
    )


class SentOneByOne:
    """A pool whose receivers are sent one message after the other."""

    def __init__(self, pool: mb.Pool[int, Numbered]) -> None:
        self.pool: Final = pool
        self.start: Final = pool.initialize

    def send(self, key: int, messages: Iterable[Numbered]) -> None:
        """Send messages to a key, one after the other."""
        dispatch = self.pool.dispatch
        for message in messages:
            dispatch(key, message)

    def close(self) -> None:
        """End the pool, whose workers have ended by themselves."""
        self.pool.cancel()
        if any(self.pool.join().dead_letters.values()):
            raise AssertionError("the pool had messages too many")


class _SentAtOnce(SentOneByOne):
    """A pool whose receivers are sent all their messages at once."""

    def send(self, key: int, messages: Iterable[Numbered]) -> None:
        self.pool.dispatch_many(key, messages)


class _Executor:
    """An executor, whose receivers are functions in a dict."""

    def __init__(self, executor: ThreadPoolExecutor, receiver: Callable[[int], Handle]) -> None:
        self._executor: Final = executor
        self._receiver: Final = receiver
        self._handles: Final[dict[int, Handle]] = {}

    def start(self, key: int) -> None:
        self._handles[key] = self._receiver(key)

    def send(self, key: int, messages: Iterable[Numbered]) -> None:
        submit, handles = self._executor.submit, self._handles
        for message in messages:
            submit(handles[key], message)

    def close(self) -> None:
        self._executor.shutdown()


class _Sharded:
    """Hash-sharded executors, whose receivers are functions in a dict."""

    def __init__(self, receiver: Callable[[int], Handle], count: int) -> None:
        self._shards: Final = ShardedExecutors(count)
        self._receiver: Final = receiver
        self._handles: Final[dict[int, Handle]] = {}

    def start(self, key: int) -> None:
        self._handles[key] = self._receiver(key)

    def send(self, key: int, messages: Iterable[Numbered]) -> None:
        executors, handles = self._shards.executors, self._handles
        for message in messages:
            executors[hash(key) % len(executors)].submit(handles[key], message)

    def close(self) -> None:
        with self._shards:
            pass


def run(make: Callable[[Receivers[int]], Contender], messages: int, receivers: int) -> float:
    """Send `messages` to each of `receivers`, key by key; return the seconds of both rounds."""

    def from_here(contender: Contender, keys: range, some: Sequence[Numbered]) -> None:
        for key in keys:
            contender.start(key)
        for key in keys:
            contender.send(key, some)

    return _run(make, from_here, messages, receivers)


def run_itself(
    make: Callable[[Receivers[int]], SendsItself], messages: int, receivers: int
) -> float:
    """Do the same with a sender that is a coroutine of the contender."""

    def from_within(contender: SendsItself, keys: range, some: Sequence[Numbered]) -> None:
        contender.round(keys, some)

    return _run(make, from_within, messages, receivers)


def _run[C: (Contender, SendsItself)](
    make: Callable[[Receivers[int]], C],
    send: Callable[[C, range, Sequence[Numbered]], None],
    messages: int,
    receivers: int,
) -> float:
    signals = Receivers[int](messages)
    start = perf_counter()
    contender = make(signals)
    for number in range(ROUNDS):
        keys = range(receivers * number, receivers * (number + 1))
        send(contender, keys, [make_message(i) for i in range(messages)])
        signals.wait_for(keys)
    took = perf_counter() - start
    contender.close()
    signals.check_end()
    return took


def coroutines(messages: int, receivers: int) -> list[Entry[float]]:
    """Return the peers whose receivers are coroutines, as far as they are installed here."""
    cell = (messages, receivers)
    if TONIO.module:
        tonio_tasks.runtime()  # before the clock: a process can make it only once
    return [
        peer(
            "asyncio, a task per key, sender on the loop",
            run_itself,
            lambda r: OneLoop(r.handle),
            *cell,
        ),
        peer(
            "asyncio, a task per key, sender a thread",
            run,
            lambda r: LoopOnThread(r.handle),
            *cell,
        ),
        *TONIO.select(
            peer(
                "TonIO, a task per key, sender a task",
                run_itself,
                lambda r: tonio_tasks.TasksInRuntime(r.handle),
                *cell,
            ),
            peer(
                "TonIO, a task per key, sender a thread",
                run,
                lambda r: tonio_tasks.TasksFromOutside(r.handle),
                *cell,
            ),
        ),
        *NIGRAINS.select(
            peer("nigrains, a call each", run_itself, lambda r: Grains(r.handle), *cell)
        ),
        *CASTY.select(peer("casty, serialised", run_itself, lambda r: Actors(r.handle), *cell)),
    ]


def original(rounds: int, scale: float) -> Iterator[Comparison]:
    """The Haskell original's pool benchmark, rebuilt.

    In each of two rounds, one thread starts all receivers, sends each its messages (all of a key
    before the next key) and waits until every receiver has said that it got the last one. Timed
    from the making of the pool until then. The published figures are the original's own, from its
    authors' machine. Who shares threads has as many as there are cores. `ThreadPoolExecutor` alone
    keeps no order; it is let off checking it. With the sender on the loop, asyncio has one thread
    for all; so has nigrains, where each message is a call that is waited for. TonIO's runtime is
    made before the clock starts, as a process can make it only once. casty takes messages as text.
    """
    threads = cores()
    for (messages, many), published in PUBLISHED.items():
        receivers = scaled(many, scale)
        cell = (messages, receivers)
        entries = [
            peer(
                "dict of SimpleQueue, a thread per key",
                run,
                lambda r: ThreadPerKey(r.function),
                *cell,
            ),
            peer(
                f"{threads} one-thread executors", run, lambda r: _Sharded(r.handle, threads), *cell
            ),
            peer(
                f"ThreadPoolExecutor({threads}), out of order",
                run,
                lambda r: _Executor(ThreadPoolExecutor(threads), r.handle_unordered),
                *cell,
            ),
            peer("Pykka, an actor per key", run, lambda r: ActorPerKey(r.handle), *cell),
            *coroutines(*cell),
            ideal(
                f"ideal by hand, {threads} threads",
                run,
                lambda r: HandWrittenIdeal(r.generator, threads),
                *cell,
            ),
            ours(
                "Pool, generators, dispatch",
                run,
                lambda r: SentOneByOne(mb.Pool(r.generator, max_threads=threads)),
                *cell,
            ),
            ours(
                "Pool, generators, dispatch_many",
                run,
                lambda r: _SentAtOnce(mb.Pool(r.generator, max_threads=threads)),
                *cell,
            ),
            ours("Pool, functions, dispatch", run, lambda r: SentOneByOne(mb.Pool(r.loop)), *cell),
        ]
        yield compare(
            f"{messages} messages × {receivers} receivers",
            "ms",
            entries,
            rounds=rounds,
            factor=1e3,
            published=published if receivers == many else None,
            published_name="Haskell original",
        )
