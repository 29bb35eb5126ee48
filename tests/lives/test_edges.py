"""Where lives, timers and flushes meet: what went wrong once."""

import collections
import gc
import sys
import threading
import weakref
from collections.abc import Generator
from typing import Any

import pytest

from tests.helpers import Running, in_thread, run_together, until
from tests.insides import dispatcher_of, roster_of
from tests.insides import worker_of as inside_worker_of
from tests.lives.test_on_demand import KINDS, Get, Kind, worker_of
from tests.pool.doubles import Intercepting
from threadpool_mb import (
    Blocking,
    Call,
    CatchAll,
    DeadLetter,
    Mailbox,
    MailboxConfig,
    NonBlocking,
    Pool,
    Restart,
    Sliding,
    Unlimited,
    Waiting,
    WorkerExit,
    WorkerGone,
    ask,
    sleep,
)
from threadpool_mb.arguments import Deadline
from threadpool_mb.calls.calling import begin_call
from threadpool_mb.pool.keeping import Keeping
from threadpool_mb.threads.entries import Entry
from threadpool_mb.threads.timers import Timers

both_kinds = pytest.mark.parametrize("kind", KINDS)


def three_each(kind: Kind, handled: dict[object, list[Any]]) -> Any:  # noqa: ANN401 - of either kind
    """Return a worker that handles three messages and returns."""

    def generator(key: int) -> Generator[None, Any]:
        for _ in range(3):
            handled[key].append((yield))

    def function(key: int, mailbox: Mailbox[Any]) -> None:
        for number, message in enumerate(mailbox, 1):
            handled[key].append(message)
            if number == 3:
                return

    return generator if kind == "generator" else function


@both_kinds
@pytest.mark.parametrize(
    "config",
    [Unlimited(), CatchAll(Unlimited()), Blocking(2), Waiting(3, deliver_timeout=15.0)],
    ids=repr,
)
def test_workers_that_return_beside_senders_and_flushes(kind: Kind, config: MailboxConfig) -> None:
    senders, messages, keys = 3, 80, 2
    handled = collections.defaultdict[object, list[tuple[int, int]]](list)
    letters = list[DeadLetter[Any, Any]]()

    with Pool(
        three_each(kind, handled), start="on_demand", mailbox=config, on_dead_letter=letters.append
    ) as pool:

        def send(sender: int) -> None:
            for number in range(messages):
                key = number % keys
                assert pool.dispatch(key, (sender, number))
                if number % 7 == 0:
                    assert pool.flush(key, timeout=15)
                    assert (sender, number) in handled[key]

        run_together(*(lambda sender=sender: send(sender) for sender in range(senders)))  # type: ignore[misc]

    assert letters == []
    for key in range(keys):
        for sender in range(senders):
            of_sender = [number for who, number in handled[key] if who == sender]
            assert of_sender == list(range(key, messages, keys))


@both_kinds
def test_what_is_left_of_workers_that_failed_for_good_is_freed(kind: Kind) -> None:
    def handle(_key: object, message: str) -> None:
        if message == "boom":
            raise ValueError

    with Pool(
        worker_of(kind, handle),
        start="on_demand",
        restart=Restart(max_restarts=1, delay=0, in_hand="drop"),
    ) as pool:
        for key in range(5):
            pool.dispatch_many(key, ["boom", "boom"])
        until(lambda: pool.stats().failed == 10)
        for key in range(5, 8):
            pool.dispatch(key, "fine")
        until(lambda: len(pool) == 3)
        keeping: Keeping[Any, Any] | None = dispatcher_of(pool).keeping
        assert keeping is not None
        until(lambda: not keeping._restarts)


def test_a_worker_that_is_removed_as_it_waits_to_start_again_is_freed() -> None:
    class Message:
        """What a weak reference is to."""

    def handle(_key: object, _message: object) -> None:
        raise ValueError

    with Pool(
        worker_of("generator", handle),
        restart=Restart(delay=3600, max_delay=3600, in_hand="retry"),
        on_dead_letter=lambda _: None,
    ) as pool:
        message = Message()
        reference = weakref.ref(message)
        pool.initialize("a", message)
        del message
        until(lambda: pool.stats().timers)
        pool.remove("a")

        def freed() -> bool:
            gc.collect()
            return reference() is None

        until(freed)


def test_a_worker_that_is_removed_in_its_sleep_is_freed() -> None:
    class Message:
        """What a weak reference is to."""

    def worker(_key: str) -> Generator[None, object]:
        message = yield
        yield from sleep(3600)
        del message

    with Pool(worker) as pool:
        message = Message()
        reference = weakref.ref(message)
        pool.initialize("a", message)
        del message
        until(lambda: [each.state for each in pool.workers()] == ["waiting"])
        pool.remove("a")

        def freed() -> bool:
            gc.collect()
            return reference() is None

        until(freed)


def test_a_tick_that_is_always_due_keeps_nothing_from_ending() -> None:
    pool = Pool[str, str](worker_of("generator", lambda *_: None), start="on_demand")
    pool.dispatch_every(1e-9, "a", "tick")
    until(lambda: pool.stats().started)
    pool.close()
    assert pool.join(timeout=15).finished


def test_what_is_added_as_others_are_fired_comes_in_the_order_of_its_time() -> None:
    log = list[float]()
    clock = [0.0]

    class Note(Entry):
        __slots__ = ()

        def fire(self) -> None:
            log.append(self.when)
            if self.when == 1:
                clock[0] = 10.0
                timers.add(Note(2))

    timers = Timers(lambda: None, now=lambda: clock[0])
    for when in (1, 3):
        timers.add(Note(when))
    clock[0] = 5.0
    while timers.until_next() is not None:
        pass

    assert log == [1, 2, 3]


def test_the_same_message_may_stand_in_a_line_more_than_once() -> None:
    free = threading.Semaphore(0)
    handled = list[str]()
    letters = list[DeadLetter[str, str]]()

    def worker(_key: str) -> Generator[None, str]:
        while True:
            message = yield
            free.acquire(timeout=15)
            handled.append(message)

    with Pool(
        worker, mailbox=Waiting(1, deliver_timeout=15.0), on_dead_letter=letters.append
    ) as pool:
        pool.initialize("a", "tick")
        for _ in range(4):
            pool.dispatch_later(0, "a", "tick")
        for _ in range(5):
            free.release()
        until(lambda: len(handled) == 5)

    assert letters == []


class Key:
    """A key whose hash can be made to raise."""

    raises = False

    def __hash__(self) -> int:
        """Return a number, or raise."""
        if Key.raises:
            raise RuntimeError("the key's")
        return 1


def test_a_late_message_that_cannot_be_handed_on_is_a_dead_letter() -> None:
    letters = list[DeadLetter[Key, str]]()
    key = Key()
    try:
        with Pool(
            worker_of("generator", lambda *_: None),
            start="on_demand",
            on_dead_letter=letters.append,
        ) as pool:
            keeping = dispatcher_of(pool).keeping
            assert keeping is not None
            Key.raises = True
            assert not keeping.redeliver(key, "late")
            Key.raises = False
    finally:
        Key.raises = False
    assert letters == []


@both_kinds
def test_a_closed_pool_does_not_wait_to_restart_a_worker_that_has_nothing_to_do(
    kind: Kind,
) -> None:
    exits = list[WorkerExit[str]]()

    def handle(_key: object, _message: object) -> None:
        raise ValueError

    with Pool(
        worker_of(kind, handle),
        start="on_demand",
        restart=Restart(delay=3600, max_delay=3600),
        on_worker_exit=exits.append,
    ) as pool:
        pool.dispatch("a", 1)
        until(lambda: pool.stats().timers)

    assert [(each.cause, each.restart_in) for each in exits] == [
        ("failed", 3600),
        ("drained", None),
    ]


def test_a_flush_in_vain_leaves_no_message_and_no_life() -> None:
    inside, free = threading.Event(), threading.Event()
    set_ups = list[str]()

    def worker(key: str) -> Generator[None, int]:
        set_ups.append(key)
        yield
        inside.set()
        free.wait(15)

    with Pool(worker, start="on_demand") as pool:
        pool.dispatch("a", 1)
        inside.wait(15)
        for _ in range(5):
            assert not pool.flush(timeout=0)
        assert pool.stats().waiting == 0
        free.set()
        until(lambda: "a" not in pool)

    assert set_ups == ["a"]


def test_what_an_exit_says_of_a_restart() -> None:
    exits = list[WorkerExit[str]]()

    def handle(_key: object, _message: object) -> None:
        raise ValueError

    with Pool(
        worker_of("generator", handle),
        restart=Restart(max_restarts=2, delay=0.001, factor=3),
        on_worker_exit=exits.append,
        on_dead_letter=lambda _: None,
    ) as pool:
        pool.initialize("a")
        pool.dispatch_many("a", [1, 2, 3])
        until(lambda: len(exits) == 3)

    assert [each.restart_in for each in exits] == [0.001, 0.003, None]


def test_a_key_that_is_not_in_the_pool_gets_a_new_worker() -> None:
    handled = list[int]()
    letters = list[DeadLetter[str, int]]()

    def handle(_key: object, message: int) -> None:
        if message == 0:
            raise SystemExit
        handled.append(message)

    with Pool(
        worker_of("generator", handle), start="on_demand", on_dead_letter=letters.append
    ) as pool:
        for number in range(1, 100):
            pool.dispatch("a", 0)
            until(lambda: "a" not in pool)
            pool.dispatch("a", number)
            assert pool.flush("a", timeout=15)

    assert handled == list(range(1, 100))
    assert letters == []


def test_hooks_run_with_no_lock_held() -> None:
    seen = list[bool]()

    def hook(_letter: object) -> None:
        # Another thread uses the pool meanwhile.
        with in_thread(pool.keys) as looking:
            pass
        seen.append(not looking.running)

    inside, free = threading.Event(), threading.Event()

    def worker(_key: str) -> Generator[None, int]:
        yield
        inside.set()
        free.wait(15)

    with Pool(worker, idle_timeout=60, on_dead_letter=hook) as pool:
        pool.initialize("a", 1)
        inside.wait(15)
        pool.dispatch("a", 2)
        free.set()
        until(lambda: seen)

    assert seen == [True]


@both_kinds
def test_who_called_a_worker_is_told_when_it_is_removed_before_its_restart(kind: Kind) -> None:
    kept = list[object]()

    def handle(_key: object, message: object) -> None:
        if message == "boom":
            raise ValueError
        kept.append(message)  # a call that is not dropped

    with Pool(worker_of(kind, handle), restart=Restart(delay=3600, max_delay=3600)) as pool:
        pool.initialize("a")
        reply = ask(pool.ref("a"), Get())
        pool.dispatch("a", "boom")
        until(lambda: pool.stats().timers)
        pool.remove("a")
        with pytest.raises(WorkerGone):
            reply.result(timeout=15)


def test_a_flush_waits_for_a_batch() -> None:
    inside, free = threading.Event(), threading.Event()
    handled = list[int]()

    def worker(_key: str, mailbox: Mailbox[int]) -> None:
        first = mailbox.receive()
        inside.set()
        free.wait(15)
        handled.append(first)
        while True:
            batch = mailbox.receive_many(10)
            until(lambda: flushing.running)
            handled.extend(batch)

    with Pool(worker) as pool:
        pool.initialize("a", 0)
        inside.wait(15)
        pool.dispatch_many("a", [1, 2, 3])

        def flush() -> list[int]:
            assert pool.flush("a", timeout=15)
            return list(handled)

        flushing = Running(flush)
        until(lambda: pool.stats().waiting == 3)
        free.set()
        assert flushing.result() == [0, 1, 2, 3]


def test_whatever_a_hook_raises_timers_go_on() -> None:
    handled = list[int]()

    def hook(_letter: object) -> None:
        raise SystemExit

    def worker(_key: str) -> Generator[None, int]:
        while True:
            handled.append((yield))

    with Pool(worker, on_dead_letter=hook) as pool:
        pool.initialize("a")
        pool.dispatch_later(0, "nobody", 1)
        pool.dispatch_later(0.001, "a", 2)
        until(lambda: handled)

    assert handled == [2]


def test_a_late_message_for_a_mailbox_of_ones_own_is_a_dead_letter() -> None:
    with Pool(
        worker_of("function", lambda *_: None), start="on_demand", mailbox=Intercepting()
    ) as pool:
        keeping = dispatcher_of(pool).keeping
        assert keeping is not None
        assert not keeping.redeliver("a", "late")
        pool.dispatch("a", "first")
        assert not keeping.redeliver("a", "late")
        assert "a" in pool


def test_a_worker_that_works_after_a_sleep_is_busy() -> None:
    inside, free = threading.Event(), threading.Event()

    def worker(_key: str) -> Generator[None, int]:
        while True:
            yield
            yield from sleep(0)
            inside.set()
            free.wait(15)

    with Pool(worker, start="on_demand") as pool:
        pool.dispatch("a", 1)
        inside.wait(15)
        assert [each.state for each in pool.workers()] == ["busy"]
        free.set()


@both_kinds
def test_what_a_late_message_displaces_is_told_with_no_lock_held(kind: Kind) -> None:
    handled, dead, seen = list[str](), list[str](), list[bool]()
    inside, free = threading.Event(), threading.Event()
    exits = list[WorkerExit[str]]()

    def handle(_key: str, message: str) -> None:
        handled.append(message)
        if message == "busy":
            inside.set()
            free.wait(15)

    def hook(letter: DeadLetter[str, str]) -> None:
        dead.append(f"{letter.message}: {letter.reason}")
        # Another thread uses the pool meanwhile.
        with in_thread(pool.keys) as looking:
            pass
        seen.append(not looking.running)

    with Pool(
        worker_of(kind, handle),
        start="on_demand",
        mailbox=Sliding(1),
        on_dead_letter=hook,
        on_worker_exit=exits.append,
    ) as pool:
        pool.dispatch("a", "first")
        assert pool.flush(timeout=15)
        ended = inside_worker_of(pool, "a")
        assert ended is not None
        pool.remove("a", drain=True)
        until(lambda: exits)
        pool.dispatch("a", "busy")
        inside.wait(15)
        pool.dispatch("a", "waits")
        # A sender that has found the first worker open puts its message only now.
        ended.inlet.put("late")
        assert ended.inlet.unattended
        ended.inlet.attend()
        free.set()

    assert (handled, dead, seen) == (["first", "busy", "late"], ["waits: displaced"], [True])


def test_a_line_whose_key_raises_as_it_is_over_holds_up_no_later_message() -> None:
    raising = list[object]()

    class Once:
        """A key that raises once, where its line is to be taken out."""

        def __hash__(self) -> int:
            """Return a number, or raise."""
            if raising and sys._getframe(1).f_code.co_name == "leave":
                raising.pop()
                raise ValueError("the key's")
            return 1

    key, free, handled = Once(), threading.Semaphore(0), list[int]()

    def worker(_key: Once) -> Generator[None, int]:
        while True:
            message = yield
            free.acquire(timeout=15)
            handled.append(message)

    with Pool(worker, mailbox=Blocking(1)) as pool:
        pool.initialize(key, 1)
        until(lambda: pool.stats().waiting == 0)
        pool.dispatch(key, 2)
        raising.append(None)
        pool.dispatch_later(0, key, 3)
        until(lambda: dispatcher_of(pool)._later)
        later = dispatcher_of(pool)._later
        assert later is not None
        until(lambda: later._waiting)
        free.release()
        until(lambda: not raising)
        for _ in range(5):
            free.release()
        pool.dispatch_later(0, key, 4)
        until(lambda: handled == [1, 2, 3, 4])


def test_a_late_call_is_answered_by_the_next_worker() -> None:
    def handle(_key: str, message: Call[Any]) -> None:
        message.reply_box.reply("answered")

    with Pool(worker_of("generator", handle), start="on_demand") as pool:
        keeping = dispatcher_of(pool).keeping
        assert keeping is not None
        answer, late = begin_call(pool.ref("a"), Get(), Deadline(15))

        assert keeping.redeliver("a", late)
        assert answer.result(15) == "answered"
        assert answer.holder is roster_of(pool).routes["a"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_late_message_finds_room_in_a_mailbox_that_refuses(kind: Kind) -> None:
    begun, go_on = threading.Event(), threading.Event()
    handled: list[object] = []
    letters: list[DeadLetter[str, Any]] = []

    def handle(_key: str, message: object) -> None:
        handled.append(message)
        begun.set()
        assert go_on.wait(15)

    pool = Pool(
        worker_of(kind, handle),
        start="on_demand",
        mailbox=NonBlocking(1),
        on_dead_letter=letters.append,
    )
    with pool:
        keeping = dispatcher_of(pool).keeping
        assert keeping is not None
        pool.dispatch("a", "in hand")
        assert begun.wait(15)
        assert pool.dispatch("a", "waits")
        assert keeping.redeliver("a", "late")
        assert not pool.dispatch("a", "refused")
        go_on.set()
        # It pays for its room: then there is as much as before.
        until(lambda: handled == ["in hand", "waits", "late"])
        until(lambda: [each.state for each in pool.workers()] == ["idle"])
        assert keeping.redeliver("a", "to one that is idle")
        until(lambda: len(handled) == 4)
        until(lambda: [each.state for each in pool.workers()] == ["idle"])
        begun.clear()
        go_on.clear()
        pool.dispatch("a", "in hand again")
        assert begun.wait(15)
        assert pool.dispatch("a", "waits")
        assert not pool.dispatch("a", "refused too")
        go_on.set()

    assert handled[3:] == ["to one that is idle", "in hand again", "waits"]
    assert [each.message for each in letters] == ["refused", "refused too"]


def test_a_late_message_goes_to_the_next_of_a_worker_that_has_closed_its_mailbox() -> None:
    closed, go_on = threading.Event(), threading.Event()
    handled: list[object] = []

    def worker(_key: str, mailbox: Mailbox[Any]) -> None:
        handled.append(mailbox.receive())
        mailbox.close()
        closed.set()
        assert go_on.wait(15)

    with Pool(worker, start="on_demand") as pool:
        keeping = dispatcher_of(pool).keeping
        assert keeping is not None
        pool.dispatch("a", 1)
        assert closed.wait(15)
        assert keeping.redeliver("a", "late")
        go_on.set()

    assert handled == [1, "late"]


def test_a_late_message_of_a_closed_pool_is_dead() -> None:
    with Pool(worker_of("generator", lambda *_: None), start="on_demand") as pool:
        keeping = dispatcher_of(pool).keeping
        assert keeping is not None
        pool.close()
        dead: list[object] = []

        keeping.handing_on("a", dead)("late")

    assert dead == ["late"]
