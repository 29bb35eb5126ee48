"""The contenders run in turn, in an order that is fair, and leave nothing behind."""

import collections
import itertools
import threading
import time

import pytest

from benchmarks.measuring import (
    compare,
    entrant,
    measure,
    ours,
    peer,
    run_threads,
    running_order,
    scaled,
)
from benchmarks.results import Role


@pytest.mark.parametrize("count", range(1, 10))
def test_each_contender_runs_once_in_every_round(count: int) -> None:
    orders = [running_order(count, number) for number in range(3 * count)]

    assert [sorted(order) for order in orders] == [list(range(count))] * len(orders)


@pytest.mark.parametrize("count", range(2, 10))
def test_each_contender_follows_each_other_one_equally_often(count: int) -> None:
    rounds = count if count % 2 == 0 else 2 * count

    followers = collections.Counter(
        pair
        for number in range(rounds)
        for pair in itertools.pairwise(running_order(count, number))
    )

    assert set(followers) == set(itertools.permutations(range(count), 2))
    assert len(set(followers.values())) == 1


@pytest.mark.parametrize("count", range(1, 10))
def test_each_contender_stands_at_each_place_equally_often(count: int) -> None:
    orders = [running_order(count, number) for number in range(2 * count)]

    places = collections.Counter(
        (place, contender) for order in orders for place, contender in enumerate(order)
    )

    assert set(places.values()) == {2}
    assert len(places) == count * count


def test_two_rounds_of_three_contenders_do_not_have_the_same_predecessors() -> None:
    first, second = running_order(3, 0), running_order(3, 1)

    assert not set(itertools.pairwise(first)) & set(itertools.pairwise(second))


def test_the_contenders_are_interleaved_and_the_first_round_is_not_counted() -> None:
    ran: list[str] = []
    numbers = itertools.count()

    def contender(name: str) -> int:
        ran.append(name)
        return next(numbers)

    found = measure([ours("a", contender, "a"), peer("b", contender, "b")], rounds=4)

    rounds = [ran[place : place + 2] for place in range(0, 10, 2)]
    assert [sorted(one) for one in rounds] == [["a", "b"]] * 5
    assert {tuple(one) for one in rounds} == {("a", "b"), ("b", "a")}
    assert sorted(found["a"] + found["b"]) == list(range(2, 10))
    assert len(found["a"]) == len(found["b"]) == 4


def test_without_a_warm_up_every_round_is_counted() -> None:
    numbers = itertools.count()

    found = measure([ours("a", lambda: next(numbers))], rounds=3, warm_up=False)

    assert found == {"a": [0, 1, 2]}


def test_a_comparison_has_the_figures_in_the_order_of_the_contenders_and_in_its_unit() -> None:
    entries = [peer("b", lambda: 2.0), ours("a", lambda: 1.0)]

    one = compare("title", "ms", entries, rounds=2, factor=1e3, x=5.0)

    assert [(f.name, f.role, f.values) for f in one.figures] == [
        ("b", Role.PEER, (2000.0, 2000.0)),
        ("a", Role.OURS, (1000.0, 1000.0)),
    ]
    assert (one.title, one.unit, one.x) == ("title", "ms", 5.0)


def test_an_entrant_is_run_with_its_arguments() -> None:
    entry = entrant(Role.IDEAL, "sum", lambda one, *, other: one + other, 1, other=2)

    assert entry.run() == 3


def test_a_contender_s_threads_are_joined_before_the_next_one_starts() -> None:
    goes_on = threading.Event()
    running: list[int] = []

    def leaves_a_thread() -> float:
        goes_on.clear()
        threading.Thread(target=goes_on.wait, args=(15,)).start()
        threading.Timer(0.01, goes_on.set).start()
        return 0.0

    def looks() -> float:
        running.append(threading.active_count())
        return 0.0

    before = threading.active_count()
    measure([ours("leaves", leaves_a_thread), peer("looks", looks)], rounds=2)

    assert running == [before] * 3


def test_a_thread_that_does_not_end_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.measuring.PATIENCE", 0.01)
    end = threading.Event()

    def leaves_a_thread() -> float:
        threading.Thread(target=end.wait, name="stubborn").start()
        return 0.0

    with pytest.raises(AssertionError, match=r"a left threads behind: .*stubborn"):
        measure([ours("a", leaves_a_thread)], rounds=1)
    end.set()


def test_an_error_in_a_thread_is_passed_on() -> None:
    with pytest.raises(ZeroDivisionError):
        run_threads(lambda: 1 // 0, lambda: time.sleep(0))


@pytest.mark.parametrize(
    ("count", "scale", "least", "expected"),
    [(1000, 1.0, 1, 1000), (1000, 0.5, 1, 500), (1000, 0.0001, 1, 1), (10, 0.1, 4, 4)],
)
def test_a_scale_makes_less_but_not_nothing(
    count: int, scale: float, least: int, expected: int
) -> None:
    assert scaled(count, scale, least=least) == expected
