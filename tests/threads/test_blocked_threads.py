"""Shared threads that wait in calls: where all of them do, there is one more."""

import dataclasses
import threading
from collections.abc import Callable, Generator

import pytest

import threadpool_mb as mb
from tests.calls.doubles import answer_of
from tests.helpers import DEADLINE, Running, refusing_threads, until
from tests.insides import blocked, threads_of
from tests.pool.witness import Gate
from threadpool_mb.threads import circles
from threadpool_mb.threads.shared import SharedThreads


@dataclasses.dataclass(frozen=True, slots=True)
class Do(mb.Command[object]):
    """Has the worker call a function; what it returns is the reply."""

    function: Callable[[], object]


def worker(key: str) -> Generator[None, mb.originals.Request]:
    while True:
        match (yield):
            case mb.Call(Do(function), box):
                box.reply(function())


def pool_of(*keys: str, max_threads: int = 1) -> mb.Pool[str, mb.originals.Request]:
    pool = mb.Pool(worker, max_threads=max_threads, inline_calls=False)
    for key in keys:
        pool.initialize(key)
    return pool


def test_workers_that_call_each_other_do_not_starve_on_one_thread() -> None:
    keys = "abcdefgh"
    with pool_of(*keys) as pool:

        def down(rest: str) -> object:
            return mb.call(pool.ref(rest[0]), Do(lambda: down(rest[1:]))) if rest else "the end"

        assert down(keys) == "the end"
        until(lambda: pool.stats().threads == 2)  # the one, and the dispatcher


def test_one_whose_thread_was_refused_gets_it_when_there_are_threads_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuses = refusing_threads(monkeypatch, "starved-shared")
    tried = threading.Event()
    pool = mb.Pool(worker, max_threads=1, inline_calls=False, name="starved")
    with pool:
        pool.initialize("a")
        pool.initialize("b")
        assert mb.call(pool.ref("b"), Do(int)) == 0

        def ask() -> object:
            refuses.set()
            tried.set()
            return mb.call(pool.ref("b"), Do(lambda: "answered"))

        caller = Running(lambda: mb.call(pool.ref("a"), Do(ask)))
        tried.wait(15)
        threads = threads_of(pool)
        until(lambda: threads._refused)  # type: ignore[attr-defined]
        refuses.clear()

        assert caller.result() == "answered"


def test_a_wait_inside_a_wait_counts_one_thread_once() -> None:
    """A finalizer may call while its thread waits in a call."""
    mailbox: mb.Mailbox[mb.Call[object]] = mb.Unlimited().create()
    with pool_of("a", "b") as pool:
        serving = []

        def nested() -> object:
            from_here = mb.ask(mailbox.new_input(), Do(int))

            def inner(_: object) -> None:
                serving.append(mb.call(pool.ref("b"), Do(lambda: "inside")))

            # Called on this thread, in the midst of its wait, as a finalizer would be.
            with circles.waiting_for(answer_of(from_here)):
                inner(None)
            return "outside"

        assert mb.call(pool.ref("a"), Do(nested)) == "outside"
        assert serving == ["inside"]
        assert blocked(threads_of(pool)) == 0


def test_an_executor_has_no_more_threads_than_it_was_told() -> None:
    at_once, most = 0, 0
    with pool_of("slow") as pool, mb.KeyedExecutor(max_workers=1) as executor:
        hold = threading.Event()

        def task(number: int) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            if not number:
                mb.call(pool.ref("slow"), Do(lambda: hold.wait(15)))
            at_once -= 1

        futures = [executor.submit(task, number) for number in range(5)]
        until(lambda: at_once)
        hold.set()
        for future in futures:
            future.result(15)

    assert most == 1


def test_what_a_shared_thread_keeps_alive_of_a_call_is_freed_soon() -> None:
    """On a free-threaded build, a call that one thread made and another one dropped."""

    def wrapping(key: str) -> Generator[None, mb.originals.Request]:
        while True:
            request = yield
            if key == "a":
                assert isinstance(request, mb.Call)
                mb.delegate(pool.ref("b"), mb.Call(Do(int), request.reply_box))
            del request

    with mb.Pool(wrapping, max_threads=4) as pool:
        pool.initialize("a")
        pool.initialize("b")
        for _ in range(5):
            with pytest.raises(mb.WorkerGone, match="dropped"):
                mb.ask(pool.ref("a"), Do(int)).result(timeout=15)


def test_a_thread_does_not_rest_for_one_that_is_being_started_and_is_refused_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The only other thread has yet to start: to rest for it would leave the turn to nobody."""
    launching, refused = Gate(), threading.Event()
    start = threading.Thread.start

    def refuse_the_second(thread: threading.Thread) -> None:
        if thread.name == "rested-shared-2":
            launching()
            refused.set()
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_the_second)
    mailbox: mb.Mailbox[mb.Call[object]] = mb.Unlimited().create()
    with mb.Pool(worker, max_threads=1, inline_calls=False, name="rested") as pool:
        pool.initialize("a")
        pool.initialize("b")
        asked = mb.ask(
            pool.ref("a"), Do(lambda: mb.call(mailbox.new_input(), Do(int), timeout=DEADLINE))
        )
        received = mailbox.receive()
        other = mb.ask(pool.ref("b"), Do(lambda: "b"))
        launching.wait_until_reached()

        received.reply_box.reply("a")
        answers = [each.result(timeout=DEADLINE) for each in (asked, other)]
        launching.open()
        refused.wait(DEADLINE)
        after = mb.call(pool.ref("b"), Do(lambda: "after"), timeout=DEADLINE)

    assert answers == ["a", "b"]
    assert after == "after"


def test_a_finalizers_wait_inside_another_one_leaves_that_one_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it waits for comes from outside of the pool, whose one thread then waits on."""
    outside: mb.Mailbox[mb.Call[object]] = mb.Unlimited().create()
    box: mb.Mailbox[str] = mb.Unlimited().create()
    into = box.new_input()
    armed, asked = threading.Event(), threading.Event()
    got: list[str] = []

    def gather_or_send(key: str) -> Generator[None, object]:
        while True:
            yield
            if key == "gather":
                armed.set()
                got.append(box.receive())
            else:
                into.deliver("part")

    grow = SharedThreads.grow_if_needed

    def grow_with_a_finalizer_before(self: SharedThreads) -> None:
        if armed.is_set() and threading.current_thread().name.startswith("nested-shared"):
            armed.clear()
            mb.call(outside.new_input(), Do(int))
            asked.set()
        grow(self)

    monkeypatch.setattr(SharedThreads, "grow_if_needed", grow_with_a_finalizer_before)
    with mb.Pool(gather_or_send, name="nested", max_threads=1) as pool:
        pool.initialize("gather")
        pool.initialize("send")
        pool.dispatch("gather", 0)
        answered = outside.receive(timeout=DEADLINE)
        answered.reply_box.reply(0)
        asked.wait(DEADLINE)
        pool.dispatch("send", 0)
        until(lambda: got)

    assert got == ["part"]
    assert blocked(threads_of(pool)) == 0
