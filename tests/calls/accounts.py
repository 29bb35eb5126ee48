"""An account that is served: commands, notices, and their handlers."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.calls.doubles import (
    Boom,
    Place,
)
from threadpool_mb import (
    Call,
    Command,
    Input,
    KeyInput,
    Notice,
    handles,
    handles_call,
    serve,
    server,
)


class Balance(Command[int]):
    """Asks for the total."""


class Withdraw(Command[int]):
    """Fails."""


class Later(Command[str]):
    """Is answered with the next deposit."""


class Twice(Command[str]):
    """Is answered twice."""


class Raise(Command[str]):
    """Raises without, or after, an answer."""

    def __init__(self, *, answered: bool) -> None:
        self.answered = answered


class Deposit(Notice):
    """Adds something."""

    def __init__(self, amount: int) -> None:
        self.amount = amount

    def __repr__(self) -> str:
        return f"Deposit({self.amount})"


class Unknown(Command[int]):
    """Nobody handles it."""

    def __repr__(self) -> str:
        return "Unknown()"


class Account:
    """Handles some of them."""

    def __init__(self, key: object = "a") -> None:
        self.key = key
        self.total = 0
        self.waiting: list[Call[str]] = []

    @handles(Balance)
    def balance(self, command: Balance) -> int:
        return self.total

    @handles(Deposit)
    def deposit(self, notice: Deposit) -> None:
        if notice.amount < 0:
            raise Boom("deposit")
        self.total += notice.amount
        while self.waiting:
            self.waiting.pop().reply_box.reply(f"now {self.total}")

    @handles(Withdraw)
    def withdraw(self, command: Withdraw) -> int:
        raise Boom("withdraw")

    @handles_call(Later)
    def later(self, received: Call[str]) -> None:
        self.waiting.append(received)

    @handles_call(Twice)
    def twice(self, received: Call[str]) -> None:
        received.reply_box.reply("first")
        received.reply_box.reply("second")

    @handles_call(Raise)
    def raising(self, received: Call[str]) -> None:
        if isinstance(received.command, Raise) and received.command.answered:
            received.reply_box.reply("answered")
        raise Boom("raised")


def served_mailbox(place: Place, **options: Any) -> Input[Any]:  # noqa: ANN401 - what it takes
    """Return the input of a mailbox that a thread serves."""
    return place.served(serve=lambda mailbox: serve(mailbox, Account(), **options))


def served_pool(place: Place, **options: Any) -> Input[Any]:  # noqa: ANN401 - what it takes
    """Return the input of a worker that is a server."""
    return place.pool("generator", "a", name="p", worker=server(Account, **options)).ref("a")


def whose(target: Input[Any]) -> str:
    """Return how a log line of who serves an input begins: a pool's worker is named."""
    return "p 'a': " if isinstance(target, KeyInput) else ""


def logged(caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    """Return the lines of the server's log, and forget them: they hold what was handled."""
    lines = [record.message for record in caplog.records]
    caplog.clear()
    return iter(lines)
