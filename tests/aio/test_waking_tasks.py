"""Tasks that wait for answers: several are woken with one call into their loop."""

import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import threadpool_mb as mb
from tests.aio.doubles import Keep, Kept, run, until_in_loop
from tests.helpers import DEADLINE, Running, until
from tests.points import interrupted_at_each_point
from threadpool_mb.aio import waking
from threadpool_mb.aio.waking import Pulse, Signal


class Told:
    """Counts how often a loop is told something by another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        self._tell: Callable[..., asyncio.Handle] = loop.call_soon_threadsafe
        monkeypatch.setattr(loop, "call_soon_threadsafe", self._count)

    def _count(self, *arguments: Any, **options: Any) -> asyncio.Handle:  # noqa: ANN401 - the loop's
        self.times += 1
        return self._tell(*arguments, **options)


def test_answers_that_come_together_tell_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()

    async def main() -> tuple[list[int], int]:
        replies = [asyncio.ensure_future(mb.aio.call(pool.ref("a"), Keep())) for _ in range(100)]
        await until_in_loop(lambda: len(kept.calls) == len(replies))
        told = Told(asyncio.get_running_loop(), monkeypatch)

        # The loop's thread waits here: so all answers are there before it can look.
        Running(lambda: [call.reply_box.reply(1) for call in kept.calls]).result()
        kept.calls.clear()

        return await asyncio.gather(*replies), told.times

    with mb.Pool(kept.worker) as pool:
        pool.initialize("a")

        assert run(main()) == ([1] * 100, 1)


def test_an_answer_that_comes_once_the_loop_has_looked_tells_it_again() -> None:
    kept = Kept()

    async def main() -> list[int]:
        got = []
        for number in range(3):
            reply = asyncio.ensure_future(mb.aio.call(pool.ref("a"), Keep()))
            await until_in_loop(lambda: kept.calls)
            box = kept.calls.pop().reply_box
            await asyncio.to_thread(box.reply, number)
            got.append(await reply)
        return got

    with mb.Pool(kept.worker) as pool:
        pool.initialize("a")

        assert run(main()) == [0, 1, 2]


def test_an_interrupt_while_the_loop_is_told_keeps_no_later_answer_from_it() -> None:
    async def main() -> None:
        pulse, loop = Pulse(), asyncio.get_running_loop()
        first, second = loop.create_future(), loop.create_future()

        class Interrupted(asyncio.SelectorEventLoop):
            def call_soon_threadsafe(self, *_: object, **__: object) -> Any:  # type: ignore[override]  # noqa: ANN401 - none
                raise KeyboardInterrupt

        interrupted = Interrupted()
        try:
            with pytest.raises(KeyboardInterrupt):
                pulse.wake(interrupted, first)
        finally:
            interrupted.close()
        pulse.wake(loop, second)

        await asyncio.wait_for(asyncio.gather(first, second), DEADLINE)

    run(main())


def test_an_interrupt_while_tasks_are_woken_keeps_the_others_answers_for_the_next_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pulse, loop = Pulse(), asyncio.new_event_loop()
    futures = [loop.create_future() for _ in range(3)]
    fill = waking.fill

    def interrupted(future: asyncio.Future[None]) -> None:
        fill(future)
        monkeypatch.setattr(waking, "fill", fill)
        raise KeyboardInterrupt

    async def main() -> None:
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*futures)

    with contextlib.closing(loop):
        monkeypatch.setattr(waking, "fill", interrupted)
        for future in futures:
            pulse.wake(loop, future)
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(asyncio.sleep(DEADLINE))
        loop.run_until_complete(main())


def test_answers_for_a_loop_that_is_closed_are_let_go_of() -> None:
    pulse, loop = Pulse(), asyncio.new_event_loop()
    future = loop.create_future()
    gone = weakref.ref(future)
    loop.close()

    pulse.wake(loop, future)
    del future
    gc.collect()

    assert gone() is None


@pytest.mark.racing
def test_no_answer_is_missed_by_a_loop_that_looks_while_others_answer() -> None:
    tasks, rounds = 20, 50

    def worker(key: object) -> Any:  # noqa: ANN401 - a generator
        while True:
            (yield).reply_box.reply(threading.get_ident())

    async def calls(key: int) -> None:
        for _ in range(rounds):
            await mb.aio.call(pool.ref(key), Keep())

    async def main() -> None:
        await asyncio.gather(*(calls(number % 5) for number in range(tasks)))

    with mb.Pool(worker, max_threads=3) as pool:
        for key in range(5):
            pool.initialize(key)
        run(main())


def test_a_task_has_its_answer_though_that_was_interrupted() -> None:
    def prepare() -> tuple[mb.Pool[str, Any], Kept, Running[int]]:
        kept = Kept()
        pool: mb.Pool[str, Any] = mb.Pool(kept.worker)
        pool.initialize("a")
        waits = Running(lambda: run(mb.aio.call(pool.ref("a"), Keep())))
        until(lambda: bool(kept.calls) and any(map(callable, kept.calls[0].reply_box._answer._log)))
        return pool, kept, waits

    for pool, kept, waits in interrupted_at_each_point(
        prepare, lambda scene: scene[1].calls[0].reply_box.reply(1)
    ):
        with contextlib.suppress(mb.DuplicateReply):
            kept.calls[0].reply_box.reply(1)

        assert waits.result() == 1
        kept.calls.clear()
        pool.close()
        assert pool.join(timeout=DEADLINE).finished


def test_a_task_that_receives_is_woken_though_a_sender_was_interrupted() -> None:
    async def receive(mailbox: mb.Mailbox[str]) -> list[str]:
        return [message async for message in mb.aio.messages(mailbox)]

    def prepare() -> tuple[mb.Mailbox[str], Running[list[str]]]:
        mailbox: mb.Mailbox[str] = mb.Unlimited().create()
        receiving = Running(lambda: run(receive(mailbox)))
        until(lambda: mailbox.receiver_waits)  # type: ignore[attr-defined]
        return mailbox, receiving

    for mailbox, receiving in interrupted_at_each_point(
        prepare, lambda scene: scene[0].new_input().deliver("first")
    ):
        mailbox.new_input().deliver("last")
        mailbox.close()

        assert receiving.result() in (["last"], ["first", "last"])


def test_a_sender_that_finds_the_flag_set_is_heard_though_the_one_that_set_it_is_interrupted() -> (
    None
):
    async def main() -> bool:
        signal, loop = Signal(), asyncio.get_running_loop()
        tell = loop.call_soon_threadsafe

        def interrupted(*arguments: Any) -> asyncio.Handle:  # noqa: ANN401 - the loop's
            loop.call_soon_threadsafe = tell  # type: ignore[method-assign]
            assert signal.tell()  # of another sender, which has put something
            raise KeyboardInterrupt

        loop.call_soon_threadsafe = interrupted  # type: ignore[method-assign,assignment]
        with pytest.raises(KeyboardInterrupt):
            signal.tell()
        return await signal.wait(DEADLINE)

    assert run(main())


def test_an_interrupt_right_before_a_task_is_woken_keeps_it_for_the_next_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pulse, loop = Pulse(), asyncio.new_event_loop()
    future = loop.create_future()
    fill = waking.fill

    def interrupted(_future: asyncio.Future[None]) -> None:
        monkeypatch.setattr(waking, "fill", fill)
        raise KeyboardInterrupt

    async def main() -> None:
        async with asyncio.timeout(DEADLINE):
            await future

    with contextlib.closing(loop):
        monkeypatch.setattr(waking, "fill", interrupted)
        pulse.wake(loop, future)
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(asyncio.sleep(DEADLINE))
        loop.run_until_complete(main())


def test_each_loop_has_the_pulse_that_it_had_before_another_one_asked() -> None:
    with contextlib.closing(asyncio.new_event_loop()) as one:
        with contextlib.closing(asyncio.new_event_loop()) as other:
            before, others = waking.pulse_of(one), waking.pulse_of(other)

            assert waking.pulse_of(one) is before
            assert waking.pulse_of(other) is others
        assert before is not others
