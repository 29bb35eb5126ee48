"""`KeyedExecutor`: which `contextvars` context a task runs in, and what is kept of it."""

import asyncio
import contextvars
import decimal
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.helpers import DEADLINE, until
from tests.insides import table_of
from tests.pool.witness import Gate
from threadpool_mb import Broker, BrokerConfig, Dispatch, Initialize, KeyedExecutor

variable: contextvars.ContextVar[object] = contextvars.ContextVar("variable", default="unset")

WAYS: dict[str, Callable[[KeyedExecutor, Callable[[], object]], object]] = {
    "submit": lambda executor, fn: executor.submit(fn).result(DEADLINE),
    "submit_keyed": lambda executor, fn: executor.submit_keyed("a", fn).result(DEADLINE),
    "map": lambda executor, fn: next(executor.map(lambda _: fn(), [1])),
    "map_keyed": lambda executor, fn: next(
        executor.map_keyed(lambda _: fn(), [1], key=lambda n: n)
    ),
    "for_key": lambda executor, fn: executor.for_key("a").submit(fn).result(DEADLINE),
    "for_key.map": lambda executor, fn: next(executor.for_key("a").map(lambda _: fn(), [1])),
}
EACH_WAY = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@pytest.fixture(autouse=True)
def _own_value() -> Iterator[None]:
    token = variable.set("submitter's")
    yield
    variable.reset(token)


@EACH_WAY
def test_a_task_sees_what_its_submitter_has_set(
    way: Callable[[KeyedExecutor, Callable[[], object]], object],
) -> None:
    with KeyedExecutor(1, initializer=variable.set, initargs=("initializer's",)) as executor:
        seen = way(executor, variable.get)
        contextvars.Context().run(way, executor, int)  # of an empty one
        empty = contextvars.Context().run(way, executor, variable.get)

    assert (seen, empty) == ("submitter's", "unset")


@EACH_WAY
def test_what_a_task_sets_neither_its_submitter_nor_another_task_sees(
    way: Callable[[KeyedExecutor, Callable[[], object]], object],
) -> None:
    with KeyedExecutor(1) as executor:
        way(executor, lambda: variable.set("task's"))
        seen = way(executor, variable.get)

    assert (seen, variable.get()) == ("submitter's", "submitter's")


@EACH_WAY
def test_with_an_empty_context_a_task_sees_only_what_the_initializer_has_set(
    way: Callable[[KeyedExecutor, Callable[[], object]], object],
) -> None:
    with KeyedExecutor(1, context="empty") as executor:
        empty = way(executor, variable.get)
        way(executor, lambda: variable.set("task's"))
        still_empty = way(executor, variable.get)
    with KeyedExecutor(
        1, initializer=variable.set, initargs=("initializer's",), context="empty"
    ) as executor:
        way(executor, lambda: variable.set("task's"))
        initialized = way(executor, variable.get)

    assert (empty, still_empty, initialized) == ("unset", "unset", "initializer's")


@EACH_WAY
@pytest.mark.parametrize("options", [{}, {"context": "empty"}], ids=["localcontext", "empty"])
def test_a_task_changes_the_decimal_context_of_its_own_copy_or_empty_context(
    options: dict[str, Any], way: Callable[[KeyedExecutor, Callable[[], object]], object]
) -> None:
    precision = decimal.DefaultContext.prec

    def coarse() -> int:
        decimal.getcontext().prec = 5
        return decimal.getcontext().prec

    def coarse_in_a_copy() -> int:
        with decimal.localcontext():
            return coarse()

    # A new thread has a copy of `DefaultContext`: so has this one, whatever was set here before.
    with decimal.localcontext(decimal.DefaultContext), KeyedExecutor(1, **options) as executor:
        seen = way(executor, coarse if options else coarse_in_a_copy)
        next_task = way(executor, lambda: decimal.getcontext().prec)
        mine = decimal.getcontext().prec

    assert (seen, next_task, mine) == (5, precision, precision)


def test_a_task_has_the_context_of_when_it_was_submitted() -> None:
    gate = Gate()
    with KeyedExecutor(1) as executor:
        executor.submit_keyed("a", gate)
        gate.wait_until_reached()
        first = executor.submit_keyed("a", variable.get)
        variable.set("changed")
        second = executor.submit_keyed("a", variable.get)
        gate.open()

        assert (first.result(DEADLINE), second.result(DEADLINE)) == ("submitter's", "changed")


@pytest.mark.parametrize("results", ["map", "map_keyed"])
def test_all_items_of_a_map_have_the_context_of_the_call(results: str) -> None:
    with KeyedExecutor(1) as executor:
        items: Iterator[object] = (
            executor.map(lambda _: variable.get(), range(5), buffersize=1)
            if results == "map"
            else executor.map_keyed(
                lambda _: variable.get(), range(5), key=lambda n: n, buffersize=1
            )
        )
        variable.set("changed since")

        assert contextvars.Context().run(list, items) == ["submitter's"] * 5


@pytest.mark.parametrize("context", ["submitter", "empty"])
def test_a_callback_runs_in_its_tasks_context_and_leaves_nothing_there(context: Any) -> None:  # noqa: ANN401
    seen: list[object] = []
    gate = Gate()

    def run() -> None:
        gate()
        variable.set("task's")

    def callback(_: object) -> None:
        seen.append(variable.get())
        variable.set("callback's")

    with KeyedExecutor(1, context=context) as executor:
        future = executor.submit_keyed("a", run)
        future.add_done_callback(callback)
        gate.open()
        next_one = executor.submit_keyed("a", variable.get).result(DEADLINE)

    assert seen == ["task's"]
    assert next_one == ("submitter's" if context == "submitter" else "unset")


class Request:
    """Something that can be watched."""


def is_gone(alive: weakref.ref[Request]) -> bool:
    gc.collect()
    return alive() is None


@pytest.mark.parametrize("ends", ["well", "badly", "cancelled"])
def test_nothing_keeps_a_submitters_context_once_its_task_has_ended(ends: str) -> None:
    gate, before = Gate(), Gate()
    with KeyedExecutor(1) as executor:

        def handle() -> tuple[weakref.ref[Request], object]:
            request = Request()
            variable.set(request)
            # The first one of its lane, which lives as long as the lane does.
            task = {"well": int, "badly": lambda: int("x"), "cancelled": int}[ends]
            future = executor.submit_keyed("a", task)
            if ends == "cancelled":
                assert future.cancel()
            return weakref.ref(request), future

        executor.submit(before)
        before.wait_until_reached()
        alive, future = contextvars.Context().run(handle)
        executor.submit_keyed("a", gate)  # holds the lane open
        before.open()
        gate.wait_until_reached()

        # Its future is still there, with its error.
        assert future is not None
        until(lambda: is_gone(alive))
        gate.open()


def test_a_thread_that_is_idle_keeps_no_context() -> None:
    with KeyedExecutor(1) as executor:

        def handle() -> weakref.ref[Request]:
            request = Request()
            variable.set(request)
            executor.submit_keyed("a", int).result(DEADLINE)
            return weakref.ref(request)

        executor.submit(int).result(DEADLINE)  # its thread was not started by the request
        alive = contextvars.Context().run(handle)
        until(lambda: table_of(executor).threads.idle == 1)

        until(lambda: is_gone(alive))


def test_a_word_that_is_no_context_is_refused() -> None:
    with pytest.raises(ValueError, match="context must be 'submitter' or 'empty', not 'thread'"):
        KeyedExecutor(context="thread")  # type: ignore[arg-type]


def test_what_a_broker_handles_sees_neither_its_senders_context_nor_another_messages() -> None:
    seen: list[object] = []
    done = threading.Event()

    def handle(_key: object, message: object, _resource: object) -> None:
        seen.append(variable.get())
        variable.set(message)
        if message == "last":
            done.set()

    config: BrokerConfig[object, object, object, object] = BrokerConfig(
        demultiplex=lambda message: (
            Initialize("key") if message == "first" else Dispatch("key", message)
        ),
        create=lambda _key, _message: None,
        handle=handle,
        clean=lambda _key, _resource: None,
    )
    with Broker(config, max_threads=1) as broker:
        for message in ("first", "second", "last"):
            broker.input.deliver(message)
        assert done.wait(DEADLINE)

    assert seen == ["unset", "unset"]


def test_the_context_arrives_through_an_event_loops_default_executor() -> None:
    async def main() -> object:
        asyncio.get_running_loop().set_default_executor(KeyedExecutor(1))
        variable.set("coroutine's")
        return await asyncio.to_thread(variable.get)

    assert asyncio.run(main()) == "coroutine's"
