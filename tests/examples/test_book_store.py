"""The book store: what is donated is sold once or left, and nobody waits for ever."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import book_store
from examples.book_store import Book

SETTINGS = settings(max_examples=10, deadline=None)


def town_sizes() -> st.SearchStrategy[dict[str, int]]:
    sizes = st.integers(1, 4)
    return st.integers(1, 4).flatmap(
        lambda donors: st.fixed_dictionaries(
            {
                "stores": sizes,
                "donors": st.just(donors),
                "customers": st.integers(0, donors),
                "titles": st.integers(1, 20),
            }
        )
    )


@SETTINGS
@given(sizes=town_sizes())
def test_each_book_that_was_donated_is_sold_once_or_left(sizes: dict[str, int]) -> None:
    day = book_store.run(**sizes)

    donated = Counter(
        Book(f"title {title}", f"donor {donor}")
        for title in range(1, sizes["titles"] + 1)
        for donor in range(1, sizes["donors"] + 1)
    )
    assert set(day.left) == {f"store {number}" for number in range(1, sizes["stores"] + 1)}
    for store, left in day.left.items():
        sold = [book for books in day.sold for book in books[store]]
        assert Counter(sold) + Counter(left) == donated


@SETTINGS
@given(sizes=town_sizes())
def test_each_customer_gets_the_titles_it_asked_for(sizes: dict[str, int]) -> None:
    day = book_store.run(**sizes)

    asked = [f"title {number}" for number in range(1, sizes["titles"] + 1)]
    assert len(day.sold) == sizes["customers"]
    for books in day.sold:
        assert {store: [book.title for book in got] for store, got in books.items()} == (
            dict.fromkeys(day.left, asked)
        )


@SETTINGS
@given(sizes=town_sizes())
def test_a_donor_who_has_donated_finds_its_books_on_the_shelf_or_sold(
    sizes: dict[str, int],
) -> None:
    day = book_store.run(**sizes)

    sold = {store: {book for books in day.sold for book in books[store]} for store in day.left}
    for number, shelves in enumerate(day.seen, 1):
        for store, shelf in shelves.items():
            mine = {
                Book(f"title {title}", f"donor {number}") for title in range(1, sizes["titles"] + 1)
            }
            assert mine - set(shelf) <= sold[store]


def test_who_still_waits_when_a_store_closes_is_told() -> None:
    day = book_store.run(stores=3, donors=1, customers=1, titles=1)

    assert day.told == dict.fromkeys(day.left, "WorkerGone")


def test_customers_who_would_wait_for_ever_are_not_let_in() -> None:
    with pytest.raises(ValueError, match="1 donors cannot serve 2 customers"):
        book_store.run(stores=1, donors=1, customers=2, titles=1)
