"""A pool's life in asyncio: its end is awaited, and neither the loop nor a thread waits for it."""

import asyncio
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pytest

import threadpool_mb as mb
from tests.aio.doubles import run, until_in_loop
from tests.helpers import DEADLINE
from tests.insides import dispatcher_of, table_of
from threadpool_mb.calls.handlers import Handlers
from threadpool_mb.threads.latches import Ending


@dataclasses.dataclass(frozen=True, slots=True)
class Ask(mb.Command[int]):
    """Has the worker ask the loop."""

    number: int


def asking() -> Callable[[str], Handlers]:
    """Return what makes servers that need the loop which runs now."""
    loop = asyncio.get_running_loop()

    def ask(command: Ask) -> int:
        slept = asyncio.run_coroutine_threadsafe(asyncio.sleep(0, command.number), loop)
        return slept.result(DEADLINE)

    return lambda key: {Ask: ask}


class Stuck:
    """A worker that is stuck with its first message until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.handled: list[object] = []

    def __call__(self, key: str, mailbox: mb.Mailbox[object]) -> None:
        for message in mailbox:
            self.begun.set()
            self.go.wait(DEADLINE)
            self.handled.append(message)


async def stuck_with(pool: mb.Pool[str, object], worker: Stuck, *messages: object) -> None:
    """Give the worker messages, and wait until it has the first one in hand."""
    pool.initialize("key")
    for message in messages:
        pool.dispatch("key", message)
    await until_in_loop(worker.begun.is_set)


def test_leaving_the_block_drains_while_the_workers_use_the_loop() -> None:
    async def main() -> list[int]:
        async with mb.Pool(mb.server(asking())) as pool:
            pool.initialize("key")
            calls = [asyncio.create_task(mb.aio.call(pool.ref("key"), Ask(n))) for n in range(3)]
            await asyncio.sleep(0)
        assert pool.join(timeout=0).finished
        return await asyncio.gather(*calls)

    assert run(main()) == [0, 1, 2]


def test_adrain_returns_what_drain_does_while_the_workers_use_the_loop() -> None:
    async def main() -> list[int]:
        pool = mb.Pool(mb.server(asking()))
        pool.initialize("key")
        calls = [asyncio.create_task(mb.aio.call(pool.ref("key"), Ask(n))) for n in range(3)]
        await asyncio.sleep(0)
        report = await pool.adrain(timeout=None)
        assert report == pool.drain(timeout=0)
        assert report.finished
        return await asyncio.gather(*calls)

    assert run(main()) == [0, 1, 2]


def test_no_thread_waits_for_the_end() -> None:
    worker = Stuck()

    async def main() -> None:
        pool = mb.Pool(worker)
        await stuck_with(pool, worker, 1)
        before = threading.active_count()
        draining = asyncio.create_task(pool.adrain(timeout=None))
        await until_in_loop(lambda: dispatcher_of(pool).ending._callbacks)
        assert threading.active_count() == before
        worker.go.set()
        assert (await draining).finished

    run(main())
    assert worker.handled == [1]


def test_what_is_left_after_the_timeout_is_cancelled_and_named() -> None:
    worker = Stuck()
    dead: list[object] = []

    async def main() -> mb.DrainReport[str]:
        pool = mb.Pool(worker, on_dead_letter=lambda letter: dead.append(letter.message))
        await stuck_with(pool, worker, 1, 2)
        report = await pool.adrain(timeout=0.01)
        worker.go.set()
        pool.join(timeout=DEADLINE)
        return report

    report = run(main())

    assert not report.finished
    assert [each.key for each in report.unfinished] == ["key"]
    assert (worker.handled, dead) == ([1], [2])


def test_leaving_the_block_with_an_exception_cancels_and_awaits_the_end() -> None:
    worker = Stuck()
    dead: list[object] = []

    async def leave_with_an_exception(pool: mb.Pool[str, object]) -> None:
        async with pool:
            await stuck_with(pool, worker, 1, 2)
            asyncio.get_running_loop().call_soon(worker.go.set)
            raise ZeroDivisionError

    async def main() -> None:
        pool: mb.Pool[str, object] = mb.Pool(
            worker, on_dead_letter=lambda letter: dead.append(letter.message)
        )
        with pytest.raises(ZeroDivisionError):
            await leave_with_an_exception(pool)
        assert pool.join(timeout=0).finished

    run(main())
    assert (worker.handled, dead) == ([1], [2])


@pytest.mark.parametrize("how", ["block", "adrain"])
def test_a_task_that_is_cancelled_while_it_drains_cancels_the_pool_and_leaves_nothing(
    how: str,
) -> None:
    worker = Stuck()
    dead: list[object] = []

    async def main() -> None:
        async def end() -> None:
            if how == "adrain":
                await pool.adrain(timeout=None)
            else:
                await pool.__aexit__(None, None, None)

        pool = mb.Pool(worker, on_dead_letter=lambda letter: dead.append(letter.message))
        ending = dispatcher_of(pool).ending
        await stuck_with(pool, worker, 1, 2)
        task = asyncio.create_task(end())
        await until_in_loop(lambda: ending._callbacks)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert "cancelling" in repr(pool)
        assert ending._callbacks == []
        worker.go.set()
        assert pool.join(timeout=DEADLINE).finished

    run(main())
    assert (worker.handled, dead) == ([1], [2])


def test_several_tasks_of_several_loops_await_one_end() -> None:
    worker = Stuck()
    pool = mb.Pool(worker)

    async def drain() -> bool:
        return (await pool.adrain(timeout=None)).finished

    async def main() -> list[bool]:
        await stuck_with(pool, worker, 1)
        elsewhere = asyncio.create_task(asyncio.to_thread(lambda: run(drain())))
        here = [asyncio.create_task(drain()) for _ in range(2)]
        ending = dispatcher_of(pool).ending
        await until_in_loop(lambda: len(ending._callbacks) == 3)
        worker.go.set()
        return [*await asyncio.gather(*here), await elsewhere]

    assert run(main()) == [True, True, True]


def test_a_loop_that_was_closed_while_its_task_drained_is_told_nothing() -> None:
    worker = Stuck()
    pool: mb.Pool[str, object] = mb.Pool(worker)
    ending = dispatcher_of(pool).ending
    loop = asyncio.new_event_loop()
    loop.run_until_complete(stuck_with(pool, worker, 1))
    task = loop.create_task(pool.adrain(timeout=None))
    loop.run_until_complete(until_in_loop(lambda: ending._callbacks))
    loop.close()
    worker.go.set()

    assert pool.join(timeout=DEADLINE).finished

    coroutine = task.get_coro()
    assert coroutine is not None
    coroutine.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_draining_on_a_thread_of_the_pool_itself_is_refused_and_closes_nothing() -> None:
    raised: list[BaseException] = []

    def worker(key: str, mailbox: mb.Mailbox[object]) -> None:
        for _ in mailbox:
            try:
                asyncio.run(pool.adrain(timeout=5))
            except RuntimeError as error:
                raised.append(error)

    with mb.Pool(worker) as pool:
        pool.initialize("key", 1)
        pool.initialize("other")

    assert "cannot be joined" in str(raised[0])


@pytest.mark.parametrize("timeout", ["1", float("nan"), True])
def test_what_is_no_number_of_seconds_is_refused_and_closes_nothing(timeout: float) -> None:
    async def main() -> None:
        with mb.Pool(Stuck()) as pool:
            with pytest.raises(ValueError, match="timeout must be seconds"):
                await pool.adrain(timeout=timeout)
            assert pool.initialize("key")

    run(main())


def test_a_pool_that_has_ended_is_drained_at_once() -> None:
    async def main() -> mb.DrainReport[str]:
        with mb.Pool(Stuck()) as pool:
            pass
        async with pool:
            pass
        return await pool.adrain(timeout=0)

    assert run(main()).finished


def test_each_callback_of_an_end_is_called_once_whether_it_comes_before_or_after() -> None:
    ending = Ending()
    called: list[str] = []
    forgotten = lambda: called.append("forgotten")  # noqa: E731 - the same object twice
    ending.when_reached(lambda: called.append("before"))
    ending.when_reached(forgotten)
    ending.forget(forgotten)

    ending.reach()
    ending.when_reached(lambda: called.append("after"))
    ending.reach()
    ending.forget(forgotten)

    assert called == ["before", "after"]


class Items:
    """The callbacks of a broker whose handler needs the loop."""

    def __init__(self, error: Exception | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.handled: list[int] = []
        self.cleaned: list[str] = []
        self.config = mb.BrokerConfig[int, str, int, str](
            demultiplex=self.demultiplex,
            create=lambda key, _: key,
            handle=self.handle,
            clean=lambda key, _: self.cleaned.append(key),
        )
        self.error = error

    def demultiplex(self, message: int) -> mb.Initialize[str, int] | mb.Dispatch[str, int]:
        if self.error is not None:
            raise KeyboardInterrupt
        return mb.Dispatch("key", message) if message else mb.Initialize("key")

    def handle(self, key: str, message: int, resource: str) -> None:
        slept = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self.loop)
        slept.result(DEADLINE)
        self.handled.append(message)


@pytest.mark.parametrize("max_threads", [None, 2])
def test_a_broker_is_drained_while_its_handler_uses_the_loop(max_threads: int | None) -> None:
    async def main() -> None:
        items = Items()
        broker = mb.Broker(items.config, max_threads=max_threads)
        for message in range(4):
            broker.input.deliver(message)

        report = await broker.adrain(timeout=None)

        assert report.finished
        assert (items.handled, items.cleaned) == ([1, 2, 3], ["key"])

    run(main())


@pytest.mark.parametrize("max_threads", [None, 2])
def test_leaving_a_broker_s_block_does_what_with_does(max_threads: int | None) -> None:
    async def main() -> None:
        items = Items()
        async with mb.Broker(items.config, max_threads=max_threads) as broker:
            for message in range(4):
                broker.input.deliver(message)
        assert broker.exception() is None
        assert (items.handled, items.cleaned) == ([1, 2, 3], ["key"])

    run(main())


@pytest.mark.parametrize("max_threads", [None, 2])
def test_leaving_a_broker_s_block_with_an_exception_cancels_it(max_threads: int | None) -> None:
    async def leave(broker: mb.Broker[Any, Any, Any, Any], items: Items) -> None:
        async with broker:
            broker.input.deliver(0)
            broker.input.deliver(1)
            await until_in_loop(lambda: items.handled)
            raise ZeroDivisionError

    async def main() -> None:
        items = Items()
        broker = mb.Broker(items.config, max_threads=max_threads)
        with pytest.raises(ZeroDivisionError):
            await leave(broker, items)
        assert isinstance(broker.exception(), mb.Cancelled)
        assert items.cleaned == ["key"]

    run(main())


def test_what_stopped_a_broker_leaves_its_block_unless_the_block_raises_already() -> None:
    async def leave(error: Exception | None) -> None:
        async with mb.Broker(Items(ZeroDivisionError()).config) as broker:
            broker.input.deliver(1)
            await until_in_loop(broker.exception)
            if error is not None:
                raise error

    with pytest.raises(KeyboardInterrupt):
        run(leave(None))
    with pytest.raises(ZeroDivisionError):
        run(leave(ZeroDivisionError()))


def test_leaving_an_executor_s_block_awaits_tasks_that_use_the_loop() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()

        def ask(number: int) -> int:
            slept = asyncio.run_coroutine_threadsafe(asyncio.sleep(0, number), loop)
            return slept.result(DEADLINE)

        async with mb.KeyedExecutor(2) as executor:
            futures = [executor.submit_keyed(n % 3, ask, n) for n in range(9)]
        with pytest.raises(RuntimeError, match="shutdown"):
            executor.submit(ask, 1)
        assert len(table_of(executor).threads) == 0
        return [future.result(0) for future in futures]

    assert run(main()) == list(range(9))


def test_a_task_that_is_cancelled_while_it_awaits_an_executor_leaves_it_shut_down() -> None:
    go = threading.Event()

    async def main() -> None:
        async def leave() -> None:
            async with executor:
                pass

        executor = mb.KeyedExecutor(1)
        future = executor.submit(go.wait, DEADLINE)
        task = asyncio.create_task(leave())
        await until_in_loop(lambda: table_of(executor).ending._callbacks)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        executor.shutdown()
        assert future.result(0)

    run(main())
