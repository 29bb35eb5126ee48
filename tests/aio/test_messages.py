"""`aio.messages`: a task receives, and no thread waits."""

import asyncio
import threading
from typing import Any

import pytest

import threadpool_mb as mb
from tests.aio.doubles import run, until_in_loop
from tests.conformance.configs import EVERY
from tests.helpers import Running, in_thread, until
from tests.pool.doubles import Intercepting


@pytest.fixture(params=EVERY, ids=repr)
def mailbox(request: pytest.FixtureRequest) -> mb.Mailbox[int]:
    box: mb.Mailbox[int] = request.param.create()
    return box


async def collect(mailbox: mb.Mailbox[int]) -> list[int]:
    return [message async for message in mb.aio.messages(mailbox)]


def test_messages_of_a_thread_are_received_in_order_until_the_mailbox_is_closed(
    mailbox: mb.Mailbox[int],
) -> None:
    def send() -> None:
        target = mailbox.new_input()
        for number in range(500):
            until(lambda number=number: target.deliver(number))  # type: ignore[misc]
        mailbox.close()

    with in_thread(send):
        assert run(collect(mailbox)) == list(range(500))


def test_what_waits_is_received_though_the_mailbox_is_closed(mailbox: mb.Mailbox[int]) -> None:
    mailbox.new_input().deliver(1)
    mailbox.close()

    assert run(collect(mailbox)) == [1]


def test_closing_wakes_a_task_that_waits(mailbox: mb.Mailbox[int]) -> None:
    async def close_it() -> list[int]:
        task = asyncio.create_task(collect(mailbox))
        await asyncio.sleep(0)
        with in_thread(mailbox.close):
            return await task

    assert run(close_it()) == []


def test_cancelling_the_receiver_raises_cancelled_out_of_the_loop(
    mailbox: mb.Mailbox[int],
) -> None:
    async def cancel_it() -> list[int]:
        task = asyncio.create_task(collect(mailbox))
        await asyncio.sleep(0)
        with in_thread(mailbox.cancel):
            return await task

    with pytest.raises(mb.Cancelled):
        run(cancel_it())


def test_a_cancelled_task_loses_no_message(mailbox: mb.Mailbox[int]) -> None:
    async def cancel_and_go_on() -> list[int]:
        task = asyncio.create_task(collect(mailbox))
        await asyncio.sleep(0)
        task.cancel()
        mailbox.new_input().deliver(1)
        with pytest.raises(asyncio.CancelledError):
            await task
        mailbox.close()
        return await collect(mailbox)

    assert run(cancel_and_go_on()) == [1]


def test_a_loop_that_is_left_can_be_gone_on_with(mailbox: mb.Mailbox[int]) -> None:
    async def two_loops() -> list[int]:
        received = []
        target = mailbox.new_input()
        await mb.aio.deliver(target, 0)
        async for message in mb.aio.messages(mailbox):
            received.append(message)
            break
        await mb.aio.deliver(target, 7)
        mailbox.close()
        return received + await collect(mailbox)

    assert run(two_loops()) == [0, 7]


def test_another_tasks_turn_comes_while_messages_wait() -> None:
    mailbox: mb.Mailbox[int] = mb.Unlimited().create()
    for number in range(200):
        mailbox.new_input().deliver(number)
    mailbox.close()
    seen = []

    async def look(received: list[int]) -> None:
        while len(received) < 200:
            seen.append(len(received))
            await asyncio.sleep(0)

    async def main() -> None:
        received: list[int] = []
        task = asyncio.create_task(look(received))
        async for message in mb.aio.messages(mailbox):
            received.append(message)  # noqa: PERF401 - the other task looks at it
        await task

    run(main())

    assert seen[:4] == [64, 128, 192] or seen[:4] == [0, 64, 128, 192]


def test_a_receive_timeout_is_kept() -> None:
    config = mb.Waiting(4, deliver_timeout=0, receive_timeout=0.01)

    with pytest.raises(mb.MailboxEmpty):
        run(collect(config.create()))


def test_a_users_own_mailbox_is_refused() -> None:
    own: Any = object()

    with pytest.raises(TypeError, match="one of threadpool_mb's"):
        run(collect(own))


def test_a_message_is_not_kept_alive_while_the_next_one_is_waited_for() -> None:
    class Message:
        pass

    alive: list[bool] = []
    mailbox: mb.Mailbox[Message] = mb.Unlimited().create()

    class Noted(Message):
        def __del__(self) -> None:
            alive.append(False)

    async def main() -> None:
        async def receive() -> None:
            async for message in mb.aio.messages(mailbox):
                del message

        task = asyncio.create_task(receive())
        await asyncio.sleep(0)
        mailbox.new_input().deliver(Noted())
        await until_in_loop(lambda: alive)
        mailbox.close()
        await task

    run(main())


def test_a_function_worker_may_run_a_loop_of_its_own() -> None:
    handled: list[int] = []

    async def serve(mailbox: mb.Mailbox[int]) -> None:
        async for message in mb.aio.messages(mailbox):
            await asyncio.sleep(0)
            handled.append(message)

    def worker(key: str, mailbox: mb.Mailbox[int]) -> None:
        asyncio.run(serve(mailbox))

    with mb.Pool(worker) as pool:
        pool.initialize("key")
        for number in range(300):
            pool.dispatch("key", number)

    assert handled == list(range(300))


def test_a_removed_worker_that_receives_so_ends_well() -> None:
    exits: list[mb.WorkerExit[str]] = []
    begun = threading.Event()

    async def serve(mailbox: mb.Mailbox[int]) -> None:
        begun.set()
        async for _ in mb.aio.messages(mailbox):
            pass

    def worker(key: str, mailbox: mb.Mailbox[int]) -> None:
        asyncio.run(serve(mailbox))

    with mb.Pool(worker, on_worker_exit=exits.append) as pool:
        pool.initialize("key")
        begun.wait(15)
        pool.remove("key")

    assert [each.error for each in exits] == [None]


@pytest.mark.racing
@pytest.mark.parametrize("config", [mb.Unlimited(), mb.Blocking(3)], ids=repr)
def test_no_message_of_many_racing_senders_is_lost(config: mb.MailboxConfig) -> None:
    mailbox: mb.Mailbox[tuple[int, int]] = config.create()

    def send(sender: int) -> None:
        target = mailbox.new_input()
        for number in range(200):
            target.deliver((sender, number))

    async def receive() -> dict[int, list[int]]:
        received: dict[int, list[int]] = {sender: [] for sender in range(3)}
        async for sender, number in mb.aio.messages(mailbox):
            received[sender].append(number)
            if sum(map(len, received.values())) == 600:
                break
        return received

    senders = [Running(lambda sender=sender: send(sender)) for sender in range(3)]  # type: ignore[misc]

    assert run(receive()) == {sender: list(range(200)) for sender in range(3)}
    for thread in senders:
        thread.result()


def test_a_mailbox_of_a_users_own_kind_is_refused() -> None:
    mailbox = Intercepting().create()

    with pytest.raises(TypeError, match="a mailbox must be one of threadpool_mb's, not <tests"):
        run(collect(mailbox))
