"""`aio.deliver`: a task waits for room, and no thread does."""

import asyncio
import contextlib
import threading
from typing import Any

import pytest

import threadpool_mb as mb
from tests.aio.doubles import run, until_in_loop
from tests.helpers import Running, until
from tests.insides import roster_of


def full(config: mb.MailboxConfig) -> mb.Mailbox[int]:
    """Return a mailbox that holds as many messages as its limit allows: 0, 1, 2 …"""
    mailbox: mb.Mailbox[int] = config.create()
    for number in range(config.limit or 0):
        assert mailbox.new_input().deliver(number)
    return mailbox


def asking(mailbox: mb.Mailbox[Any]) -> int:
    """Return how many wait for room elsewhere."""
    return len(getattr(mailbox, "wrapped", mailbox).slots.askers)


@pytest.mark.parametrize("config", [mb.Unlimited(), mb.Blocking(1)], ids=repr)
def test_a_message_goes_in_where_there_is_room(config: mb.MailboxConfig) -> None:
    mailbox: mb.Mailbox[int] = config.create()

    assert run(mb.aio.deliver(mailbox.new_input(), 1)) is True
    assert mailbox.receive() == 1


@pytest.mark.parametrize(
    "config",
    [mb.Blocking(2), mb.Waiting(2, deliver_timeout=60), mb.CatchAll(mb.Blocking(2))],
    ids=repr,
)
def test_tasks_that_wait_are_served_in_their_order(config: mb.MailboxConfig) -> None:
    mailbox = full(config)

    async def main() -> list[bool]:
        target = mailbox.new_input()
        tasks = [asyncio.create_task(mb.aio.deliver(target, n)) for n in range(2, 50)]
        await until_in_loop(lambda: asking(mailbox) == 48)
        receiver = Running(lambda: [mailbox.receive() for _ in range(50)])
        delivered = await asyncio.gather(*tasks)
        assert receiver.result() == list(range(50))
        return delivered

    assert run(main()) == [True] * 48


@pytest.mark.parametrize("how", ["receive", "receive_many", "iterate", "after a claim"])
def test_whatever_way_a_message_is_taken_who_waits_for_room_is_told(how: str) -> None:
    mailbox = full(mb.Blocking(1))

    def take() -> None:
        match how:
            case "receive":
                mailbox.receive()
            case "receive_many":
                mailbox.receive_many(1)
            case "iterate":
                next(iter(mailbox))
            case _:
                mailbox.try_receive().result()

    async def main() -> bool:
        task = asyncio.create_task(mb.aio.deliver(mailbox.new_input(), 1))
        await until_in_loop(lambda: asking(mailbox))
        Running(take).result()
        return await task

    assert run(main()) is True


def test_closing_wakes_who_waits() -> None:
    mailbox = full(mb.Blocking(1))

    async def main() -> None:
        tasks = [asyncio.create_task(mb.aio.deliver(mailbox.new_input(), 1)) for _ in range(5)]
        await until_in_loop(lambda: asking(mailbox) == 5)
        mailbox.close()
        for task in tasks:
            with pytest.raises(mb.MailboxClosed):
                await task

    run(main())
    assert list(mailbox) == [0]


def test_a_cancelled_task_has_delivered_nothing_and_the_next_one_gets_the_room() -> None:
    mailbox = full(mb.Blocking(1))

    async def main() -> None:
        target = mailbox.new_input()
        first, second = (asyncio.create_task(mb.aio.deliver(target, n)) for n in (7, 8))
        await until_in_loop(lambda: asking(mailbox) == 2)
        # It is told of the room, and cancelled before it can take it.
        assert mailbox.receive() == 0
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await second

    run(main())
    assert mailbox.receive() == 8
    assert len(mailbox) == 0


def test_one_that_refuses_does_so_at_once() -> None:
    mailbox = full(mb.NonBlocking(1))

    assert run(mb.aio.deliver(mailbox.new_input(), 1)) is False


def test_one_that_waits_for_a_time_refuses_after_that() -> None:
    mailbox = full(mb.Waiting(1, deliver_timeout=0.01))

    assert run(mb.aio.deliver(mailbox.new_input(), 1)) is False
    assert asking(mailbox) == 0


@pytest.mark.parametrize("config", [mb.NonBlocking(1), mb.Waiting(1, deliver_timeout=0.01)])
def test_what_a_worker_s_mailbox_refuses_is_one_dead_letter(config: mb.MailboxConfig) -> None:
    letters: list[mb.DeadLetter[str, int]] = []
    stuck = threading.Event()

    def worker(key: str, mailbox: mb.Mailbox[int]) -> None:
        stuck.wait(15)
        for _ in mailbox:
            pass

    with mb.Pool(worker, mailbox=config, on_dead_letter=letters.append) as pool:
        pool.initialize("key", 0)

        assert run(mb.aio.deliver(pool.ref("key"), 1)) is False
        stuck.set()

    assert [(letter.message, letter.reason) for letter in letters] == [
        (1, mb.DeadLetterReason.REFUSED)
    ]


def test_a_generator_worker_s_full_mailbox_is_waited_for() -> None:
    handled: list[int] = []
    stuck, begun = threading.Event(), threading.Event()

    def worker(key: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
        while True:
            message = yield
            begun.set()
            stuck.wait(15)
            handled.append(message)

    async def main() -> bool:
        task = asyncio.create_task(mb.aio.deliver(pool.ref("key"), 2))
        slots = roster_of(pool).routes["key"].mailbox.slots  # type: ignore[attr-defined]
        await until_in_loop(lambda: slots.askers)
        stuck.set()
        return await task

    with mb.Pool(worker, mailbox=mb.Blocking(1)) as pool:
        pool.initialize("key", 0)
        begun.wait(15)
        pool.dispatch("key", 1)

        assert run(main())

    assert handled == [0, 1, 2]


def test_a_users_own_input_is_refused() -> None:
    class Own:
        def deliver(self, message: int, /) -> bool:
            return True

    with pytest.raises(TypeError, match="one of threadpool_mb's"):
        run(mb.aio.deliver(Own(), 1))


@pytest.mark.racing
def test_of_tasks_and_threads_that_race_for_room_nobody_is_left_out() -> None:
    mailbox: mb.Mailbox[tuple[str, int]] = mb.Blocking(2).create()
    target = mailbox.new_input()
    most = 0

    def receive() -> list[tuple[str, int]]:
        nonlocal most
        received = []
        for _ in range(600):
            most = max(most, len(mailbox))
            received.append(mailbox.receive())
        return received

    def send() -> None:
        for number in range(200):
            target.deliver(("thread", number))

    async def tasks(name: str) -> None:
        await asyncio.gather(*(mb.aio.deliver(target, (name, n)) for n in range(200)))

    receiver, thread = Running(receive), Running(send)
    loops = [Running(lambda name=name: run(tasks(name))) for name in ("loop", "other")]  # type: ignore[misc]

    received = receiver.result()
    for each in (thread, *loops):
        each.result()
    assert sorted(received) == sorted(
        (n, i) for n in ("thread", "loop", "other") for i in range(200)
    )
    assert [n for name, n in received if name == "thread"] == list(range(200))
    assert most <= 2


@pytest.mark.racing
def test_of_tasks_that_are_cancelled_while_room_comes_none_takes_it_along() -> None:
    mailbox: mb.Mailbox[int] = mb.Blocking(1).create()
    target = mailbox.new_input()
    stop = threading.Event()

    def receive() -> list[int]:
        received = []
        while not (stop.is_set() and not len(mailbox)):
            with contextlib.suppress(mb.MailboxEmpty):
                received.append(mailbox.receive(timeout=0.001))
        return received

    async def main() -> list[int]:
        tasks = [asyncio.create_task(mb.aio.deliver(target, n)) for n in range(300)]
        for number, task in enumerate(tasks):
            if number % 3 == 0:
                await asyncio.sleep(0)
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return [number for number, result in enumerate(results) if result is True]

    receiver = Running(receive)
    delivered = run(main())
    stop.set()

    assert sorted(receiver.result()) == delivered
    until(lambda: asking(mailbox) == 0)
