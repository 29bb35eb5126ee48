"""Flow of pools, at its edges: workers that fill their own pool, and what is kept of times."""

import contextlib
import functools
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.forks import run
from tests.helpers import DEADLINE, Running, until
from tests.insides import dispatcher_of, threads_of, worker_of
from tests.points import interrupted_at_each_point
from tests.pool.witness import Gate
from threadpool_mb import (
    CallTimedOut,
    Command,
    Full,
    MailboxClosed,
    Pool,
    PoolClosed,
    Rate,
    Restart,
    call,
    sleep,
)
from threadpool_mb.arguments import AT_ONCE
from threadpool_mb.line.askers import Asker, always
from threadpool_mb.line.striped import Stripe, StripedSlots
from threadpool_mb.pool import flows
from threadpool_mb.pool.flows import PoolFlow
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.roster import Roster

SOON = 0.01


def flow_of(pool: Pool[Any, Any]) -> PoolFlow:
    """Return what holds for all workers of a pool."""
    flow = dispatcher_of(pool)._flow
    assert flow is not None
    return flow


def worker(_key: object) -> Generator[None, Any]:
    """Call each message."""
    while True:
        (yield)()


def test_a_pinned_worker_that_finds_its_own_pool_full_is_told_at_once() -> None:
    told: list[str] = []

    def fill() -> None:
        pool.dispatch("a", int)
        try:
            pool.dispatch("a", int)
        except Full as full:
            told.append(str(full))

    with Pool(
        worker, name="two", start="on_demand", max_waiting=1, max_threads=2, pinned=True
    ) as pool:
        pool.dispatch("a", fill)
        assert pool.flush(timeout=DEADLINE)
        assert pool.stats().handled == 2

    assert told == ["the pool 'two' is full: 1 messages wait, and a pinned worker does not wait"]


@pytest.mark.parametrize("spare", ["idle", "starting"])
def test_a_worker_that_finds_its_own_pool_full_is_told_though_a_thread_has_nothing_to_do(
    spare: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows, "_PAUSE", 0.001)
    told = list[str]()

    def fill() -> None:
        pool.dispatch("a", int)
        assert threads_of(pool).unoccupied == 1
        try:
            pool.dispatch("a", int)
        except Full as full:
            told.append(str(full))

    with Pool(worker, start="on_demand", max_waiting=1, max_threads=2) as pool:
        threads = threads_of(pool)
        if spare == "idle":
            both = threading.Barrier(2)
            pool.dispatch("a", both.wait)
            pool.dispatch("b", both.wait)
            until(lambda: threads.idle == 2)
        else:
            pool.dispatch("a", functools.partial(threads.grow, least=2))
            assert pool.flush("a", timeout=DEADLINE)
        pool.dispatch("a", fill)
        assert pool.flush("a", timeout=DEADLINE)

    assert [text.rpartition(": ")[2] for text in told] == [
        "1 messages wait, and none of its threads goes on"
    ]


def test_a_pinned_worker_takes_room_that_has_come_since_it_looked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[bool] = []
    looked: list[bool] = []
    take = StripedSlots.take_from

    def send() -> None:
        lane: Any = worker_of(pool, "a")
        lane.stripe.get(False)  # the only slot: another sender has it

        def take_nothing_at_first(slots: StripedSlots, stripe: Stripe) -> bool:
            looked.append(take(slots, stripe))
            if len(looked) == 1:
                lane.stripe.free(True)  # noqa: FBT003 - the slot
            return looked[-1]

        monkeypatch.setattr(StripedSlots, "take_from", take_nothing_at_first)
        taken.append(pool.dispatch("a", int))

    with Pool(worker, start="on_demand", max_waiting=1, max_threads=1, pinned=True) as pool:
        pool.dispatch("a", send)
        assert pool.flush(timeout=DEADLINE)
        assert pool.stats().handled == 2

    assert (taken, looked) == ([True], [False, True])


def test_a_worker_that_calls_into_its_own_full_pool_waits_for_room_no_longer_than_it_says() -> None:
    gate = Gate()
    told: list[BaseException] = []

    def ask() -> None:
        try:
            call(pool.ref("b"), Command[int](), timeout=SOON)
        except CallTimedOut as late:
            told.append(late)

    with Pool(worker, start="on_demand", max_waiting=1, max_threads=2) as pool:
        pool.dispatch("b", gate)
        gate.wait_until_reached()
        pool.dispatch("a", ask)
        pool.dispatch("b", int)
        until(lambda: told)
        gate.open()

    assert pool.stats().handled == 3


def test_a_worker_that_waits_for_room_in_its_own_pool_looks_again_until_it_has_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flows, "_PAUSE", 0.001)
    gate, sent = Gate(), list[bool]()
    looks = list[int]()

    def send() -> None:
        flow = dispatcher_of(pool)._flow
        assert flow is not None
        goes_on = flow._none_goes_on
        monkeypatch.setattr(
            PoolFlow, "_none_goes_on", lambda _, threads: looks.append(1) or goes_on(threads)
        )
        for _ in range(2):
            sent.append(pool.dispatch("b", int))

    with Pool(worker, start="on_demand", max_waiting=1, max_threads=2) as pool:
        pool.dispatch("b", gate)
        gate.wait_until_reached()
        pool.dispatch("a", send)
        until(lambda: len(looks) >= 3)
        gate.open()
        until(lambda: len(sent) == 2)

    assert sent == [True, True]
    assert pool.stats().handled == 4


def test_where_another_worker_waits_for_a_time_one_that_finds_no_room_goes_on_waiting() -> None:
    handled = list[str]()

    def sleeps(_key: object) -> Generator[Any, Any]:
        while True:
            message = yield
            if message == "sleep":
                yield from sleep(0.1)
                handled.append("slept")
            elif callable(message):
                message()

    def send() -> None:
        for name in ("one", "two"):
            pool.dispatch("c", functools.partial(handled.append, name))

    with Pool(sleeps, start="on_demand", max_waiting=1, max_threads=1) as pool:
        pool.dispatch("b", "sleep")
        until(lambda: dispatcher_of(pool)._flow.suspended)  # type: ignore[union-attr]
        pool.dispatch("a", send)
        assert pool.flush(timeout=DEADLINE)

    assert sorted(handled) == ["one", "slept", "two"]


def _full_with_a_restart_to_come(
    delay: float, told: list[str], handled: list[str]
) -> tuple[Pool[str, Any], Gate]:
    """Return a pool of one thread whose room is that of a worker that is to begin anew.

    Another worker is about to send, once the gate is open.
    """
    gate = Gate()

    def fails(_key: object) -> Generator[None, Any]:
        while True:
            (yield)()

    def fail() -> None:
        raise ValueError

    def send() -> None:
        gate()
        try:
            pool.dispatch("c", functools.partial(handled.append, "sent"))
        except Full as full:
            told.append(str(full).rpartition(": ")[2])

    pool = Pool[str, Any](
        fails,
        start="on_demand",
        max_waiting=1,
        max_threads=1,
        restart=Restart(delay=delay, in_hand="drop"),
    )
    pool.dispatch("b", fail)
    until(lambda: pool.stats().failed)
    pool.dispatch("a", send)
    gate.wait_until_reached()
    pool.dispatch("b", functools.partial(handled.append, "kept"))
    return pool, gate


def test_where_a_worker_is_to_be_restarted_one_that_finds_no_room_goes_on_waiting() -> None:
    told, handled = list[str](), list[str]()
    pool, gate = _full_with_a_restart_to_come(0.1, told, handled)
    with pool:
        gate.open()
        assert pool.flush(timeout=DEADLINE)

    assert not told
    assert handled == ["kept", "sent"]


def test_where_a_restart_is_called_off_one_that_finds_no_room_is_told() -> None:
    """The room of what was waiting there is free then; it is taken by others here."""
    told, handled = list[str](), list[str]()
    pool, gate = _full_with_a_restart_to_come(3600, told, handled)
    with pool:
        assert pool.remove("b", drain=False)
        assert flow_of(pool).suspended
        assert flow_of(pool).room.wait(AT_ONCE)  # type: ignore[union-attr]
        gate.open()
        assert pool.flush(timeout=DEADLINE)
        assert not flow_of(pool).suspended

    assert told == ["1 messages wait, and none of its threads goes on"]
    assert not handled


def test_in_a_forked_child_nobody_waits_for_room_in_the_parents_full_pool() -> None:
    lines = run("""
        def worker(key):
            while True:
                (yield)()

        def child():
            told(pool.dispatch, "a", int)
            told(rated.dispatch, "a", int)
            told(mb.call, pool.ref("b"), Ask())

        gate, reached = threading.Event(), threading.Event()
        def hold():
            reached.set()
            gate.wait()

        with (
            mb.Pool(worker, start="on_demand", max_waiting=1) as pool,
            mb.Pool(worker, start="on_demand", rate=mb.Rate(1000)) as rated,
        ):
            pool.dispatch("a", hold)
            reached.wait()
            pool.dispatch("a", int)
            print(in_child(child))
            gate.set()
        print(pool.stats().handled)
    """)

    assert lines[:2] == ["PoolClosed True"] * 2
    assert lines[2].startswith("CallNotDelivered")
    assert lines[3:] == ["0", "2"]


def test_a_worker_that_waits_for_room_in_its_own_pool_is_told_when_the_pool_is_closed() -> None:
    gate = Gate()
    told: list[str] = []

    def send() -> None:
        try:
            for _ in range(3):
                pool.dispatch("b", int)
        except PoolClosed as closed:
            told.append(str(closed))

    pool = Pool[str, Any](worker, name="p", start="on_demand", max_waiting=1, max_threads=2)
    pool.dispatch("b", gate)
    gate.wait_until_reached()
    pool.dispatch("a", send)
    until(lambda: pool._dispatcher._flow._waiting)  # type: ignore[union-attr]
    pool.close()
    until(lambda: told)
    gate.open()

    assert pool.join(timeout=DEADLINE).finished
    assert told == ["the pool 'p' is closed: it takes no message for key 'b'"]
    assert pool.stats().handled == 3


@pytest.mark.parametrize("end", [Pool.close, Pool.cancel])
@pytest.mark.parametrize("send", [Pool.dispatch, Pool.initialize])
def test_a_pool_that_is_closed_as_a_first_message_has_its_room_wakes_others_and_keeps_no_room(
    end: Callable[[Pool[str, int]], object],
    send: Callable[[Pool[str, int], str, int], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate()
    enter = Roster.enter

    def stop_and_enter(roster: Roster[str, int], incarnation: Incarnation[str, int]) -> bool:
        gate()
        return enter(roster, incarnation)

    monkeypatch.setattr(Roster, "enter", stop_and_enter)
    dead = list[Any]()
    pool = Pool[str, int](worker, start="on_demand", max_waiting=1, on_dead_letter=dead.append)
    room = flow_of(pool).room
    assert room is not None
    first = Running(lambda: send(pool, "first", 1))
    gate.wait_until_reached()
    others = [Running(functools.partial(pool.dispatch, key, 2)) for key in ("second", "third")]
    until(lambda: len(room.askers) == 2)

    end(pool)

    for other in others:  # the first one has its room still
        with pytest.raises(PoolClosed):
            other.result()
    gate.open()
    with pytest.raises(PoolClosed):
        first.result()
    assert pool.join(timeout=DEADLINE).finished
    # Shutting frees one more.
    assert sum(each.qsize() for each in (room._free, *room.stripes)) == room.limit + 1
    assert not dead


@pytest.mark.parametrize("point", ["put", "enter"])
@pytest.mark.parametrize("send", [Pool.dispatch, Pool.initialize])
def test_a_first_message_keeps_no_room_where_its_sender_is_interrupted(
    send: Callable[[Pool[str, Any], str, Any], bool], point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the message is in its worker's queue, or as the worker is about to be entered."""
    with Pool[str, Any](worker, start="on_demand", max_waiting=1, when_full="raise") as pool:
        pool.dispatch("known", int)
        assert pool.flush(timeout=DEADLINE)
        lane = type(worker_of(pool, "known"))
        at: Any = lane if point == "put" else Roster
        as_before = getattr(lane, "put")  # noqa: B009 - of a queue

        def interrupted(self: Any, *arguments: Any) -> None:  # noqa: ANN401 - as there
            if point == "put":
                as_before(self, *arguments)
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(at, point, interrupted)
            with pytest.raises(KeyboardInterrupt):
                send(pool, "first", int)

        assert "first" not in pool
        assert pool.dispatch("second", int)
        assert pool.flush(timeout=DEADLINE)

    assert not pool.stats().dead_letters


@pytest.mark.parametrize("refused", ["deliver", "force"])
def test_what_a_worker_refuses_frees_its_room_for_a_sender_in_line_though_it_is_interrupted(
    refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is removed, and the other sender gets in line, as this one has its room."""

    def take_and_let_ask(room: StripedSlots) -> None:
        assert room.take_from(room.stripes[0])
        room.ask(Asker(lambda: True, always))

    def take_room(_: PoolFlow, stripe: Stripe, *__: object) -> bool:
        take_and_let_ask(stripe.slots)
        return True

    monkeypatch.setattr(PoolFlow, "take_room", take_room)
    monkeypatch.setattr(StripedSlots, "overdraw", take_and_let_ask)

    def prepare() -> tuple[Pool[str, Any], Any]:
        pool = Pool[str, Any](worker, max_waiting=1)
        pool.initialize("a")
        lane = worker_of(pool, "a")
        pool.remove("a", drain=True)
        return pool, lane

    def send(scene: tuple[Pool[str, Any], Any]) -> None:
        with contextlib.suppress(MailboxClosed):
            assert not getattr(scene[1], refused)(int)

    for pool, lane in interrupted_at_each_point(prepare, send):
        room = lane.room
        assert not (room.askers and any(each.qsize() for each in (room._free, *room.stripes)))
        pool.close()
        assert pool.join(timeout=DEADLINE).finished


def test_what_a_worker_leaves_to_the_next_one_takes_room_until_it_is_handled() -> None:
    gate, again = Gate(), Gate()
    handled: list[object] = []

    def once(_key: object) -> Generator[None, Any]:
        message = yield
        if isinstance(message, Gate):
            message()
        handled.append(message)

    with Pool(once, start="on_demand", max_waiting=3, when_full="raise") as pool:
        for each in (gate, again):
            handled.clear()
            pool.dispatch("a", each)
            each.wait_until_reached()
            for number in range(3):
                pool.dispatch("a", number)
            with pytest.raises(Full):
                pool.dispatch("b", 4)
            each.open()
            until(lambda: len(handled) == 4)
            assert handled[1:] == [0, 1, 2]
        assert pool.flush(timeout=DEADLINE)

    assert not pool.stats().dead_letters


def test_a_late_message_is_handed_on_above_the_bound_and_its_room_is_given_back_once() -> None:
    gate, handled = Gate(), list[str]()

    with Pool(worker, start="on_demand", max_waiting=1, max_threads=2, when_full="raise") as pool:
        keeping = dispatcher_of(pool).keeping
        assert keeping is not None
        pool.dispatch("a", gate)
        gate.wait_until_reached()
        pool.dispatch("a", int)
        assert keeping.redeliver("b", lambda: handled.append("late"))  # type: ignore[arg-type]
        until(lambda: handled)
        with pytest.raises(Full):
            pool.dispatch("b", int)
        gate.open()
        assert pool.flush(timeout=DEADLINE)
        for _ in range(3):
            pool.dispatch("b", int)
            assert pool.flush(timeout=DEADLINE)

    assert handled == ["late"]


def test_a_late_message_of_a_pool_with_a_rate_alone_takes_no_room() -> None:
    handled = list[str]()

    with Pool(worker, start="on_demand", rate=Rate(1e6)) as pool:
        keeping = dispatcher_of(pool).keeping
        assert keeping is not None
        assert keeping.redeliver("b", lambda: handled.append("late"))  # type: ignore[arg-type]
        until(lambda: handled)
        assert pool.flush(timeout=DEADLINE)

    assert pool.stats().handled == 1


def test_a_lane_that_is_closed_takes_no_late_message_and_keeps_no_room_for_it() -> None:
    with Pool(worker, start="on_demand", max_waiting=1, when_full="raise") as pool:
        pool.dispatch("a", int)
        assert pool.flush(timeout=DEADLINE)
        lane: Any = worker_of(pool, "a")
        pool.remove("a")
        until(lambda: lane.closed)

        assert not lane.force(int)

        pool.dispatch("b", int)
        assert pool.flush(timeout=DEADLINE)
    assert pool.stats().handled == 2


def test_the_times_of_keys_that_may_go_on_by_now_are_not_kept() -> None:
    flow = PoolFlow("p", Rate(1), None, None, wait=True)

    for number in range(5000):
        flow.remember(number, due=number + 1.0, now=float(number))

    assert len(flow._due) <= 2 * 1024
    assert flow.due_before(0) is None
    assert [flow.due_before(key) for key in (4998, 4999)] == [4999.0, 5000.0]


def test_the_times_of_keys_that_have_to_wait_are_all_kept() -> None:
    flow = PoolFlow("p", Rate(1), None, None, wait=True)

    for number in range(5000):
        flow.remember(number, due=1e9, now=0.0)

    assert len(flow._due) == 5000
    assert flow._looked >= 5000  # looked through seldom, though they are many
