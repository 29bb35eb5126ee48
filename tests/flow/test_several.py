"""Tasks over several keys, and over all: exclusive, in order, and never in a circle."""

import collections
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import DEADLINE, run_together, until
from tests.pool.witness import Gate
from threadpool_mb import KeyedExecutor

type Submission = tuple[str, frozenset[int]]

submissions = st.lists(
    st.one_of(
        st.tuples(st.just("key"), st.frozensets(st.integers(0, 4), min_size=1, max_size=1)),
        st.tuples(st.just("several"), st.frozensets(st.integers(0, 4), max_size=4)),
        st.tuples(st.just("all"), st.just(frozenset(range(5)))),
        st.tuples(st.just("cancelled"), st.frozensets(st.integers(0, 4), min_size=2)),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=150)
@given(submissions, st.integers(1, 4), st.booleans())
def test_each_key_sees_its_tasks_in_order_and_alone(
    submitted: list[Submission],
    threads: int,
    pinned: bool,  # noqa: FBT001 - drawn
) -> None:
    """The oracle: of each key, the tasks that name it, in the order in which they came."""
    seen: dict[int, list[int]] = collections.defaultdict(list)
    inside: dict[int, int] = collections.defaultdict(int)
    beside: list[int] = []

    def use(keys: frozenset[int], number: int) -> int:
        for key in keys:
            inside[key] += 1
            if inside[key] != 1:
                beside.append(number)
            seen[key].append(number)
        for key in keys:
            inside[key] -= 1
        return number

    wanted: dict[int, list[int]] = collections.defaultdict(list)
    with KeyedExecutor(threads, pinned=pinned) as executor:
        futures = []
        cancelled = []
        for number, (kind, keys) in enumerate(submitted):
            if kind == "key":
                future = executor.submit_keyed(min(keys), use, keys, number)
            elif kind == "all":
                future = executor.submit_exclusive(use, keys, number)
            else:
                future = executor.submit_multi(sorted(keys), use, keys, number)
            if kind == "cancelled" and future.cancel():
                cancelled.append(future)
                continue
            futures.append((future, number))
            for key in keys:
                wanted[key].append(number)
        assert [future.result(DEADLINE) for future, _ in futures] == [each for _, each in futures]

    assert not beside
    assert seen == wanted
    assert all(future.cancelled() for future in cancelled)


def test_a_task_of_several_keys_waits_for_those_before_it_and_holds_those_behind_it(
    gate: Gate,
) -> None:
    order: list[str] = []
    with KeyedExecutor(4) as executor:
        executor.submit_keyed("a", gate)
        gate.wait_until_reached()
        both = executor.submit_multi(["a", "b"], order.append, "a and b")
        behind = executor.submit_keyed("b", order.append, "b")
        other = executor.submit_keyed("c", order.append, "c")
        other.result(DEADLINE)
        assert not both.done()
        assert not behind.done()
        gate.open()
        behind.result(DEADLINE)
    assert order == ["c", "a and b", "b"]


def test_waiting_holds_no_thread(gate: Gate) -> None:
    with KeyedExecutor(2) as executor:
        executor.submit_keyed("a", gate)
        gate.wait_until_reached()
        waiting = [executor.submit_multi(["a", number], int) for number in range(50)]
        assert executor.submit_keyed("free", int, "3").result(DEADLINE) == 3
        assert not any(future.done() for future in waiting)
        gate.open()


def test_one_that_is_cancelled_while_it_waits_lets_the_others_go_on(gate: Gate) -> None:
    called: list[object] = []
    with KeyedExecutor(4) as executor:
        executor.submit_keyed("a", gate)
        gate.wait_until_reached()
        both = executor.submit_multi(["a", "b"], called.append, "never")
        behind = executor.submit_keyed("b", int, "5")
        both.add_done_callback(called.append)
        assert both.cancel()
        assert both.cancel()
        # Though "a" still runs.
        assert behind.result(DEADLINE) == 5
        gate.open()
        assert executor.submit_keyed("a", int, "6").result(DEADLINE) == 6
    assert called == [both]


def test_a_task_of_all_keys_runs_alone(gate: Gate) -> None:
    order: list[str] = []
    with KeyedExecutor(4) as executor:
        executor.submit_keyed("a", gate)
        gate.wait_until_reached()
        alone = executor.submit_exclusive(order.append, "all")
        behind = [
            executor.submit_keyed("new", order.append, "new"),
            executor.submit(order.append, "no key"),
            executor.submit_multi(["x", "y"], order.append, "x and y"),
        ]
        assert not any(future.done() for future in [alone, *behind])
        gate.open()
        for future in behind:
            future.result(DEADLINE)
        assert executor.submit_exclusive(len, order).result(DEADLINE) == 4
    assert order[0] == "all"
    assert sorted(order[1:]) == ["new", "no key", "x and y"]


def test_a_task_of_all_keys_that_is_cancelled_holds_nothing_back(gate: Gate) -> None:
    with KeyedExecutor(4) as executor:
        executor.submit_keyed("a", gate)
        gate.wait_until_reached()
        alone = executor.submit_exclusive(int)
        behind = executor.submit_keyed("new", int, "8")
        assert alone.cancel()
        assert behind.result(DEADLINE) == 8
        gate.open()
    assert all(not shard.barriers for shard in executor._table.shards)


def test_errors_are_the_futures_and_the_keys_go_on() -> None:
    def fail() -> None:
        raise KeyError("its own")

    with KeyedExecutor(2) as executor:
        for submit in (
            lambda: executor.submit_multi(["a", "b"], fail),
            lambda: executor.submit_exclusive(fail),
        ):
            with pytest.raises(KeyError, match="its own"):
                submit().result(DEADLINE)
        assert executor.submit_keyed("a", int, "1").result(DEADLINE) == 1
    assert executor._table.keys == 0


def test_a_task_cannot_wait_for_one_that_needs_its_key() -> None:
    with KeyedExecutor(4) as executor:

        def wait_for(submit: Callable[[], Any]) -> None:
            submit().result(DEADLINE)

        for submit in (
            lambda: executor.submit_multi(["b", "a"], int),
            lambda: executor.submit_exclusive(int),
        ):
            with pytest.raises(RuntimeError, match="cannot wait"):
                executor.submit_keyed("a", wait_for, submit).result(DEADLINE)
        later = executor.submit_multi(["a", "b"], wait_for, lambda: executor.submit_keyed("b", int))
        with pytest.raises(RuntimeError, match="cannot wait"):
            later.result(DEADLINE)


def test_the_context_is_the_submitters() -> None:
    import contextvars  # noqa: PLC0415 - for this test alone

    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")
    with KeyedExecutor(2) as executor:
        token = name.set("the submitter")
        futures = [executor.submit_multi(["a", "b"], name.get), executor.submit_exclusive(name.get)]
        name.reset(token)
        assert [future.result(DEADLINE) for future in futures] == ["the submitter"] * 2


@pytest.mark.parametrize("cancel", [True, False])
def test_shutting_down_waits_for_those_that_wait_or_cancels_them(
    gate: Gate,
    cancel: bool,  # noqa: FBT001 - a case
) -> None:
    executor = KeyedExecutor(2)
    executor.submit_keyed("a", gate)
    gate.wait_until_reached()
    both = executor.submit_multi(["a", "b"], int, "9")
    alone = executor.submit_exclusive(int, "10")
    executor.shutdown(wait=False, cancel_futures=cancel)
    gate.open()
    executor.shutdown()
    assert [both.cancelled(), alone.cancelled()] == [cancel, cancel]
    if not cancel:
        assert [both.result(), alone.result()] == [9, 10]
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit_multi(["a"], int)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit_exclusive(int)


@pytest.mark.parametrize("keys", ["ab", b"ab", 5, None, [[]], [{}, 1]])
def test_keys_are_checked(keys: Any) -> None:  # noqa: ANN401 - whatever
    with KeyedExecutor(1) as executor, pytest.raises(TypeError, match="key"):
        executor.submit_multi(keys, int)


def test_what_is_called_is_checked() -> None:
    text: Any = "not a function"
    with KeyedExecutor(1) as executor:
        for submit in (
            lambda: executor.submit_multi(["a"], text),
            lambda: executor.submit_exclusive(text),
            lambda: executor.submit_later(0, "a", text),
        ):
            with pytest.raises(TypeError, match="'not a function'"):
                submit()


def test_no_keys_one_key_and_a_key_twice() -> None:
    with KeyedExecutor(1) as executor:
        assert executor.submit_multi([], int, "1").result(DEADLINE) == 1
        assert executor.submit_multi(["a"], int, "2").result(DEADLINE) == 2
        assert executor.submit_multi(["a", "a", "b", "a"], int, "3").result(DEADLINE) == 3
        assert executor.submit_multi((k for k in "ab"), int, "4").result(DEADLINE) == 4


def test_nothing_of_a_call_is_kept_by_a_key_that_stays_busy(gate: Gate) -> None:
    import weakref  # noqa: PLC0415 - for this test alone

    class Argument:
        """Something that is looked for."""

    argument = Argument()
    gone = weakref.ref(argument)
    with KeyedExecutor(2) as executor:
        both = executor.submit_multi(["a", "b"], id, argument)
        executor.submit_keyed("a", gate)
        executor.submit_keyed("b", int)
        del argument
        both.result(DEADLINE)
        gate.wait_until_reached()
        until(lambda: gone() is None)
        gate.open()


@pytest.mark.racing
def test_transfers_beside_snapshots_lose_no_money() -> None:
    accounts = dict.fromkeys(range(8), 100)
    sums: list[int] = []
    moved = collections.Counter[threading.Thread]()

    def transfer(one: int, other: int, amount: int) -> None:
        moved[threading.current_thread()] += 1
        before = accounts[other]
        accounts[one] -= amount
        accounts[other] = before + amount

    with KeyedExecutor(4) as executor:

        def send(sender: int) -> None:
            draw = random.Random(sender)  # noqa: S311 - no secret
            for number in range(150):
                one, other = draw.sample(range(8), 2)
                future = executor.submit_multi([one, other], transfer, one, other, number)
                if number % 10 == 0:
                    executor.submit_exclusive(lambda: sums.append(sum(accounts.values())))
                elif number % 7 == 0:
                    future.cancel()

        run_together(*(lambda sender=sender: send(sender) for sender in range(3)))  # type: ignore[misc]

    assert sums == [800] * 45
    assert sum(accounts.values()) == 800
    assert executor._table.keys == 0
