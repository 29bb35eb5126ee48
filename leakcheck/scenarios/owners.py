"""Executors, brokers and pools made and dropped: shut down, and left to the garbage collector."""

import concurrent.futures
import contextlib
import gc
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

import threadpool_mb as mb
from benchmarks.measuring import scaled
from leakcheck.scenarios.pools import expect_end
from leakcheck.waiting import PATIENCE

EXECUTORS: Final = 20
BROKERS: Final = 20
POOLS: Final = 20
_TASKS: Final = 40
_KEYS: Final = 5
_THREADS: Final = 2


class _TaskError(Exception):
    """What some of the tasks raise."""


def _task(number: int) -> int:
    if number % 7 == 0:
        raise _TaskError(number)
    return number


def _use_executor(executor: mb.KeyedExecutor) -> list[concurrent.futures.Future[int]]:
    futures = [executor.submit_keyed(n % _KEYS, _task, n) for n in range(_TASKS)]
    futures += [executor.submit(_task, n) for n in range(_TASKS)]
    futures += [executor.for_key("view").submit(_task, n) for n in range(_TASKS)]
    futures[-1].cancel()
    futures[0].add_done_callback(_look)
    results = executor.map_keyed(abs, range(1, _TASKS), key=_key_of, buffersize=4)
    next(results)
    del results  # the rest is cancelled
    sum(executor.map(abs, range(_TASKS)))
    return futures


def _key_of(number: int) -> int:
    return number % _KEYS


def _look(future: concurrent.futures.Future[int]) -> None:
    if not future.cancelled():
        future.exception()


@contextlib.contextmanager
def executors(scale: float) -> Iterator[Callable[[], object]]:
    """Executors made, used in every way and dropped: shut down, cancelled, and neither.

    Tasks return, raise and are cancelled; futures are waited for, and dropped unread.
    """
    count = scaled(EXECUTORS, scale)

    def work() -> None:
        for _ in range(count):
            with mb.KeyedExecutor(_THREADS) as executor:
                concurrent.futures.wait(_use_executor(executor), PATIENCE)
            cancelled = mb.KeyedExecutor(_THREADS)
            _use_executor(cancelled)
            cancelled.shutdown(cancel_futures=True)
            with contextlib.suppress(RuntimeError):
                cancelled.submit(_task, 1)
            # Dropped: what was submitted is done, then its threads end.
            _use_executor(mb.KeyedExecutor(_THREADS))
            mb.KeyedExecutor(_THREADS)  # not even used

    yield work


def _demultiplex(message: tuple[int, int]) -> mb.Initialize[int, int] | mb.Dispatch[int, int]:
    key, number = message
    return mb.Initialize(key, number) if number == 0 else mb.Dispatch(key, number)


def _create(key: int, _message: object) -> list[int]:
    if key == 1:
        raise _TaskError(key)
    return [key]


def _handle(key: int, message: int, resource: list[int]) -> mb.ResourceUpdate[list[int]]:
    if key == 2 and message:  # noqa: PLR2004 - one of the keys
        raise _TaskError(message)
    if message % 5 == 4:  # noqa: PLR2004 - now and then
        return mb.RemoveResource()
    return mb.UpdateResource([*resource[-3:], message])


def _clean(_key: int, resource: list[int]) -> None:
    resource.clear()


_CONFIG: Final[mb.BrokerConfig[tuple[int, int], int, int, list[int]]] = mb.BrokerConfig(
    _demultiplex, _create, _handle, _clean
)


def _use_broker(broker: mb.Broker[tuple[int, int], int, int, list[int]]) -> None:
    deliver = broker.input.deliver
    for key in range(_KEYS):
        for number in range(6):
            deliver((key, number))


@contextlib.contextmanager
def brokers(scale: float) -> Iterator[Callable[[], object]]:
    """Brokers made, used and dropped: closed, cancelled, and neither; serial and parallel.

    Resources are created, updated, removed and left; creating and handling raises now and then.
    """
    count = scaled(BROKERS, scale)
    kinds: tuple[dict[str, Any], ...] = (
        {},
        {"max_threads": _THREADS},
        {"max_threads": _THREADS, "mailbox": mb.Blocking(8)},
    )

    def work() -> None:
        for _ in range(count):
            for options in kinds:
                closed = mb.Broker(_CONFIG, **options)
                _use_broker(closed)
                closed.close()
                closed.join(timeout=PATIENCE)
                with mb.Broker(_CONFIG, **options) as cancelled:
                    _use_broker(cancelled)
                _use_broker(mb.Broker(_CONFIG, **options))  # dropped

    yield work


def _generator(_key: int) -> Generator[None, int]:
    while True:
        yield


def _function(_key: int, mailbox: mb.Mailbox[int]) -> None:
    for _ in mailbox:
        pass


def _use_pool(pool: mb.Pool[int, int]) -> None:
    for key in range(_KEYS):
        pool.initialize(key, key)
        pool.dispatch(key, key)
        pool.dispatch(key + _KEYS, key)


@contextlib.contextmanager
def pools(scale: float) -> Iterator[Callable[[], object]]:
    """Pools made, used and dropped: drained, cancelled, never joined, never closed.

    Of both kinds of workers. One that is part of a reference cycle goes when the garbage collector
    finds it.
    """
    count = scaled(POOLS, scale)
    kinds: tuple[tuple[Any, dict[str, Any]], ...] = (
        (_generator, {"max_threads": _THREADS}),
        (_function, {}),
    )

    def work() -> None:
        for _ in range(count):
            for worker, options in kinds:
                with mb.Pool(worker, **options) as drained:
                    _use_pool(drained)
                cancelled = mb.Pool(worker, **options)
                _use_pool(cancelled)
                cancelled.cancel()
                expect_end(cancelled.join(timeout=PATIENCE))
                closed = mb.Pool(worker, **options)
                _use_pool(closed)
                closed.close()
                _use_pool(mb.Pool(worker, **options))
                _dropped_in_a_cycle(worker, options)
            # Their threads wait until then, and there is not room for many under the cap.
            gc.collect()

    yield work


class _Owner:
    """Has a pool, and is part of a reference cycle."""

    def __init__(self, pool: mb.Pool[int, int]) -> None:
        self.pool = pool
        self.itself = self


def _dropped_in_a_cycle(worker: Any, options: dict[str, Any]) -> None:  # noqa: ANN401 - either kind
    _use_pool(_Owner(mb.Pool(worker, **options)).pool)
