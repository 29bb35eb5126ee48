"""A pipeline of three pools: lines are parsed by file, orders sold by customer, stock by product.

::

    parsers ──────▶ customers ──────▶ products
    by file         by customer       by product
    lines           orders            reservations

**Problem.** Each stage has state by a key of its own, and keeps the order of that key. A stage that
is faster must wait for the next one. A customer's order waits for an answer of the stock, and the
customer's next order for that; it must not hold a thread meanwhile. At the end of a day the books
of all stages are to agree.

**Solution.** A stage is a pool, with `mb.Blocking` mailboxes, and keys that start on demand. A
parser dispatches to the customers. A customer asks the stock, `mb.ask`, and waits for the reply
with `yield from mb.wait(reply)`: its next orders wait in its mailbox, and its thread takes turns of
other customers. `flush` of the stages, in their order, waits until all that was sent before is
handled everywhere. The pools are left in the same order at the end, so that nothing is sent to a
pool that is closed.

Read: the messages; the workers `parser`, `customer`, `product`; `Shop.end_of_day`.
"""

import contextlib
from collections import defaultdict
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

import threadpool_mb as mb


@dataclass(frozen=True, slots=True)
class Order:
    """From a parser to a customer's worker."""

    customer: str
    product: str
    amount: int


@dataclass(frozen=True, slots=True)
class Reserve(mb.Command[int]):
    """From a customer's worker to a product's; the answer is how many the customer gets."""

    amount: int


class Shop:
    """The three stages."""

    def __init__(self, stock: dict[str, int], *, limit: int = 8) -> None:
        """Sell what is in stock; at most `limit` messages wait for one key."""
        self.bad_lines: defaultdict[str, list[str]] = defaultdict(list)
        """By file, in the order of its lines."""
        self.sold: defaultdict[str, list[Order]] = defaultdict(list)
        """By customer, in the order of their orders; with what the customer gets."""
        self.left: dict[str, int] = dict(stock)
        """By product."""
        mailbox = mb.Blocking(limit)
        self._parsers: Final[mb.Pool[str, str]] = mb.Pool(
            self._parser, mailbox=mailbox, start="on_demand", name="parsers"
        )
        self._customers: Final[mb.Pool[str, Order]] = mb.Pool(
            self._customer, mailbox=mailbox, start="on_demand", name="customers"
        )
        self._products: Final[mb.Pool[str, mb.Call[Any]]] = mb.Pool(
            self._product, mailbox=mailbox, start="on_demand", name="products"
        )
        self._blocks: Final = contextlib.ExitStack()

    def _parser(self, file: str) -> Generator[None, str]:
        while True:
            line = yield
            match line.split():
                case [customer, product, amount] if amount.isdecimal():
                    order = Order(customer, product, int(amount))
                    self._customers.dispatch(customer, order)
                case _:
                    self.bad_lines[file].append(line)

    def _customer(self, name: str) -> Generator[None, Order]:
        while True:
            order = yield
            reply = mb.ask(self._products.ref(order.product), Reserve(order.amount))
            amount = yield from mb.wait(reply)
            self.sold[name].append(Order(name, order.product, amount))

    def _product(self, name: str) -> Generator[None, mb.Call[Any]]:
        while True:
            match (yield):
                case mb.Call(Reserve(amount), reply_box):
                    given = min(amount, self.left.get(name, 0))
                    self.left[name] = self.left.get(name, 0) - given
                    reply_box.reply(given)
                case _:
                    pass

    def read(self, lines: Iterable[tuple[str, str]]) -> None:
        """Take lines in, each with the name of its file."""
        self._parsers.dispatch_all(lines)

    def end_of_day(self) -> dict[str, int]:
        """Wait until all that was read before is sold; return what is left in stock."""
        for pool in (self._parsers, self._customers, self._products):
            pool.flush()
        return dict(self.left)

    def __enter__(self) -> Self:
        # What is entered last is left first.
        for pool in (self._products, self._customers, self._parsers):
            self._blocks.enter_context(pool)
        return self

    def __exit__(self, *_: object) -> None:
        self._blocks.close()


def main() -> None:
    """Sell on two days, from two files each; print what is left after each of them."""
    days = [
        [
            (f"file {file}", f"{customer} {product} {amount}")
            for amount in (1, 2, 3)
            for file, customer in ((1, "ann"), (2, "bob"))
            for product in ("tea", "rice")
        ],
        [("file 1", "ann tea 5"), ("file 1", "ann salt 1"), ("file 2", "bob tea many")],
    ]
    with Shop({"tea": 15, "rice": 40}) as shop:
        for number, lines in enumerate(days, 1):
            shop.read(lines)
            print(f"day {number}: {shop.end_of_day()} left")
    for customer, orders in sorted(shop.sold.items()):
        print(f"{customer}:", ", ".join(f"{order.amount} {order.product}" for order in orders))
    print("bad lines:", dict(shop.bad_lines))


if __name__ == "__main__":
    main()
