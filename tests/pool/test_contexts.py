"""Each worker's context is its own: in all its turns, on whichever thread, and in no other's."""

import contextlib
import contextvars
import decimal
import gc
import sys
import threading
import weakref
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from tests.helpers import DEADLINE, Running, until
from tests.insides import roster_of
from tests.pool.witness import finish
from threadpool_mb import Broker, BrokerConfig, Call, Command, KeyedExecutor, Mailbox, Pool, call

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class Look(Command[object]):
    """Is answered with what the worker sees."""


@contextlib.contextmanager
def bound(value: str) -> Iterator[None]:
    """Set the variable for the time of a block."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def turns(seen: dict[str, set[str]], threads: set[int]) -> Callable[[str], Generator[None, Any]]:
    """Return a worker that holds a block over its `yield`s, and notes what it sees."""

    def worker(key: str) -> Generator[None, Any]:
        with bound(key) if key.startswith("holds") else contextlib.nullcontext():
            while True:
                message = yield
                threads.add(threading.get_ident())
                seen.setdefault(key, set()).add(variable.get())
                if isinstance(message, Call):
                    message.reply_box.reply(variable.get())
                elif isinstance(message, threading.Barrier):
                    message.wait(DEADLINE)
                del message

    return worker


def test_a_block_held_over_a_yield_is_in_force_in_all_turns_and_for_no_other_key() -> None:
    seen: dict[str, set[str]] = {}
    threads: set[int] = set()
    keys = ["holds 1", "holds 2", "a", "b", "c", "d"]

    with Pool(turns(seen, threads), max_threads=3) as pool:
        for key in keys:
            pool.initialize(key)
        for _ in range(20):
            for together in (keys[:3], keys[3:]):
                both = threading.Barrier(3)
                for key in together:
                    pool.dispatch(key, both)
        finish(pool)

    assert len(threads) == 3
    assert seen == {key: {key if key.startswith("holds") else "unset"} for key in keys}


@pytest.mark.parametrize("where", ["in place", "by a thread"])
def test_a_call_is_handled_in_the_workers_context(where: str) -> None:
    seen: dict[str, set[str]] = {}

    with Pool(turns(seen, set()), inline_calls=where == "in place") as pool:
        for key in ("holds", "plain"):
            pool.initialize(key)
        with bound("the caller's"):
            answers = [call(pool.ref(key), Look()) for key in ("holds", "plain") for _ in range(3)]

    assert answers == ["holds"] * 3 + ["unset"] * 3
    assert seen == {"holds": {"holds"}, "plain": {"unset"}}


def test_what_a_worker_sets_in_a_call_in_place_stays_its_own() -> None:
    def worker(_: str) -> Generator[None, Call[Any]]:
        count = 0
        while True:
            received = yield
            before = variable.get()
            count += 1
            variable.set(str(count))
            received.reply_box.reply(before)

    with Pool(worker, inline_calls=True) as pool:
        pool.initialize("a")
        pool.initialize("b")
        first = [call(pool.ref("a"), Look()) for _ in range(3)]
        other = call(pool.ref("b"), Look())

    assert first == ["unset", "1", "2"]
    assert other == "unset"
    assert variable.get() == "unset"


def test_a_worker_that_resets_what_it_has_set_keeps_no_context() -> None:
    def worker(_: str) -> Generator[None, str]:
        while True:
            with bound((yield)):
                pass

    with Pool(worker) as pool:
        pool.initialize("a", "x")
        until(lambda: not pool.stats().waiting)
        lane: Any = roster_of(pool).routes["a"].mailbox
        until(lambda: lane.unattended)
        kept = lane._context

    assert kept is None


def test_the_decimal_context_of_a_worker_is_its_own() -> None:
    precisions: dict[str, set[int]] = {}

    def worker(key: str) -> Generator[None, int]:
        with decimal.localcontext(prec=5) if key == "coarse" else contextlib.nullcontext():
            while True:
                yield
                precisions.setdefault(key, set()).add(decimal.getcontext().prec)

    with Pool(worker, max_threads=2) as pool:
        for key in ("coarse", "fine"):
            pool.initialize(key)
        for number in range(50):
            pool.dispatch("coarse", number)
            pool.dispatch("fine", number)

    assert precisions == {"coarse": {5}, "fine": {decimal.getcontext().prec}}


def test_a_workers_clean_up_runs_in_its_context() -> None:
    at_the_end: list[str] = []

    def worker(key: str) -> Generator[None, int]:
        with bound(key):
            try:
                while True:
                    yield
            finally:
                at_the_end.append(variable.get())

    with Pool(worker) as pool:
        pool.initialize("drained")
        pool.initialize("removed")
        until(lambda: pool.stats().started == 2)
        pool.remove("removed")

    assert sorted(at_the_end) == ["drained", "removed"]


def test_a_worker_that_is_called_in_an_except_block_does_not_see_its_callers_exception() -> None:
    def worker(_: str) -> Generator[None, Call[Any]]:
        while True:
            received = yield
            received.reply_box.reply(sys.exception())
            del received

    with Pool(worker, inline_calls=True) as pool:
        pool.initialize("a")
        outside = call(pool.ref("a"), Look())
        try:
            {}["missing"]
        except KeyError:
            inside = call(pool.ref("a"), Look())

    assert (outside, inside) == (None, None)


class Request:
    """Something that a context holds."""


def _pool_of_turns() -> object:
    def worker(_: str) -> Generator[None, int]:
        while True:
            yield

    pool = Pool(worker)
    pool.initialize("a", 1)
    until(lambda: not pool.stats().waiting)
    return pool


def _pool_of_functions() -> object:
    def worker(_: str, mailbox: Mailbox[int]) -> None:
        for _message in mailbox:
            pass

    pool = Pool(worker)
    pool.initialize("a", 1)
    until(lambda: not pool.stats().waiting)
    return pool


def _executor() -> object:
    executor = KeyedExecutor(2)
    executor.submit_keyed("a", int).result()
    return executor


def _broker() -> object:
    return Broker(
        BrokerConfig(
            demultiplex=lambda message: message,
            create=lambda key, message: 1,
            handle=lambda key, message, resource: None,
            clean=lambda key, resource: None,
        )
    )


@pytest.mark.parametrize("make", [_pool_of_turns, _pool_of_functions, _executor, _broker])
def test_no_thread_keeps_the_context_of_whoever_has_started_it(
    make: Callable[[], object],
) -> None:
    held: contextvars.ContextVar[Request] = contextvars.ContextVar("held")

    def start() -> tuple[object, "weakref.ref[Request]"]:
        request = Request()
        held.set(request)
        return make(), weakref.ref(request)

    owner: Any
    owner, request = Running(lambda: contextvars.Context().run(start)).result()
    if isinstance(owner, KeyedExecutor):
        owner.submit_keyed("a", int).result()  # the last task's context goes with the next one
    gc.collect()
    kept = request()
    owner.shutdown() if isinstance(owner, KeyedExecutor) else owner.__exit__(None, None, None)

    assert kept is None
