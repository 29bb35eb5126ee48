"""Staged: a task that waits is told, whatever else moves between two of its steps."""

import asyncio
import threading
from collections.abc import Callable, Generator

import pytest

import threadpool_mb as mb
from tests.aio.doubles import Echo, run, until_in_loop
from tests.helpers import until
from threadpool_mb.aio import doors
from threadpool_mb.aio.waking import Signal
from threadpool_mb.line.askers import Asker


def stuck(mailbox: mb.Mailbox[int]) -> int:
    """Return how many stand in the line."""
    return len(mailbox.new_input().room.askers)  # type: ignore[attr-defined]


def test_one_who_asks_at_a_worker_that_was_replaced_asks_its_successor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The successor is full, too; the old worker's slots were shut before it asked there."""
    handled: list[str] = []
    hold = [threading.Event(), threading.Event()]
    begun: list[str] = []

    def worker(key: str, mailbox: mb.Mailbox[str]) -> None:
        begun.append(key)
        hold[len(begun) - 1].wait(15)
        handled.extend(mailbox)

    def asker(tell: Callable[[], bool], runs: Callable[[], bool]) -> Asker:
        if len(begun) == 1:  # between the first offer and the asking
            pool.remove("key")
            pool.initialize("key", "fills the successor")
            hold[0].set()
            until(lambda: len(begun) == 2)
        return Asker(tell, runs)

    async def main() -> bool:
        task = asyncio.create_task(mb.aio.deliver(pool.ref("key"), "asked for"))
        await until_in_loop(lambda: len(begun) == 2)
        await asyncio.sleep(0)
        hold[1].set()
        return await task

    monkeypatch.setattr(doors, "Asker", asker)
    with mb.Pool(worker, mailbox=mb.Blocking(1), on_dead_letter=lambda _: None) as pool:
        pool.initialize("key", "fills the first")
        until(lambda: begun)

        assert run(main())

    assert handled == ["fills the successor", "asked for"]


def test_a_senders_word_reaches_each_receiver_though_one_of_them_leaves_meanwhile() -> None:
    """The loop's usual finalizing of a generator that was left by `break` takes its waker out."""
    mailbox: mb.Mailbox[int] = mb.Unlimited().create()
    told: list[str] = []
    inlet = mailbox.inlet  # type: ignore[attr-defined]

    def first() -> None:
        told.append("first")
        leave()

    leave = mailbox.wake_with(first)  # type: ignore[attr-defined]
    mailbox.wake_with(lambda: told.append("second"))  # type: ignore[attr-defined]

    mailbox.new_input().deliver(1)

    assert told == ["first", "second"]
    assert len(inlet._wakers) == 1


def test_a_task_of_a_closed_loop_is_passed_over() -> None:
    mailbox: mb.Mailbox[int] = mb.Blocking(1).create()
    target = mailbox.new_input()
    target.deliver(0)
    loop = asyncio.new_event_loop()
    dead = loop.create_task(mb.aio.deliver(target, 1))
    loop.run_until_complete(until_in_loop(lambda: stuck(mailbox)))
    loop.close()

    async def alive() -> bool:
        task = asyncio.create_task(mb.aio.deliver(target, 2))
        await until_in_loop(lambda: stuck(mailbox) == 2)
        assert mailbox.receive() == 0
        return await task

    assert run(alive())
    coroutine = dead.get_coro()
    assert coroutine is not None
    coroutine.close()
    dead._log_destroy_pending = False  # type: ignore[attr-defined]


def test_those_that_have_withdrawn_do_not_pile_up() -> None:
    mailbox: mb.Mailbox[int] = mb.Blocking(1).create()
    target = mailbox.new_input()
    target.deliver(0)

    async def main() -> int:
        waiting = [asyncio.create_task(mb.aio.deliver(target, 1)) for _ in range(70)]
        await until_in_loop(lambda: stuck(mailbox) == 70)
        most = 0
        for _ in range(30):
            calls = [asyncio.create_task(mb.aio.call(target, Echo(1))) for _ in range(50)]  # type: ignore[arg-type]
            await until_in_loop(lambda: stuck(mailbox) >= 120)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            most = max(most, stuck(mailbox))
        for task in waiting:
            task.cancel()
        return most

    assert run(main()) < 300


def test_a_signal_that_was_told_costs_one_wake_up_until_it_is_cleared() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        calls = 0
        call_soon = loop.call_soon_threadsafe

        def counting(*args: object) -> object:
            nonlocal calls
            calls += 1
            return call_soon(*args)  # type: ignore[arg-type]

        loop.call_soon_threadsafe = counting  # type: ignore[method-assign,assignment]
        signal = Signal()
        for _ in range(10):
            signal.tell()
        assert await signal.wait(1)
        signal.clear()
        signal.tell()
        return calls

    assert run(main()) == 2


def test_senders_tell_a_busy_receiver_once_until_it_has_found_the_mailbox_empty() -> None:
    mailbox: mb.Mailbox[int] = mb.Unlimited().create()
    for number in range(100):
        mailbox.new_input().deliver(number)

    async def main() -> int:
        calls = 0
        loop = asyncio.get_running_loop()
        call_soon = loop.call_soon_threadsafe

        def counting(*args: object) -> object:
            nonlocal calls
            calls += 1
            return call_soon(*args)  # type: ignore[arg-type]

        loop.call_soon_threadsafe = counting  # type: ignore[method-assign,assignment]
        received = 0
        async for _ in mb.aio.messages(mailbox):
            received += 1
            if received < 50:
                mailbox.new_input().deliver(received)
            if received == 149:
                break
        return calls

    assert run(main()) <= 2


def test_a_generator_worker_that_is_replaced_leaves_no_caller_asking() -> None:
    def worker(key: str) -> Generator[None, mb.originals.Request]:
        while True:
            match (yield):
                case mb.Call(Echo(number), box):
                    box.reply(number)
                case _:
                    pass

    async def main() -> list[object]:
        async def replace() -> None:
            for _ in range(30):
                pool.remove("key")
                pool.initialize("key")
                await asyncio.sleep(0)

        calls = [asyncio.create_task(mb.aio.call(pool.ref("key"), Echo(n))) for n in range(200)]
        await replace()
        return await asyncio.gather(*calls, return_exceptions=True)

    with mb.Pool(worker, mailbox=mb.Blocking(1), on_dead_letter=lambda _: None) as pool:
        pool.initialize("key")
        results = run(main())

    assert all(
        result == number or isinstance(result, (mb.WorkerGone, mb.CallNotDelivered))
        for number, result in enumerate(results)
    )
