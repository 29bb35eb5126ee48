"""`aio.call` on the loop's own thread: what a pool with `inline_calls=True` allows."""

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

import threadpool_mb as mb
from tests.aio.doubles import Drop, Echo, Keep, Kept, run
from tests.calls.doubles import answer, doing, until_idle

WHERE = answer(threading.current_thread)
"""Asks on which thread the worker runs."""


@pytest.mark.parametrize(
    ("inline_calls", "options", "here"),
    [(True, {}, True), (None, {}, False), (False, {}, False), (True, {"timeout": 9}, False)],
)
def test_a_call_runs_on_the_loops_thread_where_the_pool_was_told_so(
    *, inline_calls: bool | None, options: dict[str, Any], here: bool
) -> None:
    with mb.Pool(doing, inline_calls=inline_calls) as pool:
        pool.initialize("a")
        until_idle(pool, "a")

        thread = run(mb.aio.call(pool.ref("a"), WHERE, **options))

    assert (thread is threading.current_thread()) is here


def test_a_plain_call_on_the_loops_thread_does_not_run_there() -> None:
    async def plain() -> object:
        return mb.call(pool.ref("a"), WHERE)

    with mb.Pool(doing, inline_calls=True) as pool:
        pool.initialize("a")
        until_idle(pool, "a")

        assert run(plain()) is not threading.current_thread()


def test_a_task_that_handles_an_exception_does_not_run_the_worker() -> None:
    async def main() -> object:
        try:
            return int("of the task")
        except ValueError:
            return await mb.aio.call(pool.ref("a"), answer(sys.exception))

    with mb.Pool(doing, inline_calls=True) as pool:
        pool.initialize("a")
        until_idle(pool, "a")

        assert run(main()) is None


def test_a_busy_worker_is_waited_for_and_other_tasks_go_on() -> None:
    entered, go_on = threading.Event(), threading.Event()

    async def both() -> object:
        reply = asyncio.ensure_future(mb.aio.call(pool.ref("a"), WHERE))
        await asyncio.sleep(0)
        assert not reply.done()
        go_on.set()
        return await reply

    with mb.Pool(doing, inline_calls=True) as pool:
        pool.initialize("a")
        mb.ask(pool.ref("a"), answer(lambda: entered.set() or go_on.wait(9)))
        assert entered.wait(9)

        assert run(both()) is not threading.current_thread()


def test_an_answer_that_the_worker_gives_later_is_awaited() -> None:
    kept = Kept()

    async def main() -> int:
        reply = asyncio.ensure_future(mb.aio.call(pool.ref("a"), Keep()))
        await asyncio.sleep(0)
        assert len(kept.calls) == 1, "the worker has run by now, on this thread"
        assert not reply.done()
        kept.calls.pop().reply_box.reply(7)
        return await reply

    with mb.Pool(kept.worker, inline_calls=True) as pool:
        pool.initialize("a")
        until_idle(pool, "a")

        assert run(main()) == 7


def fails(key: object) -> Generator[None, mb.Call[Any]]:
    """Raise at the first call."""
    yield
    raise LookupError("no such account")


def returns(key: object) -> Generator[None, mb.Call[Any]]:
    """End at the first call."""
    yield


@pytest.mark.parametrize("worker", [fails, returns, Kept().worker])
def test_a_call_without_an_answer_says_so(worker: Callable[[object], Any]) -> None:
    with mb.Pool(worker, inline_calls=True) as pool:
        pool.initialize("a")
        until_idle(pool, "a")

        with pytest.raises(mb.WorkerGone) as caught:
            run(mb.aio.call(pool.ref("a"), Drop()))

    assert isinstance(caught.value.__cause__, LookupError if worker is fails else type(None))


SPAN: contextvars.ContextVar[str] = contextvars.ContextVar("SPAN", default="none")


def test_the_worker_has_a_context_of_its_own_beside_the_tasks() -> None:
    async def main() -> tuple[object, str]:
        SPAN.set("of the task")
        before = await mb.aio.call(pool.ref("a"), answer(SPAN.get))
        await mb.aio.call(pool.ref("a"), answer(lambda: SPAN.set("of the worker")))
        return before, SPAN.get()

    with mb.Pool(doing, inline_calls=True) as pool:
        pool.initialize("a")
        until_idle(pool, "a")

        assert run(main()) == ("none", "of the task")


def test_nobody_is_called_where_no_task_runs() -> None:
    kept = Kept()
    with mb.Pool(kept.worker, inline_calls=True) as pool:
        pool.initialize("a")
        until_idle(pool, "a")
        coroutine = mb.aio.call(pool.ref("a"), Keep())

        with pytest.raises(RuntimeError, match=r"aio\.call must be awaited in a task"):
            coroutine.send(None)

    assert not kept.calls


def test_an_unknown_key_and_another_kind_of_target_are_called_as_ever() -> None:
    with mb.Pool(Kept().worker, inline_calls=True, on_dead_letter=lambda _: None) as pool:
        with pytest.raises(mb.CallNotDelivered):
            run(mb.aio.call(pool.ref("nobody"), Echo(1)))
        with pytest.raises(TypeError, match="object"):
            run(mb.aio.call(object(), Echo(1)))  # type: ignore[arg-type]
