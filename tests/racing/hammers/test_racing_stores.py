"""Hammers of `Sliding` and `Prioritized` in pools: what was sent, and what became of it."""

import collections
import random
import threading
from collections.abc import Callable
from typing import Any, Final

import pytest

import threadpool_mb as mb
from tests.helpers import DEADLINE, run_together
from tests.lives.test_on_demand import KINDS, Kind, worker_of

pytestmark = pytest.mark.racing

type Message = tuple[int, int, int]
"""Its priority, its sender, and how many the sender has sent to any key before."""

KEYS: Final = "abc"
SENDERS: Final = 8
EACH_SENDS: Final = 90

both_kinds = pytest.mark.parametrize("kind", KINDS)


def first(message: Message) -> int:
    """Return a message's priority."""
    return message[0]


class Say(mb.Command[int]):
    """Asks for its own number."""

    def __init__(self, number: int) -> None:
        self.number: Final = number


class Account:
    """What each key was sent, and what became of it."""

    def __init__(self, kind: Kind, **options: Any) -> None:  # noqa: ANN401 - what `Pool` takes
        self.sent: Final[dict[str, list[Message]]] = {key: [] for key in KEYS}
        self.handled: Final[dict[str, list[Message]]] = {key: [] for key in KEYS}
        self.letters: Final[list[mb.DeadLetter[str, Message]]] = []
        self._lock: Final = threading.Lock()
        chance = random.Random(3)  # noqa: S311 - no secret
        self._plan: Final = {
            sender: [(chance.randrange(4), sender, number) for number in range(EACH_SENDS)]
            for sender in range(SENDERS)
        }
        self.pool: Final[mb.Pool[str, Message]] = mb.Pool(
            worker_of(kind, lambda key, message: self.handled[key].append(message)),
            on_dead_letter=self.letters.append,
            **options,
        )

    def sender(self, number: int) -> Callable[[], None]:
        """Return what sends one sender's messages, to one key after the other."""

        def send() -> None:
            for count, message in enumerate(self._plan[number]):
                key = KEYS[count % len(KEYS)]
                self.pool.dispatch(key, message)
                with self._lock:
                    self.sent[key].append(message)

        return send

    def senders(self) -> list[Callable[[], None]]:
        """Return what all senders do."""
        return [self.sender(number) for number in range(SENDERS)]

    def dead(self, key: str) -> list[Message]:
        """Return the dead letters of a key."""
        return [letter.message for letter in self.letters if letter.key == key]

    def check(self, *, in_order: Callable[[Message], object]) -> None:
        """Compare the maps; a sender's messages of one `in_order` are handled as they were sent."""
        came = {key: sorted(self.handled[key] + self.dead(key)) for key in KEYS}
        assert came == {key: sorted(messages) for key, messages in self.sent.items()}
        for messages in self.handled.values():
            rows = collections.defaultdict[object, list[int]](list)
            for message in messages:
                rows[message[1], in_order(message)].append(message[2])
            assert all(row == sorted(row) for row in rows.values()), rows


def alike(_message: Message) -> None:
    """Have all messages of a sender in one row."""


@both_kinds
@pytest.mark.parametrize("limit", [1, 3, 20])
def test_every_message_to_a_sliding_mailbox_is_handled_or_displaced(kind: Kind, limit: int) -> None:
    account = Account(kind, mailbox=mb.Sliding(limit), start="on_demand")

    with account.pool as pool:
        run_together(*account.senders(), lambda: pool.flush(timeout=DEADLINE))
        for key in KEYS:
            pool.dispatch(key, (0, SENDERS, 0))
            account.sent[key].append((0, SENDERS, 0))

    account.check(in_order=alike)
    assert {messages[-1] for messages in account.handled.values()} == {(0, SENDERS, 0)}
    assert {letter.reason for letter in account.letters} <= {mb.DeadLetterReason.DISPLACED}


@both_kinds
@pytest.mark.parametrize(
    "config",
    [mb.Unlimited(), mb.Blocking(4), mb.NonBlocking(4), mb.Waiting(4, deliver_timeout=0.0001)],
    ids=repr,
)
def test_every_message_to_a_sorted_mailbox_is_handled_in_its_row_or_refused(
    kind: Kind,
    config: Any,  # noqa: ANN401 - one of four kinds
) -> None:
    account = Account(kind, mailbox=mb.Prioritized(config, first), start="on_demand")

    with account.pool as pool:
        run_together(*account.senders(), lambda: pool.flush(timeout=DEADLINE))

    account.check(in_order=first)
    assert {letter.reason for letter in account.letters} <= {mb.DeadLetterReason.REFUSED}


@both_kinds
@pytest.mark.parametrize(
    "config",
    [mb.Sliding(2), mb.Prioritized(mb.Unlimited(), first), mb.Prioritized(mb.Blocking(2), first)],
    ids=["Sliding", "Prioritized", "Prioritized(Blocking)"],
)
def test_workers_that_are_removed_and_drained_among_senders_lose_nothing(
    kind: Kind, config: mb.MailboxConfig
) -> None:
    account = Account(kind, mailbox=config, start="on_demand")

    def remove() -> None:
        for number in range(60):
            pool.remove(KEYS[number // 2 % len(KEYS)], drain=number % 2 == 1)

    with account.pool as pool:
        run_together(*account.senders(), remove)

    account.check(in_order=alike if isinstance(config, mb.Sliding) else first)


@both_kinds
@pytest.mark.parametrize(
    "config",
    [mb.Sliding(2), mb.Prioritized(mb.Unlimited(), first)],
    ids=["Sliding", "Prioritized"],
)
def test_idle_ends_among_senders_lose_nothing_and_keep_each_senders_order(
    kind: Kind, config: mb.MailboxConfig
) -> None:
    account = Account(kind, mailbox=config, start="on_demand", max_keys=1)

    with account.pool:
        run_together(*account.senders())

    account.check(in_order=alike if isinstance(config, mb.Sliding) else first)
    assert {letter.reason for letter in account.letters} <= {mb.DeadLetterReason.DISPLACED}


@both_kinds
def test_every_caller_of_a_sliding_mailbox_gets_an_answer_or_is_told(kind: Kind) -> None:
    letters: list[Any] = []
    outcomes: dict[int, list[str]] = {caller: [] for caller in range(SENDERS)}

    def handle(_key: str, message: mb.Call[int]) -> None:
        message.reply_box.reply(message.command.number)

    def call_as(caller: int) -> Callable[[], None]:
        def run() -> None:
            for number in range(40):
                try:
                    answer = mb.call(pool.ref("a"), Say(number), timeout=DEADLINE)
                except mb.CallNotDelivered as error:
                    outcomes[caller].append(error.reason)
                else:
                    assert answer == number
                    outcomes[caller].append("answered")

        return run

    with mb.Pool(
        worker_of(kind, handle),
        mailbox=mb.Sliding(2),
        start="on_demand",
        inline_calls=False,
        on_dead_letter=letters.append,
    ) as pool:
        run_together(*(call_as(caller) for caller in outcomes))

    counted = collections.Counter(each for each_caller in outcomes.values() for each in each_caller)
    assert counted.total() == SENDERS * 40
    assert set(counted) <= {"answered", "displaced"}
    assert counted["displaced"] == len(letters)
