"""A bank: accounts by key, transfers that one account hands on to the other, and an audit.

Shows `delegate`. A transfer is one call: the source withdraws and hands the call on, the target
deposits and answers. Neither waits for the other, so that transfers in a circle cannot deadlock.

Read: the messages; `Account`, above all `_withdraw`; `Bank`, above all `_not_handled`; `run`, where
tellers transfer at the same time.

Leans on:

- **One at a time.** An account has no lock, and is never overdrawn.
- **Accounting.** A call that was handed on is handled by the target, or is a dead letter (an
  account may be closed just then), or `delegate` returns `False`. So money that is on its way
  arrives or is put back. It may be both that there is a dead letter and that `delegate` returns
  `False`: whoever takes the transfer out of `under_way` has the money, and nobody else.
- **Everyone is answered**, with a receipt or an error that says why.

A caller may have given up when the target gets its call: `reply_box.expired`. The target deposits
all the same, since the money is on its way. That is why an account matches on what it gets and is
no `mb.server`, which does not handle what nobody waits for.

While transfers are under way an audit may miss what is on its way, or count it twice: accounts are
asked one by one. It is exact when all transfers were answered with a receipt, or refused.
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


class NoSuchAccount(Exception):
    """Nobody has an account of that name."""


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


class Account:
    """One account. What it gets it handles in order, one at a time."""

    def __init__(self, name: str, bank: "Bank") -> None:
        self.balance = 0
        self._name = name
        self._bank = bank

    def handle(self, request: mb.originals.Request) -> None:
        """Handle one call or cast."""
        match request:
            case mb.Cast(Deposit(amount)):
                self.balance += amount
            case mb.Call(GetBalance(), reply_box):
                reply_box.reply(self.balance)
            case mb.Call(Transfer(source) as transfer) if source == self._name:
                self._withdraw(transfer, request)
            case mb.Call(Transfer(), reply_box):
                amount = self._bank.take(reply_box.call_id)
                self.balance += amount
                reply_box.reply(Receipt(amount, self.balance))
            case _:
                pass

    def _withdraw(self, transfer: Transfer, received: mb.Call[Receipt]) -> None:
        box, amount, target = received.reply_box, transfer.amount, transfer.target
        if box.expired:
            pass  # nothing has happened yet, and nobody waits for it to happen
        elif amount > self.balance:
            box.fail(InsufficientFunds(f"{self._name} has {self.balance}, not {amount}"))
        elif target not in self._bank.accounts:
            box.fail(NoSuchAccount(target))
        else:
            self.balance -= amount
            self._bank.under_way[box.call_id] = transfer
            if not mb.delegate(self._bank.accounts.ref(target), received):
                self.balance += self._bank.take(box.call_id)


class Bank:
    """Accounts by name. Leaving its block closes them all, when what is under way is booked."""

    def __init__(self) -> None:
        self.under_way: dict[mb.CallId, Transfer] = {}
        """What was withdrawn and not deposited yet."""
        self.paid_out: list[tuple[str, int]] = []
        """What accounts held when they were closed; complete when the bank was left."""
        self.accounts: mb.Pool[str, mb.originals.Request] = mb.Pool(
            self._account, name="bank", on_dead_letter=self._not_handled
        )

    def _account(self, name: str) -> Generator[None, mb.originals.Request]:
        account = Account(name, self)
        try:
            while True:
                account.handle((yield))
        finally:
            self.paid_out.append((name, account.balance))

    def take(self, call_id: mb.CallId) -> int:
        """Take money that is under way; 0 if somebody has taken it."""
        transfer = self.under_way.pop(call_id, None)
        return 0 if transfer is None else transfer.amount

    def _not_handled(self, letter: mb.DeadLetter[str, mb.originals.Request]) -> None:
        """Put the money back."""
        match letter.message:
            case mb.Call(Transfer(source), reply_box) if amount := self.take(reply_box.call_id):
                try:
                    mb.cast(self.accounts.ref(source), Deposit(amount))
                except mb.MailboxClosed:
                    self.paid_out.append((source, amount))
            case mb.Cast(Deposit(amount)):  # to an account that is closed as well
                self.paid_out.append((str(letter.key), amount))
            case _:
                pass  # a call: whoever sent it is told

    def open(self, name: str, amount: int) -> bool:
        """Open an account with some money in it; `False` if there is one of the name."""
        return self.accounts.initialize(name) and mb.cast(self.accounts.ref(name), Deposit(amount))

    def close(self, name: str) -> bool:
        """Close an account, and pay out what it holds once it has booked its backlog."""
        return self.accounts.remove(name, drain=True)

    def transfer(
        self, source: str, target: str, amount: int, *, timeout: float | None = None
    ) -> Receipt:
        """Transfer money.

        Raises:
            CallFailed: because of `InsufficientFunds`, or `NoSuchAccount` as a target.
            CallNotDelivered: if there is no such account as a source.
            CallTimedOut: if the timeout ran out; it may have been booked, or be yet.
            WorkerGone: if an account was closed just then; the money is put back.
        """
        command = Transfer(source, target, amount)
        receipt: Receipt = mb.call(self.accounts.ref(source), command, timeout=timeout)
        return receipt

    def audit(self) -> dict[str, int]:
        """Ask all accounts at once for their balances, then wait for each."""
        replies = {
            name: mb.ask(self.accounts.ref(name), GetBalance())
            for name in sorted(self.accounts.keys())
        }
        return {name: reply.result() for name, reply in replies.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Not the pool's own way, which cancels after an exception: money may be under way.
        self.accounts.drain(timeout=None)


def teller(bank: Bank, names: list[str], seed: int, transfers: int) -> Counter[str]:
    """Transfer at random; return how often what came of it."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    outcomes: Counter[str] = Counter()
    for _ in range(transfers):
        source, target = chance.sample(names, 2)
        try:
            bank.transfer(source, target, chance.randint(1, 60))
            outcomes["Receipt"] += 1
        except mb.CallError as error:
            outcomes[type(error.__cause__ or error).__name__] += 1
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
    return outcomes, audited, sum(amount for _, amount in bank.paid_out)


def main() -> None:
    """Print that nothing was lost."""
    outcomes, audited, paid_out = run(accounts=5, tellers=4, transfers=250)
    print(f"{outcomes.total()} transfers were answered")
    print(f"5 accounts of 100 each hold {audited} in all, and paid out {paid_out}")


if __name__ == "__main__":
    main()
