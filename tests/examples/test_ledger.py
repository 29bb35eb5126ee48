"""The ledger: entries are committed in order, or rolled back; senders to a full account wait."""

import itertools
import threading
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import threadpool_mb as mb
from examples.ledger import Books, Entry, book_all, ledger
from tests.helpers import in_thread, until

SETTINGS = settings(max_examples=10, deadline=None)

names = st.sampled_from(["ann", "bob", "cid", "eve"])


@SETTINGS
@given(
    senders=st.lists(st.lists(names, max_size=40), min_size=1, max_size=4),
    limit=st.integers(1, 5),
    idle_timeout=st.sampled_from([None, 0.0001, 10.0]),
)
def test_all_that_is_booked_is_committed_in_the_order_of_each_sender(
    senders: list[list[str]], limit: int, idle_timeout: float | None
) -> None:
    books, numbers = Books(), itertools.count(1)
    entries: list[list[Entry]] = [[(name, next(numbers)) for name in sent] for sent in senders]

    with ledger(books, limit=limit, idle_timeout=idle_timeout) as pool:
        booked = book_all(pool, entries)

    assert booked == sum(map(len, entries))
    assert books.rolled_back == {}
    of_account: defaultdict[str, list[list[int]]] = defaultdict(list)
    for sent in entries:
        for name in {name for name, _ in sent}:
            of_account[name].append([amount for each, amount in sent if each == name])
    assert set(books.committed) == set(of_account)
    for name, committed in books.committed.items():
        assert sorted(committed) == sorted(itertools.chain(*of_account[name]))
        for sent_amounts in of_account[name]:
            assert [amount for amount in committed if amount in sent_amounts] == sent_amounts


def test_an_account_that_is_quiet_commits_and_goes_on_at_its_next_entry() -> None:
    books = Books()
    with ledger(books, idle_timeout=0.001) as pool:
        pool.dispatch("ann", 1)
        until(lambda: books.committed == {"ann": [1]})
        pool.dispatch("ann", 2)
        until(lambda: books.committed == {"ann": [1, 2]})

    assert books.committed == {"ann": [1, 2]}
    assert books.rolled_back == {}


def test_an_account_that_is_removed_is_rolled_back_alone() -> None:
    books = Books()
    with ledger(books) as pool:
        pool.dispatch_all([("ann", 1), ("eve", 5), ("eve", 7)])
        pool.flush()
        pool.remove("eve")

    assert books.committed == {"ann": [1]}
    assert books.rolled_back == {"eve": [5, 7]}


def test_an_account_with_a_bad_entry_is_rolled_back_and_begins_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    books = Books()
    with ledger(books) as pool:
        pool.dispatch_all([("ann", 1), ("eve", 5), ("eve", 0)])
        until(lambda: pool.stats().failed == 1)
        pool.dispatch("eve", 9)

    assert books.committed == {"ann": [1], "eve": [9]}
    assert books.rolled_back == {"eve": [5]}
    assert "eve: an entry of 0" in caplog.text


def test_all_is_rolled_back_when_the_pool_is_left_with_an_exception() -> None:
    books = Books()
    with pytest.raises(ZeroDivisionError), ledger(books) as pool:  # noqa: PT012
        pool.dispatch_all([("ann", 1), ("eve", 5)])
        pool.flush()
        raise ZeroDivisionError

    assert books.committed == {}
    assert books.rolled_back == {"ann": [1], "eve": [5]}


@pytest.mark.parametrize("limit", [1, 4])
def test_the_sender_to_a_slow_account_waits_and_no_other_one(limit: int) -> None:
    class SlowBooks(Books):
        def transaction(self, account: str):  # noqa: ANN202
            if account == "slow":
                go_on.wait()
            return super().transaction(account)

    go_on, books = threading.Event(), SlowBooks()
    amounts = list(range(1, 3 * limit + 2))
    with (
        ledger(books, limit=limit) as pool,
        in_thread(lambda: pool.dispatch_many("slow", amounts)) as sender,
    ):
        until(lambda: any(each.senders_waiting for each in pool.workers()))
        waiting = next(pool.workers()).messages
        pool.dispatch_many("fast", amounts)
        pool.flush("fast")
        held_up = sender.running
        go_on.set()

    assert waiting == limit
    assert held_up
    assert books.committed == {"slow": amounts, "fast": amounts}


def test_a_ledger_is_a_pool_of_amounts() -> None:
    with ledger(Books()) as pool:
        assert isinstance(pool, mb.Pool)
        assert len(pool) == 0
