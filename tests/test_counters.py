"""Fresh numbers, and the ids of calls."""

import operator
import queue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls.doubles import Echo
from tests.helpers import run_together
from threadpool_mb import CallId, Unlimited, ask
from threadpool_mb.originals import Counter

NUMBERS = st.integers(min_value=0, max_value=9)


def test_a_counter_begins_with_one_and_goes_on_by_one() -> None:
    counter = Counter()

    numbers = [counter.increment_and_get() for _ in range(3)]

    assert numbers == [1, 2, 3]
    assert counter.take_next() == CallId(4)


def test_two_counters_know_nothing_of_each_other() -> None:
    Counter().increment_and_get()

    assert Counter().increment_and_get() == 1


@pytest.mark.behaviour("CallIdTest 1")
def test_call_ids_that_many_threads_take_are_all_different() -> None:
    counter = Counter()
    taken: queue.SimpleQueue[CallId] = queue.SimpleQueue()

    run_together(*[lambda: [taken.put(counter.take_next()) for _ in range(100)]] * 10)

    numbers = sorted(taken.get().number for _ in range(1000))
    assert numbers == list(range(1, 1001))


@pytest.mark.behaviour("CallIdTest 2")
def test_the_next_call_id_is_greater_than_and_not_equal_to_the_one_before() -> None:
    counter = Counter()

    first, second = counter.take_next(), counter.take_next()

    assert second > first
    assert second != first


@pytest.mark.behaviour("CallIdTest 3")
@given(st.integers(min_value=2, max_value=50))
def test_a_call_id_is_greater_than_all_before_it(count: int) -> None:
    counter = Counter()

    ids = [counter.take_next() for _ in range(count)]

    assert all(earlier < ids[-1] for earlier in ids[:-1])
    assert ids == sorted(set(ids))


def test_the_ids_of_calls_increase_whatever_becomes_of_the_calls() -> None:
    mailbox = Unlimited().create()
    first = ask(mailbox.new_input(), Echo("first"))
    mailbox.close()
    second = ask(mailbox.new_input(), Echo("second"))
    third = ask(mailbox.new_input(), Echo("third"))

    assert first.call_id < second.call_id < third.call_id


@pytest.mark.behaviour("CallIdTest 4")
def test_a_call_id_is_shown_as_the_original_shows_it() -> None:
    assert str(CallId(123)) == "<123>"
    assert f"{CallId(3)}" == "<3>"


@pytest.mark.behaviour("CallIdTest 5")
@given(NUMBERS, NUMBERS, NUMBERS)
def test_call_ids_obey_the_laws_of_equality_order_and_text(one: int, two: int, three: int) -> None:
    a, b, c = CallId(one), CallId(two), CallId(three)

    for compare in (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge):
        assert compare(a, b) == compare(one, two)
    assert (a == b) == (hash(a) == hash(b)) == (str(a) == str(b)) == (repr(a) == repr(b))
    assert not a < b < c or a < c


def test_a_call_id_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        CallId(3).number = 4
