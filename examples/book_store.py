"""A book store: donors cast books, customers call for a book, or for the list of all.

Shows the protocol of commands as it is, with `match`: what a caller sends, what a worker gets, and
how it answers: at once, later, or never.

Read: the three messages; the worker, `store`; `donor` and `customer`, each on a thread of its own;
`run`, which has them all in one town at the same time.

Leans on:

- **Order.** What one thread sends to one key is handled in that order, casts and calls alike. So a
  donor who casts its books and then calls for the list finds each of them there, or sold.
- **One at a time.** A store is run by one thread at a time, so that its shelf needs no lock, and no
  copy of a book is sold twice.
- **Everyone is answered.** A store keeps the reply boxes of those whose book has not come yet. If
  it closes before that, they get `WorkerGone` and wait no longer.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import threadpool_mb as mb


@dataclass(frozen=True, slots=True, order=True)
class Book:
    """One copy of a book."""

    title: str
    donor: str


@dataclass(frozen=True, slots=True)
class Donate(mb.Notice):
    """Here is a book. No answer is expected."""

    book: Book


@dataclass(frozen=True, slots=True)
class GetBook(mb.Command[Book]):
    """A copy of this book, please; the answer comes when there is one."""

    title: str


@dataclass(frozen=True, slots=True)
class ListBooks(mb.Command[tuple[Book, ...]]):
    """What stands on the shelf?"""


type Town = mb.Pool[str, mb.originals.Request]
"""The stores by name. What a store gets is a `Request`: a `Call` or a `Cast`."""


def store(_name: str) -> Generator[None, mb.originals.Request]:
    """Sell what is donated, first come, first served."""
    shelf: defaultdict[str, deque[Book]] = defaultdict(deque)
    waiting: defaultdict[str, deque[mb.ReplyBox[Book]]] = defaultdict(deque)
    while True:
        match (yield):
            case mb.Cast(Donate(book)) if waiting[book.title]:
                waiting[book.title].popleft().reply(book)
            case mb.Cast(Donate(book)):
                shelf[book.title].append(book)
            case mb.Call(GetBook(title), reply_box) if shelf[title]:
                reply_box.reply(shelf[title].popleft())
            case mb.Call(GetBook(title), reply_box):
                waiting[title].append(reply_box)  # answered when a copy comes
            case mb.Call(ListBooks(), reply_box):
                reply_box.reply(tuple(book for copies in shelf.values() for book in copies))
            case _:
                pass  # a call that is dropped is answered as well: `WorkerGone`


def donor(town: Town, name: str, titles: Sequence[str]) -> dict[str, tuple[Book, ...]]:
    """Donate a copy of each title to each store; return what then stood on their shelves."""
    stores = town.keys()
    for title in titles:
        for store_name in stores:
            mb.cast(town.ref(store_name), Donate(Book(title, name)))
    return {store_name: mb.call(town.ref(store_name), ListBooks()) for store_name in stores}


def customer(town: Town, titles: Sequence[str]) -> dict[str, list[Book]]:
    """Get a copy of each title from each store."""
    stores = town.keys()
    return {
        store_name: [mb.call(town.ref(store_name), GetBook(title)) for title in titles]
        for store_name in stores
    }


def latecomer(town: Town, store_name: str) -> str:
    """Wait for a book that nobody donates, in a store that closes; return what comes of it."""
    reply = mb.ask(town.ref(store_name), GetBook("The Missing Volume"))
    town.remove(store_name, drain=True)
    try:
        book: Book = reply.result()
    except mb.CallError as error:
        return type(error).__name__
    return book.title


@dataclass(frozen=True, slots=True)
class Day:
    """What happened."""

    seen: list[dict[str, tuple[Book, ...]]]
    """For each donor, the shelf of each store when it had donated."""
    sold: list[dict[str, list[Book]]]
    """For each customer, what it got in each store."""
    left: dict[str, tuple[Book, ...]]
    """What each store has left."""
    told: dict[str, str]
    """For each store, what a customer gets who still waits when it closes."""


def run(*, stores: int, donors: int, customers: int, titles: int) -> Day:
    """Have them all in town at once.

    Raises:
        ValueError: if there are more customers than copies of a book: some would wait for ever.
    """
    if customers > donors:
        raise ValueError(f"{donors} donors cannot serve {customers} customers")
    names = [f"title {number}" for number in range(1, titles + 1)]
    start = threading.Barrier(donors + customers)

    def at_once[R](person: Callable[[], R]) -> R:
        start.wait()
        return person()

    with mb.Pool(store, name="town") as town, ThreadPoolExecutor(donors + customers) as people:
        for number in range(1, stores + 1):
            town.initialize(f"store {number}")
        giving = [
            people.submit(at_once, lambda name=f"donor {number}": donor(town, name, names))
            for number in range(1, donors + 1)
        ]
        getting = [people.submit(at_once, lambda: customer(town, names)) for _ in range(customers)]
        seen = [person.result() for person in giving]
        sold = [person.result() for person in getting]
        left = {name: mb.call(town.ref(name), ListBooks()) for name in sorted(town.keys())}
        told = {name: latecomer(town, name) for name in left}
    return Day(seen, sold, left, told)


def main() -> None:
    """Print a day in town."""
    day = run(stores=2, donors=3, customers=2, titles=10)
    for name, left in day.left.items():
        sold = sum(len(books[name]) for books in day.sold)
        print(f"{name}: {sold} sold, {len(left)} left; a latecomer gets {day.told[name]}")


if __name__ == "__main__":
    main()
