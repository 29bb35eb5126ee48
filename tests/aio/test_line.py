"""Tasks and threads that wait for room in one mailbox: first come, first served; none is lost."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

import threadpool_mb as mb
from tests.aio.doubles import run, until_in_loop
from tests.helpers import DEADLINE, Running, in_thread, until
from tests.points import at_each_point, interrupted_at_each_point
from threadpool_mb.line.askers import Asker, always
from threadpool_mb.line.slots import Slots


def full(config: mb.MailboxConfig, count: int = 1) -> tuple[mb.Mailbox[Any], mb.Input[Any], Slots]:
    """Return a mailbox that is full, an input of it, and its slots."""
    mailbox: mb.Mailbox[Any] = config.create()
    target = mailbox.new_input()
    for number in range(count):
        target.deliver(number)
    return mailbox, target, target.room  # type: ignore[attr-defined]


def unused_slots(slots: Slots) -> int:
    """Return how many slots nobody has, and that no message has."""
    return slots._free.qsize() + slots._unissued


def test_a_task_gets_its_turn_beside_threads_that_send_in_a_loop() -> None:
    mailbox, target, _ = full(mb.Blocking(1))

    def send() -> None:
        with contextlib.suppress(mb.MailboxClosed):
            while True:
                target.deliver("thread")

    def receive() -> list[object]:
        received: list[object] = []
        while "task" not in received and len(received) < 1000:
            received.append(mailbox.receive())
        return received

    async def main() -> None:
        await until_in_loop(lambda: slots.waiting == 4)
        delivering = asyncio.create_task(mb.aio.deliver(target, "task"))
        await until_in_loop(lambda: slots.askers)
        with in_thread(receive) as receiver:
            assert await delivering
            received = await asyncio.to_thread(receiver.result)
        # What was there, what was to be sent before the task got in line, and what came at the
        # moment at which a slot was freed: a few, where without a line the task waits for ever.
        assert len(received) < 1000

    slots = target.room  # type: ignore[attr-defined]
    senders = [Running(send) for _ in range(4)]
    try:
        run(main())
    finally:
        mailbox.close()
        for sender in senders:
            sender.result()


@pytest.mark.parametrize("config", [mb.Blocking(1), mb.Waiting(1, deliver_timeout=60)], ids=repr)
def test_tasks_and_threads_that_wait_are_served_in_the_order_in_which_they_came(
    config: mb.MailboxConfig,
) -> None:
    mailbox, target, slots = full(config)
    with contextlib.ExitStack() as threads:

        def thread(name: str) -> None:
            before = slots.waiting
            threads.enter_context(in_thread(lambda: target.deliver(name)))
            until(lambda: slots.waiting > before)

        async def main() -> None:
            thread("thread before")
            tasks = [asyncio.create_task(mb.aio.deliver(target, "task"))]
            await until_in_loop(lambda: len(slots.askers) == 1)
            thread("thread between")
            tasks.append(asyncio.create_task(mb.aio.deliver(target, "other task")))
            await until_in_loop(lambda: len(slots.askers) == 3)
            thread("thread after")
            received = []
            for _ in range(6):
                await until_in_loop(lambda: len(mailbox) == 1)
                received.append(mailbox.receive())
            assert await asyncio.gather(*tasks) == [True, True]
            assert received[1:] == [
                "thread before",
                "task",
                "thread between",
                "other task",
                "thread after",
            ]

        run(main())
    assert unused_slots(slots) == 1
    assert (slots.waiting, len(slots.askers), len(slots._given)) == (0, 0, 0)


@pytest.mark.parametrize("count", [1, 3])
def test_a_task_that_is_cancelled_after_it_was_given_room_passes_it_on(count: int) -> None:
    mailbox, target, slots = full(mb.Blocking(count), count)

    async def main() -> None:
        task = asyncio.create_task(mb.aio.deliver(target, "cancelled"))
        await until_in_loop(lambda: slots.askers)
        with in_thread(lambda: target.deliver("next")) as sender:
            until(lambda: slots.waiting)
            mailbox.receive()
            assert slots._given
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(sender.result)

    run(main())
    assert len(mailbox) == count
    assert unused_slots(slots) == 0


@pytest.mark.parametrize("closes", [False, True], ids=["stopped", "closed"])
@pytest.mark.parametrize("given", [False, True], ids=["before", "after"])
def test_a_task_whose_loop_does_not_run_any_more_keeps_no_room(
    given: bool,  # noqa: FBT001 - a case
    closes: bool,  # noqa: FBT001 - a case
) -> None:
    """It was given the room after its loop had stopped, or at the very last moment before."""
    mailbox, target, slots = full(mb.Blocking(1))
    loop = asyncio.new_event_loop()
    task = loop.create_task(mb.aio.deliver(target, "late"))

    async def until_it_waits() -> None:
        await until_in_loop(lambda: slots.askers)
        if given:
            mailbox.receive()
            assert slots._given

    loop.run_until_complete(until_it_waits())
    # The task has not run again: its loop was stopped in the turn in which it was told.
    assert bool(slots._given) is given
    if not given:
        mailbox.receive()
    if closes:
        loop.close()

    with in_thread(lambda: target.deliver("in time")) as sender:
        assert sender.result()
        assert mailbox.receive() == "in time"
        if closes:
            coroutine = task.get_coro()
            assert coroutine is not None
            coroutine.close()
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        else:
            assert loop.run_until_complete(task)
            assert mailbox.receive() == "late"
            loop.close()
    assert unused_slots(slots) == 1


def test_threads_and_tasks_in_line_take_back_what_a_stopped_loop_was_given() -> None:
    mailbox, target, slots = full(mb.Blocking(1))
    loop = asyncio.new_event_loop()
    told = threading.Event()
    go = threading.Event()

    async def stops_at_once() -> asyncio.Task[bool]:
        task = asyncio.create_task(mb.aio.deliver(target, "late"))
        await until_in_loop(lambda: slots.askers)
        told.set()
        assert await asyncio.to_thread(go.wait, DEADLINE)
        mailbox.receive()
        assert slots._given
        return task

    with in_thread(lambda: loop.run_until_complete(stops_at_once())) as stopped:
        assert told.wait(DEADLINE)

        async def main() -> None:
            other = asyncio.create_task(mb.aio.deliver(target, "a task in line"))
            await until_in_loop(lambda: len(slots.askers) == 2)
            with in_thread(lambda: target.deliver("a thread in line")) as sender:
                until(lambda: slots.waiting)
                go.set()
                await until_in_loop(lambda: not stopped.running)
                received = [await asyncio.to_thread(mailbox.receive) for _ in range(2)]
                assert received == ["a task in line", "a thread in line"]
                assert await other
                assert sender.result()

        run(main())
        task = stopped.result()
    assert loop.run_until_complete(task)
    loop.close()
    assert list(mailbox.receive_many(5)) == ["late"]
    assert unused_slots(slots) == 1


@pytest.mark.parametrize("end", ["close", "cancel", "abandon"])
def test_the_end_of_the_mailbox_wakes_all_in_the_line_and_those_that_were_given_room(
    end: str,
) -> None:
    mailbox, target, slots = full(mb.Blocking(1))

    async def main() -> None:
        tasks = [asyncio.create_task(mb.aio.deliver(target, "task")) for _ in range(3)]
        await until_in_loop(lambda: len(slots.askers) == 3)
        with contextlib.ExitStack() as threads:
            senders = [
                threads.enter_context(in_thread(lambda: outcome(lambda: target.deliver("x"))))
                for _ in range(3)
            ]
            until(lambda: slots.waiting == 3)
            mailbox.receive()
            getattr(mailbox, end)()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(result) for result in results] == [mb.MailboxClosed] * 3
            assert [sender.result() for sender in senders] == [mb.MailboxClosed] * 3

    def outcome(function: Callable[[], object]) -> object:
        try:
            return function()
        except mb.MailboxClosed as error:
            return type(error)

    run(main())
    assert (slots.waiting, len(slots.askers), len(slots._given)) == (0, 0, 0)


def test_a_thread_whose_time_runs_out_in_the_line_leaves_it() -> None:
    mailbox, target, slots = full(mb.Waiting(1, deliver_timeout=0.05))

    async def main() -> None:
        slots.ask(asker)
        assert await asyncio.to_thread(target.deliver, "thread") is False
        assert list(slots.askers) == [asker]
        assert await mb.aio.deliver(target, "task") is False
        assert list(slots.askers) == [asker]

    asker = Asker(lambda: True, lambda: True)
    run(main())
    slots.leave(asker)
    mailbox.receive()
    assert unused_slots(slots) == 1


def test_a_slot_of_a_sender_whose_put_is_interrupted_goes_to_the_task_that_waits() -> None:
    mailbox, target, slots = full(mb.Blocking(1))

    async def main() -> bool:
        task = asyncio.create_task(mb.aio.deliver(target, "task"))
        await until_in_loop(lambda: slots.askers)
        # As `deliver` does where it is interrupted with a slot in its hand.
        mailbox.inlet.queue.get()  # type: ignore[attr-defined]
        slots.give_back()
        return await task

    assert run(main())
    assert mailbox.receive() == "task"


def test_one_who_delivers_while_its_thread_holds_the_lock_waits_where_it_can_be_served() -> None:
    """A finalizer, or a signal handler, in the midst of what is done under the lock."""
    mailbox, target, slots = full(mb.Blocking(1))

    async def main() -> None:
        task = asyncio.create_task(mb.aio.deliver(target, "task"))
        await until_in_loop(lambda: slots.askers)

        def in_the_midst() -> bool:
            with slots._lock:
                return target.deliver("nested")

        with in_thread(in_the_midst) as sender:
            until(lambda: slots._parking == 1)
            received = await asyncio.to_thread(lambda: [mailbox.receive(), mailbox.receive()])
            assert sender.result()
            assert received[1] == "nested"
        assert await task

    run(main())
    assert mailbox.receive() == "task"


class InLine:
    """Two senders in line before slots of which one is free, and nobody has been told of it."""

    def __init__(self, first_runs: Callable[[], bool] = always) -> None:
        self.slots = Slots(1, None)
        assert self.slots.wait()
        self.told = list[Asker]()
        self.askers = [self._asker(first_runs), self._asker(always)]
        for asker in self.askers:
            self.slots.ask(asker)
        self.slots.free(None)

    def _asker(self, runs: Callable[[], bool]) -> Asker:
        asker = Asker(lambda: self.told.append(asker) or True, runs)  # type: ignore[func-returns-value]
        return asker

    def check(self) -> None:
        """See one slot, and all in line but those that have it; who is first, comes first."""
        slots = self.slots
        slots.tell()  # as who waits in the line does now and then
        has_it = list(slots._given)
        standing = [each for each in self.askers if each.runs()]
        assert has_it == standing[:1]
        assert [each for each in slots.askers if each.runs()] == standing[1:]
        assert set(has_it) <= set(self.told)
        assert slots._free.qsize() == 0
        for asker in standing:
            slots.leave(asker)
        assert slots._free.qsize() == 1


@pytest.mark.parametrize("runs", [True, False], ids=["runs", "stopped"])
def test_an_interrupt_as_a_slot_is_given_loses_neither_the_slot_nor_who_stands_in_line(
    runs: bool,  # noqa: FBT001 - a case
) -> None:
    def prepare() -> InLine:
        return InLine(lambda: runs)

    for scene in interrupted_at_each_point(prepare, lambda scene: scene.slots.tell()):
        scene.check()


def test_an_interrupt_as_one_leaves_the_line_passes_its_slot_on() -> None:
    def prepare() -> InLine:
        scene = InLine()
        scene.slots.tell()
        assert scene.slots._given
        return scene

    for scene in interrupted_at_each_point(prepare, lambda each: each.slots.leave(each.askers[0])):
        scene.slots.leave(scene.askers[0])  # as who was interrupted does
        assert list(scene.slots._given) == [scene.askers[1]]
        assert list(dict.fromkeys(scene.told)) == scene.askers


def test_a_handler_may_leave_the_line_as_a_slot_is_given() -> None:
    def leave(scene: InLine) -> None:
        scene.slots.leave(scene.askers.pop(0))

    for scene in at_each_point(InLine, lambda each: each.slots.tell(), leave):
        scene.check()
