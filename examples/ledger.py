"""A ledger: entries by account, booked in one transaction for each busy time of an account.

**Problem.** Many senders book entries for many accounts. Nobody knows the accounts before. A
transaction is expensive, so that an account keeps one open while entries come, and commits it when
none has come for a while. Senders that are faster than the ledger must wait, and not fill the
memory. What was not committed must be as if it had not been booked.

**Solution.** An account is a key. `start="on_demand"` starts its worker at its first entry, and
again at the first entry after its worker has ended. `idle_timeout` ends the worker of an account
that is quiet. `mb.Blocking(limit)` holds up the senders of an account that has `limit` entries
waiting, and no other sender. The worker has the transaction in its `with`, and `until_drained`
innermost: so a clean end of the worker (quiet, or the pool is closed) is a normal exit of the
transaction, which commits. An error, `remove` and `cancel` are exceptions, on which it rolls back.

Read: `Books`, which stands for a database; `account`, the worker; `book_all`, which runs senders.
"""

import contextlib
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import threadpool_mb as mb

type Entry = tuple[str, int]
"""An account, and an amount."""


class Books:
    """What was committed, by account."""

    def __init__(self) -> None:
        self.committed: dict[str, list[int]] = {}
        """The amounts of each account, in the order in which they were booked."""
        self.rolled_back: dict[str, list[int]] = {}
        """The amounts that an account had not committed when it was stopped, or failed."""

    @contextlib.contextmanager
    def transaction(self, account: str) -> Generator[list[int]]:
        """Collect amounts; commit them all at a normal exit, and none after an exception."""
        amounts: list[int] = []
        try:
            yield amounts
        except BaseException:
            self.rolled_back.setdefault(account, []).extend(amounts)
            raise
        self.committed.setdefault(account, []).extend(amounts)


def ledger(
    books: Books, *, limit: int = 16, idle_timeout: float | None = None
) -> mb.Pool[str, int]:
    """Return a pool that books amounts by account.

    Args:
        books: where they are committed.
        limit: the most amounts that wait for an account; a sender of one more waits.
        idle_timeout: seconds after which an account that is quiet commits.
    """

    def account(name: str) -> Generator[None, int]:
        with books.transaction(name) as amounts, mb.until_drained():
            while True:
                amount = yield
                if amount == 0:
                    raise ValueError(f"{name}: an entry of 0")
                amounts.append(amount)

    return mb.Pool(
        account,
        mailbox=mb.Blocking(limit),
        start="on_demand",
        idle_timeout=idle_timeout,
        name="ledger",
    )


def book_all(pool: mb.Pool[str, int], senders: Sequence[Iterable[Entry]]) -> int:
    """Have each sender book its entries, all senders at the same time; return how many."""
    with ThreadPoolExecutor(len(senders)) as threads:
        return sum(threads.map(pool.dispatch_all, senders))


def main() -> None:
    """Book the entries of four shops for three accounts; roll one account back."""
    books = Books()
    shops = [
        [(name, shop * 1_000 + number) for number in range(1, 101) for name in ("ann", "bob")]
        for shop in range(1, 5)
    ]
    with ledger(books, limit=8, idle_timeout=5.0) as pool:
        book_all(pool, shops)
        pool.dispatch_all([("eve", 5), ("eve", 7)])
        pool.flush("eve")
        pool.remove("eve")  # not `drain=True`: what she has booked is not to count
    for name, amounts in sorted(books.committed.items()):
        print(f"{name}: {len(amounts)} entries, {sum(amounts)} in all")
    print("rolled back:", books.rolled_back)


if __name__ == "__main__":
    main()
