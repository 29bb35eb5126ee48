"""A bank: accounts by key, transfers that one account hands on to the other, and an audit.

Shows `delegate`. A transfer is one call: the source withdraws and hands the call on, the target
deposits and answers. Neither waits for the other, so that transfers in a circle cannot deadlock.

Read: the messages; `Account`, above all `_withdraw`; `Bank`; `run`, where tellers transfer at the
same time, now and then to an account that does not exist.

Leans on:

- **One at a time.** An account has no lock, and is never overdrawn.
- **Accounting.** `delegate` returns `False` if the other account did not take the call, and has
  told the caller: then the money is put back. What it did take, the other account will see: one
  that is closed with `drain=True` handles its backlog first.
- **Order.** The money is put back before the source handles anything else; so whoever was told that
  a transfer was not delivered finds it there.
- **Everyone is answered**, with a receipt or an error that says why.

A caller may have given up when the target gets its call: `reply_box.expired`. The target deposits
all the same, since the money is on its way. That is why an account matches on what it gets and is
no `mb.server`, which does not handle what nobody waits for.

While transfers are under way an audit may miss what is on its way, or count it twice: accounts are
asked one by one. It is exact when all transfers were answered.
"""

import random
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import threadpool_mb as mb


class InsufficientFunds(Exception):
    """The account has less than was to be withdrawn."""


@dataclass(frozen=True, slots=True)
class Deposit(mb.Notice):
    """Take this money in."""

    amount: int


@dataclass(frozen=True, slots=True)
class GetBalance(mb.Command[int]):
    """How much is there?"""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transfer was booked."""

    amount: int
    balance: int
    """Of the target."""


@dataclass(frozen=True, slots=True)
class Transfer(mb.Command[Receipt]):
    """Send this money from one account to another; for the source."""

    source: str
    target: str
    amount: int

    def __post_init__(self) -> None:
        """Check it."""
        if self.source == self.target or self.amount <= 0:
            raise ValueError(f"not a transfer: {self}")


type Accounts = mb.Pool[str, mb.Request]


class Account:
    """One account. What it gets it handles in order, one at a time."""

    def __init__(self, name: str, others: Accounts) -> None:
        self.balance = 0
        self._name = name
        self._others = others

    def handle(self, request: mb.Request) -> None:
        """Handle one call or cast."""
        match request:
            case mb.Cast(Deposit(amount)):
                self.balance += amount
            case mb.Call(GetBalance(), reply_box):
                reply_box.reply(self.balance)
            case mb.Call(Transfer(source) as transfer) if source == self._name:
                self._withdraw(transfer, request)
            case mb.Call(Transfer(_, _, amount), reply_box):
                self.balance += amount
                reply_box.reply(Receipt(amount, self.balance))
            case _:
                pass

    def _withdraw(self, transfer: Transfer, received: mb.Call[Receipt]) -> None:
        if received.reply_box.expired:
            return  # nothing has happened yet, and nobody waits for it to happen
        if transfer.amount > self.balance:
            text = f"{self._name} has {self.balance}, not {transfer.amount}"
            received.reply_box.fail(InsufficientFunds(text))
            return
        self.balance -= transfer.amount
        if not mb.delegate(self._others.ref(transfer.target), received):
            self.balance += transfer.amount


class Bank:
    """Accounts by name. Leaving its block closes them all, when what is under way is booked."""

    def __init__(self) -> None:
        self.paid_out: Counter[str] = Counter()
        """What accounts held when they were closed; complete when the bank was left."""
        self._accounts: Accounts = mb.Pool(self._account, name="bank", on_dead_letter=_told)

    def _account(self, name: str) -> Generator[None, mb.Request]:
        account = Account(name, self._accounts)
        try:
            while True:
                account.handle((yield))
        finally:
            # No other worker writes under this name: the next one starts after this has ended.
            self.paid_out[name] += account.balance

    def open(self, name: str, amount: int) -> bool:
        """Open an account with some money in it; `False` if there is one of the name."""
        return self._accounts.initialize(name, mb.Cast(Deposit(amount)))

    def close(self, name: str) -> bool:
        """Close an account, and pay out what it holds once it has booked its backlog."""
        return self._accounts.remove(name, drain=True)

    def transfer(
        self, source: str, target: str, amount: int, *, timeout: float | None = None
    ) -> Receipt:
        """Transfer money.

        Raises:
            CallFailed: if the source has not enough; the cause is an `InsufficientFunds`.
            CallNotDelivered: if there is no such account.
            CallTimedOut: if the timeout ran out; it may have been booked, or be yet.
        """
        command = Transfer(source, target, amount)
        receipt: Receipt = mb.call(self._accounts.ref(source), command, timeout=timeout)
        return receipt

    def audit(self) -> dict[str, int]:
        """Ask all accounts at once for their balances, then wait for each."""
        replies = {
            name: mb.call_async(self._accounts.ref(name), GetBalance())
            for name in sorted(self._accounts.keys())
        }
        return {name: reply.result() for name, reply in replies.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Not the pool's own way, which cancels after an exception: money may be under way.
        self._accounts.drain(timeout=None)


def _told(_: mb.DeadLetter[str, mb.Request]) -> None:
    """Do nothing: a call that was not taken is answered, and no deposit is cast to an old name."""


def teller(bank: Bank, names: list[str], seed: int, transfers: int) -> Counter[str]:
    """Transfer at random; return how often what came of it."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    outcomes: Counter[str] = Counter()
    for _ in range(transfers):
        source, target = chance.sample(names, 2)
        try:
            bank.transfer(source, target, chance.randint(1, 60))
            outcomes["booked"] += 1
        except mb.CallFailed as failed:
            if not isinstance(failed.__cause__, InsufficientFunds):
                raise
            outcomes["refused"] += 1
        except mb.CallNotDelivered:
            outcomes["no such account"] += 1
    return outcomes


def run(*, accounts: int, tellers: int, transfers: int) -> tuple[Counter[str], int, int]:
    """Transfer among accounts of 100 each, then close them; return outcomes, audit, paid out."""
    names = [f"account {number}" for number in range(accounts)]
    with Bank() as bank, ThreadPoolExecutor(tellers) as threads:
        for name in names:
            bank.open(name, 100)
        at_work = [
            threads.submit(teller, bank, [*names, "nobody"], seed, transfers)
            for seed in range(tellers)
        ]
        outcomes = sum((teller.result() for teller in at_work), Counter[str]())
        audited = sum(bank.audit().values())
    return outcomes, audited, bank.paid_out.total()


def main() -> None:
    """Print that nothing was lost."""
    outcomes, audited, paid_out = run(accounts=5, tellers=4, transfers=250)
    print(f"{outcomes.total()} transfers were answered")
    print(f"5 accounts of 100 each hold {audited} in all, and paid out {paid_out}")


if __name__ == "__main__":
    main()
