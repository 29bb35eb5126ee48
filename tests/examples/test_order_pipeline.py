"""The pipeline: each line is sold or told of, in order by customer; the books agree each day."""

import itertools
import threading
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import threadpool_mb as mb
from examples.order_pipeline import Order, Shop
from tests.examples.seeding import seeded_pools
from tests.helpers import in_thread, until
from threadpool_mb.testing import SeededPool

SETTINGS = settings(max_examples=15, deadline=None)

PRODUCTS = ["tea", "rice", "salt"]

order_lines = st.builds(
    "{} {} {}".format, st.sampled_from("abcd"), st.sampled_from(PRODUCTS), st.integers(0, 9)
)
lines = st.lists(order_lines | st.sampled_from(["", "a tea", "a tea many", "a tea 1 2"]))


def order_of(line: str) -> Order | None:
    match line.split():
        case [customer, product, amount] if amount.isdecimal():
            return Order(customer, product, int(amount))
        case _:
            return None


@SETTINGS
@given(
    days=st.lists(st.dictionaries(st.sampled_from(["file 1", "file 2"]), lines), max_size=3),
    limit=st.integers(1, 4),
    stock=st.integers(0, 60),
)
def test_each_line_is_sold_or_told_of_and_the_books_agree_each_day(
    days: list[dict[str, list[str]]], limit: int, stock: int
) -> None:
    with Shop(dict.fromkeys(PRODUCTS, stock), limit=limit) as shop:
        wanted: Counter[str] = Counter()
        for day in days:
            shop.read((file, line) for file, of_file in day.items() for line in of_file)
            left = shop.end_of_day()
            for line in itertools.chain(*day.values()):
                if order := order_of(line):
                    wanted[order.product] += order.amount
            assert left == {name: max(0, stock - wanted[name]) for name in PRODUCTS}
            sold = Counter[str]()
            for order in itertools.chain(*shop.sold.values()):
                sold[order.product] += order.amount
            assert all(left[name] + sold[name] == stock for name in PRODUCTS)

    bad: defaultdict[str, list[str]] = defaultdict(list)
    for day in days:
        for file, of_file in day.items():
            bad[file] += [line for line in of_file if order_of(line) is None]
    assert shop.bad_lines == {file: of_file for file, of_file in bad.items() if of_file}


@SETTINGS
@given(of_file=st.lists(order_lines), limit=st.integers(1, 4))
def test_a_customer_gets_what_was_ordered_in_the_order_of_its_file(
    of_file: list[str], limit: int
) -> None:
    with Shop(dict.fromkeys(PRODUCTS, 10_000), limit=limit) as shop:
        shop.read(("file", line) for line in of_file)

    orders = [order for line in of_file if (order := order_of(line))]
    assert shop.sold == {
        customer: [order for order in orders if order.customer == customer]
        for customer in {order.customer for order in orders}
    }


def test_the_last_of_a_product_are_sold_once() -> None:
    with Shop({"tea": 5}) as shop:
        shop.read((f"file {n}", f"{name} tea 2") for n, name in enumerate("abcd"))
        left = shop.end_of_day()

    assert left == {"tea": 0}
    got = sorted(order.amount for orders in shop.sold.values() for order in orders)
    assert got == [0, 1, 2, 2]


def test_what_is_not_in_stock_is_not_sold() -> None:
    with Shop({"tea": 5}) as shop:
        shop.read([("file", "a salt 3"), ("file", "a tea 3")])

    assert shop.sold == {"a": [Order("a", "salt", 0), Order("a", "tea", 3)]}
    assert shop.left == {"tea": 2, "salt": 0}


def test_the_end_of_a_day_waits_for_an_answer_of_the_stock() -> None:
    class SlowStock(dict[str, int]):
        def get(self, name: str, default: int = 0, /) -> int:  # type: ignore[override]
            asked.set()
            go_on.wait()
            return super().get(name, default)

    asked, go_on = threading.Event(), threading.Event()
    with Shop({}) as shop:
        shop.left = SlowStock(tea=5)
        shop.read([("file", "a tea 1"), ("file", "a tea 2")])
        with in_thread(shop.end_of_day) as day:
            asked.wait()
            sold_meanwhile = dict(shop.sold)
            still_open = day.running
            go_on.set()
            assert day.result() == {"tea": 2}

    assert sold_meanwhile == {}
    assert still_open
    assert shop.sold == {"a": [Order("a", "tea", 1), Order("a", "tea", 2)]}


def test_a_shop_that_is_left_with_an_exception_sells_what_was_read() -> None:
    def leave(shop: Shop) -> None:
        with shop:
            shop.read([("file", "a tea 1")] * 20)
            raise ZeroDivisionError

    shop = Shop({"tea": 100}, limit=2)
    with pytest.raises(ZeroDivisionError):
        leave(shop)

    assert shop.sold == {"a": [Order("a", "tea", 1)] * 20}
    with pytest.raises(mb.PoolClosed):
        shop.read([("file", "a tea 1")])
    until(lambda: shop.left == {"tea": 80})


def test_in_whatever_order_workers_have_their_turns_the_last_of_a_product_are_sold_once() -> None:
    shares = set[tuple[tuple[str, int], ...]]()

    def sell(_: int) -> None:
        with seeded_pools(), Shop({"tea": 5}, limit=1) as shop:
            shop.read((f"file {n}", f"{name} tea 2") for n, name in enumerate("abcd"))
            assert shop.end_of_day() == {"tea": 0}
        assert sorted(order.amount for (order,) in shop.sold.values()) == [0, 1, 2, 2]
        shares.add(tuple(sorted((name, order.amount) for name, (order,) in shop.sold.items())))

    SeededPool.explore(sell, n=200)

    assert len(shares) == 12  # each of the four may get nothing, and each of the others one
