"""Generator workers that wait in a mailbox of their own: the thread is needed by those who send."""

from collections.abc import Callable, Generator
from typing import Any

import pytest

import threadpool_mb as mb
from tests.helpers import DEADLINE, until

WAYS: dict[str, Callable[[mb.Mailbox[Any]], object]] = {
    "receive": lambda mailbox: mailbox.receive(),
    "receive in time": lambda mailbox: mailbox.receive(timeout=DEADLINE),
    "receive many": lambda mailbox: mailbox.receive_many(1)[0],
    "iterate": lambda mailbox: next(iter(mailbox)),
    "future": lambda mailbox: mailbox.try_receive().result(),
}


@pytest.mark.parametrize("config", [mb.Unlimited(), mb.Blocking(1)], ids=repr)
@pytest.mark.parametrize("way", WAYS)
def test_a_worker_that_receives_what_another_one_sends_does_not_starve_it_of_its_thread(
    way: str, config: mb.MailboxConfig
) -> None:
    mailbox: mb.Mailbox[str] = config.create()
    received: list[object] = []

    def worker(key: str) -> Generator[None, str]:
        while True:
            yield
            if key == "receiver":
                received.append(WAYS[way](mailbox))
            else:
                mailbox.new_input().deliver("from the sender")

    with mb.Pool(worker, max_threads=1) as pool:
        for key in ("receiver", "sender"):
            pool.initialize(key)
            pool.dispatch(key, "go")
        until(lambda: received)

    assert received == ["from the sender"]


def test_a_worker_that_waits_for_room_does_not_starve_the_one_that_makes_it() -> None:
    mailbox: mb.Mailbox[int] = mb.Blocking(1).create()
    received: list[int] = []

    def worker(key: str) -> Generator[None, str]:
        while True:
            yield
            if key == "sender":
                for number in range(5):
                    mailbox.new_input().deliver(number)
            else:
                received.extend(mailbox.receive() for _ in range(5))

    with mb.Pool(worker, max_threads=1) as pool:
        for key in ("sender", "receiver"):
            pool.initialize(key)
            pool.dispatch(key, "go")
        until(lambda: len(received) == 5)

    assert received == [0, 1, 2, 3, 4]


def test_of_two_futures_whose_threads_take_turns_to_lead_none_starves_the_sender() -> None:
    mailbox: mb.Mailbox[int] = mb.Unlimited().create()
    received: list[int] = []

    def worker(key: str) -> Generator[None, str]:
        while True:
            yield
            if key == "sender":
                for number in range(2):
                    mailbox.new_input().deliver(number)
            else:
                received.append(mailbox.try_receive().result())

    with mb.Pool(worker, max_threads=2) as pool:
        for key in ("first", "second", "sender"):
            pool.initialize(key)
            pool.dispatch(key, "go")
        until(lambda: len(received) == 2)

    assert sorted(received) == [0, 1]
