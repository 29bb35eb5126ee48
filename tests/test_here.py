"""`here.inner.allows`: where a call may be handled on its caller's thread."""

import asyncio
import sys
import types
from collections.abc import Callable

import pytest

from tests.helpers import Running
from threadpool_mb.pool.common import shown
from threadpool_mb.threads import here as here_module
from threadpool_mb.threads.here import here


def allowed() -> bool:
    return here.inner.allows(inline_calls=True)


def test_a_thread_that_does_nothing_else_is_allowed() -> None:
    assert Running(allowed).result()
    assert allowed()


def test_unless_told_the_main_thread_is_not_allowed_and_another_one_is() -> None:
    assert not here.inner.allows(inline_calls=None)
    assert Running(lambda: here.inner.allows(inline_calls=None)).result()


def in_an_except_block() -> bool:
    try:
        int("no number")
    except ValueError:
        return allowed()


def in_a_finally_block_that_an_exception_runs() -> bool:
    seen = []
    try:
        try:
            int("no number")
        finally:
            seen.append(allowed())
    except ValueError:
        return seen[0]


def in_the_end_of_a_with_block() -> bool:
    class Block:
        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> bool:
            self.seen = allowed()
            return True

    block = Block()
    with block:
        int("no number")
    return block.seen


def in_a_generator_that_is_run_in_an_except_block() -> bool:
    try:
        int("no number")
    except ValueError:
        return next(allowed() for _ in range(1))


def in_a_coroutine() -> bool:
    async def run() -> bool:
        return allowed()

    return asyncio.run(run())


def in_a_callback_of_a_loop() -> bool:
    async def run() -> bool:
        loop = asyncio.get_running_loop()
        seen: asyncio.Future[bool] = loop.create_future()
        loop.call_soon(lambda: seen.set_result(allowed()))
        return await seen

    return asyncio.run(run())


@pytest.mark.parametrize(
    "place",
    [
        in_an_except_block,
        in_a_finally_block_that_an_exception_runs,
        in_the_end_of_a_with_block,
        in_a_generator_that_is_run_in_an_except_block,
        in_a_coroutine,
        in_a_callback_of_a_loop,
    ],
)
def test_where_a_handler_would_find_something_of_the_callers_it_is_not_allowed(
    place: Callable[[], bool],
) -> None:
    assert not Running(place).result()


def test_behind_an_exception_that_was_handled_and_a_loop_that_has_ended_it_is_allowed() -> None:
    def run() -> bool:
        in_an_except_block()
        in_a_coroutine()
        return allowed()

    assert Running(run).result()


def test_a_loop_that_runs_on_another_thread_does_not_count() -> None:
    async def run() -> bool:
        return Running(allowed).result()

    assert asyncio.run(run())


@pytest.mark.parametrize("runs", [True, False])
def test_a_loop_of_trio_counts(*, runs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the function that trio has for the question; trio is not needed for this test."""
    trio = types.ModuleType("trio.lowlevel")
    trio.in_trio_run = lambda: runs  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "trio.lowlevel", trio)

    assert allowed() is not runs


def test_trio_says_nothing_while_it_is_only_being_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trio.lowlevel", types.ModuleType("trio.lowlevel"))

    assert allowed()


def test_a_loop_is_found_by_a_function_of_python_too(monkeypatch: pytest.MonkeyPatch) -> None:
    find = here_module._look_for_asyncio
    monkeypatch.setattr(here_module, "_loop_of_asyncio", find)
    of_c = asyncio._get_running_loop  # type: ignore[attr-defined]

    monkeypatch.setattr(asyncio.events, "_get_running_loop", lambda: "a loop")
    assert find() == "a loop"
    assert here_module._loop_of_asyncio is find

    monkeypatch.setattr(asyncio.events, "_get_running_loop", of_c)
    assert find() is None
    assert here_module._loop_of_asyncio is of_c


def test_a_turn_on_no_thread_of_a_pool_is_not_watched() -> None:
    assert list(shown(None, 3)) == [None, None, None]
