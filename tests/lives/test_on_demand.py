"""Keys that start at their first message."""

import collections
import itertools
from collections.abc import Callable, Generator
from typing import Any, Final, Literal

import pytest

from tests.helpers import run_together, until
from threadpool_mb import (
    Blocking,
    Call,
    Command,
    DeadLetter,
    Dispatch,
    Mailbox,
    MailboxConfig,
    NonBlocking,
    Pool,
    PoolClosed,
    Unlimited,
    WorkerExit,
    ask,
    call,
)

type Kind = Literal["generator", "function"]

KINDS: Final[list[Kind]] = ["generator", "function"]


class Get(Command[object]):
    """Asks for the key."""


def worker_of(kind: Kind, handle: Callable[[Any, Any], object]) -> Any:  # noqa: ANN401 - of either kind
    """Return a worker that has each message handled."""

    def generator(key: Any) -> Generator[None, Any]:  # noqa: ANN401 - any key
        while True:
            handle(key, (yield))

    def function(key: Any, mailbox: Mailbox[Any]) -> None:  # noqa: ANN401 - any key
        for message in mailbox:
            handle(key, message)

    return generator if kind == "generator" else function


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Return each kind of worker."""
    kind: Kind = request.param
    return kind


def test_the_first_message_of_a_key_starts_its_worker(kind: Kind) -> None:
    handled = list[tuple[object, object]]()
    letters = list[DeadLetter[str, int]]()

    with Pool(
        worker_of(kind, lambda *each: handled.append(each)),
        start="on_demand",
        on_dead_letter=letters.append,
    ) as pool:
        taken = [pool.dispatch("a", 1), pool.dispatch("a", 2)]
        many = pool.dispatch_many("b", [3, 4])
        through = pool.ref("c").deliver(5), pool.input.deliver(Dispatch("c", 6))
        alive = set(pool.keys())

    assert taken == [True, True]
    assert many == 2
    assert through == (True, True)
    assert alive == {"a", "b", "c"}
    assert collections.Counter(handled) == dict.fromkeys(zip("aabbcc", range(1, 7), strict=True), 1)
    assert letters == []
    assert pool.stats().started == 3


def reply_key(key: object, message: Call[object]) -> None:
    """Answer a call."""
    message.reply_box.reply(key)


def test_a_call_starts_the_worker_that_answers_it(kind: Kind) -> None:
    with Pool(worker_of(kind, reply_key), start="on_demand") as pool:
        assert call(pool.ref("a"), Get()) == "a"
        assert ask(pool.ref("b"), Get()).result(timeout=15) == "b"
        assert call(pool.ref("c"), Get(), timeout=15) == "c"


@pytest.mark.parametrize("config", [Unlimited(), Blocking(1), NonBlocking(100)], ids=str)
def test_first_messages_of_many_senders_meet_in_one_worker(
    kind: Kind, config: MailboxConfig
) -> None:
    senders, messages, keys = 4, 12, 3
    handled = collections.defaultdict[object, list[tuple[int, int]]](list)

    def handle(key: object, message: tuple[int, int]) -> None:
        handled[key].append(message)

    with Pool(worker_of(kind, handle), start="on_demand", mailbox=config) as pool:

        def send(sender: int) -> None:
            for number in range(messages):
                for key in range(keys):
                    assert pool.dispatch(key, (sender, number))

        run_together(*(lambda sender=sender: send(sender) for sender in range(senders)))  # type: ignore[misc]

    assert pool.stats().started == keys
    for key in range(keys):
        for sender in range(senders):
            of_sender = [number for who, number in handled[key] if who == sender]
            assert of_sender == list(range(messages))


def test_a_worker_that_returns_makes_room_for_the_next_one_and_nothing_waits_in_vain(
    kind: Kind,
) -> None:
    exits = list[WorkerExit[str]]()
    handled = list[int]()
    letters = list[DeadLetter[str, int]]()

    def one_each(_key: str) -> Generator[None, int]:
        handled.append((yield))

    def one_each_function(_key: str, mailbox: Mailbox[int]) -> None:
        handled.append(mailbox.receive())

    with Pool(
        one_each if kind == "generator" else one_each_function,
        start="on_demand",
        on_worker_exit=exits.append,
        on_dead_letter=letters.append,
    ) as pool:
        assert pool.dispatch_many("a", range(50)) == 50

    assert handled == list(range(50))
    assert letters == []
    numbers = [each.incarnation for each in exits]
    assert numbers == sorted(set(numbers))


def test_a_worker_that_fails_leaves_dead_letters_and_the_next_message_starts_another(
    kind: Kind,
) -> None:
    handled = list[object]()
    letters = list[DeadLetter[str, object]]()

    def handle(_key: object, message: object) -> None:
        if message == "boom":
            raise ValueError("boom")
        handled.append(message)

    with Pool(worker_of(kind, handle), start="on_demand", on_dead_letter=letters.append) as pool:
        pool.dispatch("a", "boom")
        until(lambda: pool.stats().failed)
        until(lambda: "a" not in pool)
        pool.dispatch("a", "after")

    assert handled == ["after"]
    assert letters == []


def test_a_closed_pool_starts_nothing(kind: Kind) -> None:
    pool = Pool[str, int](worker_of(kind, lambda *_: None), start="on_demand")
    with pool:
        pass

    with pytest.raises(PoolClosed, match="takes no message for key 'a'"):
        pool.dispatch("a", 1)
    assert pool.stats().started == 0


def test_a_worker_that_has_closed_its_own_mailbox_is_followed_by_another() -> None:
    handled = list[tuple[int, int]]()
    numbers = itertools.count()

    def worker(_key: str, mailbox: Mailbox[int]) -> None:
        number = next(numbers)
        for message in mailbox:
            handled.append((number, message))
            mailbox.close()

    with Pool(worker, start="on_demand") as pool:
        for message in range(5):
            assert pool.dispatch("a", message)

    assert [message for _, message in handled] == list(range(5))


def test_initialize_starts_a_worker_without_a_message_and_tells_of_one_that_is_there() -> None:
    handled = list[tuple[object, object]]()
    letters = list[DeadLetter[str, int]]()

    with Pool(
        worker_of("generator", lambda *each: handled.append(each)),
        start="on_demand",
        on_dead_letter=letters.append,
    ) as pool:
        assert pool.initialize("a", 0)
        assert not pool.initialize("a", 1)
        assert pool.dispatch("a", 2)

    assert handled == [("a", 0), ("a", 2)]
    assert [(each.message, each.reason) for each in letters] == [(1, "duplicate initialize")]
