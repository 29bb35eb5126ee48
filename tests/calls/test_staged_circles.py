"""Staged: waits that seem to stand and are over, and circles that are closed without a look."""

import logging
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.calls.doubles import (
    Echo,
    FakeWorker,
    Kind,
    Note,
    Place,
    answer_of,
    error_of,
    held_by,
    until_waits,
)
from tests.helpers import DEADLINE, in_thread, until
from tests.insides import roster_of
from threadpool_mb import Blocking, Call, CallDeadlock, CallError, Mailbox, Pool, ask, call, cast
from threadpool_mb.calls.unanswered import Move
from threadpool_mb.line.inlet import Inlet
from threadpool_mb.line.slots import Slots
from threadpool_mb.mailbox.sending import QueueInput
from threadpool_mb.threads import circles
from threadpool_mb.threads.circles import waiting_for
from threadpool_mb.threads.here import here


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list that grows whenever one who waits looks for a circle."""
    looks: list[object] = []
    check = circles._check

    def counted(workers: Any, reply: Any) -> bool:  # noqa: ANN401 - as there
        looks.append(reply)
        return check(workers, reply)

    monkeypatch.setattr(circles, "_check", counted)
    return looks


@pytest.fixture(autouse=True)
def _one_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let who waits for room do so in one go, where no wait seems to be over."""
    monkeypatch.setattr(circles, "_FIRST_PAUSE", 2 * DEADLINE)


def parked(pool: Pool[Any, Any], key: str, in_mailbox_of: str) -> int:
    """Wait until a key's worker is parked for room in another's mailbox; return its thread."""
    other: Any = roster_of(pool).routes[in_mailbox_of]
    until_waits(pool, key)
    threads: list[int] = []

    def is_parked() -> bool:
        # Looked at once: it loses its place each time it looks for circles. A copy is made under
        # the dictionary's own lock; without one it may change while it is looked through.
        threads[:] = other.input.room.parked.copy()
        return len(threads) == 1

    until(is_parked)
    return threads[0]


@pytest.mark.parametrize("has", ["a slot in its hand", "put its message"])
def test_one_who_has_its_room_and_has_not_gone_on_closes_no_circle(
    place: Place, kind: Kind, monkeypatch: pytest.MonkeyPatch, looks: list[object], has: str
) -> None:
    gate = place.gate()
    stopping: list[int] = []

    def stopped_after(function: Callable[..., bool]) -> Callable[..., bool]:
        def call_and_stop(*arguments: Any) -> bool:  # noqa: ANN401 - whatever they are
            taken = function(*arguments)
            if threading.get_ident() in stopping:
                gate()
            return taken

        return call_and_stop

    if has == "a slot in its hand":
        monkeypatch.setattr(Slots, "wait", stopped_after(Slots.wait))
    else:
        for each in (QueueInput, Inlet):
            monkeypatch.setattr(each, "deliver_within", stopped_after(each.deliver_within))
    pool = place.pool(kind, "b", "c", mailbox=Blocking(1), inline_calls=False)
    got: list[object] = []

    def ask_b() -> None:
        try:
            got.append(call(pool.ref("b"), Echo("from b")))
        except CallError as error:
            got.append(error)

    held = place.hold(pool.ref("c"))
    assert cast(pool.ref("c"), Note(ask_b))
    # "b" waits for room in the mailbox of "c", and for nothing else.
    assert cast(pool.ref("b"), Note(lambda: ask(pool.ref("c"), Echo("to c"))))
    stopping.append(parked(pool, "b", "c"))
    # "c" takes its message and makes room, then calls "b", which has not run since.
    held.open()
    gate.wait_until_reached()
    before = len(looks)
    until(lambda: got or len(looks) > before + 3)
    gate.open()
    until(lambda: got)

    assert got == ["from b"]


def test_a_call_to_one_who_waits_for_room_in_the_callers_full_mailbox_is_told(
    place: Place, kind: Kind
) -> None:
    pool = place.pool(kind, "b", "c", mailbox=Blocking(1), inline_calls=False)
    gate = place.gate()
    told: list[CallError] = []

    def ask_b() -> None:
        gate()
        told.append(error_of(lambda: call(pool.ref("b"), Echo("1"))))

    assert cast(pool.ref("c"), Note(ask_b))
    gate.wait_until_reached()
    assert cast(pool.ref("c"), Note(lambda: None))
    assert cast(pool.ref("b"), Note(lambda: ask(pool.ref("c"), Echo("2"))))
    parked(pool, "b", "c")
    gate.open()
    until(lambda: told)

    assert [type(error) for error in told] == [CallDeadlock]


def test_a_clean_up_behind_the_end_of_a_worker_that_calls_its_successor_is_told(
    place: Place, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is logged is kept, with the traceback.
    monkeypatch.setattr(logging.getLogger("threadpool_mb.pool.ends"), "disabled", True)
    told: list[CallError] = []
    started: list[object] = []
    has_pool = threading.Event()

    def session() -> Generator[None]:
        try:
            yield
        finally:
            # It ends with the worker's frame, and that with its error's traceback.
            pool.initialize("a")
            told.append(error_of(lambda: call(pool.ref("a"), Echo("1"))))

    def start() -> None:
        started.append(None)
        if len(started) == 1:
            # Otherwise it may end before this function knows the pool.
            has_pool.wait(15)
            session_ = session()
            next(session_)
            raise LookupError

    def function(_key: str, mailbox: Mailbox[Any]) -> None:
        start()
        for request in mailbox:
            request.reply_box.reply("2")
            del request

    def generator(_key: str) -> Generator[None, Call[str]]:
        start()
        while True:
            (yield).reply_box.reply("2")

    worker: Callable[..., Any] = function if kind == "function" else generator
    pool = place.pool(kind, "a", worker=worker)
    has_pool.set()
    until(lambda: told)

    assert type(told[0]) is CallDeadlock
    assert call(pool.ref("a"), Echo("1")) == "2"


def test_one_whose_successor_is_linked_behind_it_while_it_waits_for_it_is_told() -> None:
    before, successor = FakeWorker("before"), FakeWorker("successor")
    reply, _box = held_by(successor)

    def wait() -> CallError:
        here.inner.append(before)
        return error_of(reply.result)

    with in_thread(wait) as waiting:
        until(lambda: before.waits_for is answer_of(reply))
        successor.predecessor = before
        error = waiting.result()

    assert type(error) is CallDeadlock
    assert before.waits_for is None


def test_a_wait_that_goes_on_after_one_inside_it_looks_again() -> None:
    one, inner, outer = FakeWorker("one"), FakeWorker("inner"), FakeWorker("outer")
    calls = [held_by(worker) for worker in (one, inner, outer)]
    for_one, for_inner, for_outer = (answer_of(reply) for reply, _box in calls)
    here.inner.append(one)
    try:
        with waiting_for(for_outer) as waiting:
            with waiting_for(for_inner) as inside:
                outer.waits_for = for_one
                inside.look_again()

            with pytest.raises(CallDeadlock, match=r"'one' → fake 'outer' → fake 'one'"):
                waiting.look_again()
    finally:
        here.inner.clear()


def test_of_two_who_find_their_circle_later_one_is_told() -> None:
    one, other = FakeWorker("one"), FakeWorker("other")
    for_one, box_of_one = held_by(FakeWorker("at first"))
    for_other, box_of_other = held_by(FakeWorker("at first"))
    told: list[CallError] = []

    def wait(worker: FakeWorker, reply: Any) -> None:  # noqa: ANN401 - of either
        here.inner.append(worker)
        try:
            reply.result(timeout=DEADLINE)
        except CallError as error:
            told.append(error)
            # The worker goes on, and so does the other one.
            answer_of(for_one).holder = answer_of(for_other).holder = None

    with (
        in_thread(lambda: wait(one, for_other)) as first,
        in_thread(lambda: wait(other, for_one)) as second,
    ):
        until(lambda: one.waits_for is not None and other.waits_for is not None)
        answer_of(for_one).holder, answer_of(for_other).holder = one, other
        until(lambda: told)
        box_of_one.reply(None)
        box_of_other.reply(None)
        first.result()
        second.result()

    assert [type(error) for error in told] == [CallDeadlock]


def test_a_call_that_is_on_its_way_is_followed_when_it_has_arrived() -> None:
    one, new = FakeWorker("one"), FakeWorker("new")
    reply, _box = held_by(FakeWorker("before"))
    move = Move()
    answer_of(reply).hand_on(move)
    answer_of(reply).holder = new
    waited_for, _of_one = held_by(one)
    new.waits_for = answer_of(waited_for)
    here.inner.append(one)
    try:
        with waiting_for(answer_of(reply)) as waiting:
            waiting.look_again()  # it may go to somebody else
            answer_of(reply).handed_on(move)
            told = error_of(reply.try_result)
    finally:
        here.inner.clear()

    assert type(told) is CallDeadlock


def test_a_call_that_was_handed_on_and_on_is_on_its_way_until_the_last_one_says_so() -> None:
    ended, new = FakeWorker("ended"), FakeWorker("new")
    reply, box = held_by(FakeWorker("before"))
    first, second = Move(), Move()
    answer_of(reply).hand_on(first)
    # It was delivered, and that one hands it on before the first one has said so.
    answer_of(reply).hand_on(second)
    answer_of(reply).holder = ended
    answer_of(reply).handed_on(first)
    answer_of(reply).watch()

    ended.end()

    assert not reply.done()
    answer_of(reply).holder = new
    answer_of(reply).handed_on(second)
    box.reply(42)
    assert reply.result() == 42
