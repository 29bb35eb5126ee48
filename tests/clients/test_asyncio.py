"""An event loop's default executor, and views as executors of a loop."""

import asyncio
import concurrent.futures
import contextvars
import logging
import socket
import threading

import pytest

import threadpool_mb as mb

REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("REQUEST", default="none")


def thread_name() -> str:
    """Return the name of the thread that this runs on."""
    return threading.current_thread().name


def test_run_in_executor_without_one_runs_on_the_default(executor: mb.KeyedExecutor) -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(executor)
        return await loop.run_in_executor(None, thread_name)

    assert asyncio.run(main()).startswith("ours")


def test_to_thread_runs_on_the_default_in_the_context_of_its_caller(
    executor: mb.KeyedExecutor,
) -> None:
    async def main() -> tuple[str, str]:
        asyncio.get_running_loop().set_default_executor(executor)
        REQUEST.set("of the caller")
        return await asyncio.to_thread(lambda: (thread_name(), REQUEST.get()))

    name, request = asyncio.run(main())

    assert name.startswith("ours")
    assert request == "of the caller"


def test_what_runs_in_the_default_executor_raises_where_it_is_awaited(
    executor: mb.KeyedExecutor,
) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(executor)
        await asyncio.to_thread(divmod, 1, 0)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main())


def test_addresses_are_looked_up_on_the_default(
    executor: mb.KeyedExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: thread_name())

    async def main() -> object:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(executor)
        return await loop.getaddrinfo("localhost", 80)

    assert str(asyncio.run(main())).startswith("ours")


def test_shutdown_default_executor_waits_for_what_runs_and_takes_no_more() -> None:
    executor = mb.KeyedExecutor(max_workers=1)
    go, ended = threading.Event(), threading.Event()

    def work() -> None:
        go.wait()
        ended.set()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(executor)
        future = loop.run_in_executor(None, work)
        closing = asyncio.ensure_future(loop.shutdown_default_executor())
        done, _ = await asyncio.wait([closing], timeout=0.05)
        go.set()
        assert not done
        await closing
        assert ended.is_set()
        await future
        with pytest.raises(RuntimeError, match="shutdown"):
            loop.run_in_executor(None, work)

    asyncio.run(main())

    with pytest.raises(RuntimeError, match="shutdown"):
        executor.submit(work)


def test_the_end_of_a_loop_shuts_its_default_executor_down() -> None:
    executor = mb.KeyedExecutor(max_workers=1)

    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(executor)
        await asyncio.to_thread(thread_name)

    asyncio.run(main())

    with pytest.raises(RuntimeError, match="shutdown"):
        executor.submit(thread_name)


def test_a_loop_that_gives_its_default_executor_up_after_a_time_says_so_and_goes_on() -> None:
    executor = mb.KeyedExecutor(max_workers=1)
    go = threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(executor)
        future = loop.run_in_executor(None, go.wait)
        try:
            with pytest.warns(RuntimeWarning, match="its threads within 0.01 seconds"):
                await loop.shutdown_default_executor(timeout=0.01)
        finally:
            go.set()
        assert await future

    asyncio.run(main())


def test_a_cancelled_task_that_waits_for_its_turn_does_not_run(executor: mb.KeyedExecutor) -> None:
    view = executor.for_key("key")
    go = threading.Event()
    ran: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        first = loop.run_in_executor(view, go.wait)
        second = loop.run_in_executor(view, ran.append, "cancelled")
        third = loop.run_in_executor(view, ran.append, "third")
        second.cancel()
        # asyncio cancels the executor's future in the loop's next iteration, not in `cancel`.
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(first, third)

    asyncio.run(main())

    assert ran == ["third"]


def test_a_view_keeps_the_order_of_a_loops_tasks(executor: mb.KeyedExecutor) -> None:
    seen: dict[str, list[int]] = {"a": [], "b": []}

    async def main() -> None:
        loop = asyncio.get_running_loop()
        views = {key: executor.for_key(key) for key in seen}
        async with asyncio.TaskGroup() as group:
            for number in range(200):
                for key, view in views.items():
                    group.create_task(_awaited(loop, view, seen[key], number))

    asyncio.run(main())

    assert seen == {"a": list(range(200)), "b": list(range(200))}


async def _awaited(
    loop: asyncio.AbstractEventLoop,
    view: concurrent.futures.Executor,
    numbers: list[int],
    number: int,
) -> None:
    await loop.run_in_executor(view, numbers.append, number)


def test_the_loops_debug_mode_finds_nothing_to_complain_of(
    executor: mb.KeyedExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 60
        loop.set_default_executor(executor)
        return await asyncio.gather(*(asyncio.to_thread(abs, -n) for n in range(20)))

    with caplog.at_level(logging.WARNING, "asyncio"):
        assert asyncio.run(main(), debug=True) == list(range(20))

    assert caplog.messages == []
