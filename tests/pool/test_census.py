"""What a pool counts, and that workers that are idle cost a look nothing."""

import collections
import itertools
import pathlib
import sys
import threading
from collections.abc import Callable, Generator
from typing import Any, Final

import pytest

import threadpool_mb as mb
from tests.calls.doubles import answer, doing
from tests.helpers import DEADLINE, Running, run_together, until
from tests.insides import dispatcher_of, let_all_rest, roster_of, worker_of
from tests.mailbox.stepping import STEPS, each_step, held
from tests.points import at_each_point
from tests.pool.doubles import new_incarnation
from threadpool_mb import Pool, Restart, WorkerExit
from threadpool_mb.dead_letters import DeadLetterOffice
from threadpool_mb.line import lane
from threadpool_mb.line.inlet import ending
from threadpool_mb.pool import census, lane_lives
from threadpool_mb.pool.function_workers import FunctionWorker
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.roster import Roster

CODE: Final = tuple(str(pathlib.Path(each.__file__)) for each in (census, lane_lives, lane))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers that may be idle are many."""
    monkeypatch.setattr(census, "_MANY", 2)


def taking(_key: object) -> Generator[None, object]:
    """Take messages."""
    while True:
        yield


def look_until_all_rest(pool: Pool[Any, Any]) -> None:
    """Look at a pool, by `stats`, until the dispatcher has found all workers dormant."""

    def all_rest() -> bool:
        pool.stats()
        return not roster_of(pool).not_dormant()

    until(all_rest)


@pytest.mark.usefixtures("few")
def test_workers_that_are_idle_are_not_looked_at() -> None:
    with Pool(taking, start="on_demand", max_threads=2) as pool:
        for key in range(3000):
            pool.dispatch(key, 0)
        assert pool.flush(timeout=DEADLINE)

        look_until_all_rest(pool)

        stats = pool.stats()
        assert (stats.keys, stats.busy, stats.waiting, stats.handled) == (3000, 0, 0, 3000)
        assert (len(pool), len(pool.keys()), len(list(pool.workers()))) == (3000, 3000, 3000)
        assert [each.key for each in pool.workers()] == list(range(3000))
        assert {each.state for each in pool.workers()} == {"idle"}
    assert pool.stats().ended == {"drained": 3000}


def test_workers_come_oldest_first_in_whichever_order_they_wake_up() -> None:
    with Pool(taking, max_threads=2) as pool:
        for key in range(9):
            pool.initialize(key)
        assert pool.flush(timeout=DEADLINE)
        let_all_rest(pool)
        for key in (5, 2, 8, 0, 1, 7, 3, 6, 4):
            assert pool.dispatch(key, 1)
            assert [each.key for each in pool.workers()] == list(range(9))
        assert len(roster_of(pool).not_dormant()) == 9


@pytest.mark.usefixtures("few")
def test_many_workers_are_looked_at_without_anybody_asking() -> None:
    with Pool(taking, start="on_demand", max_threads=2) as pool:
        for key in range(1000):
            pool.dispatch(key, 0)
            assert pool.flush(key, timeout=DEADLINE)

        # A look makes most of them dormant, and the next one is due at twice what was left. It is
        # the dispatcher that looks, which may come late.
        until(lambda: len(roster_of(pool).not_dormant()) < 900)


def test_a_few_workers_that_are_idle_are_not_looked_at_for_ever() -> None:
    with Pool(taking, start="on_demand", max_threads=2) as pool:
        for key in range(10):
            pool.dispatch(key, 0)
        assert pool.flush(timeout=DEADLINE)

        look_until_all_rest(pool)

        assert (pool.stats().keys, pool.stats().handled) == (10, 10)


def test_the_dispatcher_does_other_things_between_two_parts_of_its_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(census, "_AT_ONCE", 3)
    hold, held_up = threading.Event(), threading.Event()
    left: list[int] = []
    with Pool(taking, start="on_demand", max_threads=2) as pool:
        for key in range(10):
            pool.dispatch(key, 0)
        assert pool.flush(timeout=DEADLINE)
        roster, soon = roster_of(pool), dispatcher_of(pool).call_soon
        until(lambda: all(each.idle for each in roster.not_dormant()))
        soon(lambda: held_up.set() or hold.wait(DEADLINE))
        assert held_up.wait(DEADLINE)

        roster.let_rest()
        soon(lambda: left.append(len(roster.not_dormant())))
        hold.set()

        until(lambda: not roster.not_dormant() and bool(left))
        assert left == [4]


def test_workers_that_are_busy_hold_up_no_look_at_those_behind_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(census, "_AT_ONCE", 2)
    gate = threading.Event()

    def worker(key: int) -> Generator[None, object]:
        while True:
            yield
            assert key >= 4 or gate.wait(DEADLINE)

    with Pool(worker, start="on_demand", max_threads=5) as pool:
        for key in range(9):
            pool.dispatch(key, 0)
        roster = roster_of(pool)
        until(lambda: [each.key for each in roster.not_dormant() if each.idle] == [4, 5, 6, 7, 8])

        dispatcher_of(pool).call_soon(roster.let_rest)

        until(lambda: [each.key for each in roster.not_dormant()] == [0, 1, 2, 3])
        gate.set()


@pytest.mark.parametrize("ends", ["dormant", "ended"])
def test_a_dict_that_was_large_is_not_walked_through_for_ever(ends: str) -> None:
    with Pool(taking, start="on_demand", max_threads=2) as pool:
        for key in range(5000):
            pool.dispatch(key, 0)
        assert pool.flush(timeout=DEADLINE)
        if ends == "dormant":
            let_all_rest(pool)
        else:
            for key in range(5000):
                pool.remove(key)
            until(lambda: not list(pool.workers()))

        assert roster_of(pool).not_dormant() == []
        assert sys.getsizeof(roster_of(pool)._unfinished) < sys.getsizeof(dict.fromkeys(range(999)))


class Sparse:
    """A roster in which many workers have been; a few of its told orders are censuses."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.roster: Roster[Any, Any] = Roster(self.told.append)
        self.office: DeadLetterOffice[Any, Any] = DeadLetterOffice("roster")
        workers = [self.enters(key) for key in range(700)]
        for worker in workers[5:]:
            self.roster.begin(worker)
            self.roster.end(worker, "returned")

    def enters(self, key: int) -> Incarnation[Any, Any]:
        """Have a worker enter."""
        worker = new_incarnation(key, self.office)
        assert self.roster.enter(worker)
        return worker


def test_what_enters_while_the_dict_is_copied_is_in_the_copy() -> None:
    def handler(scene: Sparse) -> None:
        scene.enters(1000)
        scene.roster.not_dormant()
        scene.enters(1001)

    for scene in at_each_point(Sparse, lambda scene: scene.roster.not_dormant(), handler):
        before = list(range(5))
        keys = [each.key for each in scene.roster.unfinished()]
        assert keys in (before, [*before, 1000, 1001])
        assert set(keys) == set(scene.roster.routes)
        assert sys.getsizeof(scene.roster._unfinished) < sys.getsizeof(dict.fromkeys(range(700)))


def test_the_dispatcher_looks_more_and_more_seldom_where_it_looks_in_vain() -> None:
    roster = Sparse().roster
    told: list[object] = []
    roster._ready = told.append  # type: ignore[misc, assignment]
    for worker in roster.not_dormant():
        roster.begin(worker)
        worker.__class__ = IdleFunction
    looks = list[int]()

    for look in range(1000):
        roster.found_idle(5)
        if told:
            looks.append(look)
            told.clear()
            roster.let_rest()

    between = [each - before for before, each in itertools.pairwise(looks)]
    assert between == [13, 26, 52, 103, 205, 410]
    assert len(roster.not_dormant()) == 5


class IdleFunction(FunctionWorker[Any, Any]):
    """A worker that is idle, and does not lie down."""

    __slots__ = ()

    @property
    def idle(self) -> bool:
        """Whether it is idle."""
        return True


@STEPS
def test_a_worker_that_wakes_up_meanwhile_is_unfinished() -> None:
    def prepare() -> Scene:
        scene = Scene()
        scene.lies_down()
        return scene

    def act(scene: Scene) -> bool:
        return roster_of(scene.pool).is_unfinished(scene.worker)

    for scene, stepped in each_step(prepare, act, CODE):
        roster = roster_of(scene.pool)
        beside = Running(lambda: roster.rouse(scene.worker))  # noqa: B023 - joined in this round
        if not held(roster.lock):
            until(lambda: not beside.running)  # noqa: B023
        assert stepped.result() is True
        beside.result()
        scene.pool.close()
        assert scene.pool.join(timeout=DEADLINE).finished


def _pause(pool: Pool[Any, Any]) -> None:
    assert pool.pause("a")
    pool.dispatch("a", "paused")
    assert pool.stats().waiting == 1
    assert pool.resume("a")


@pytest.mark.parametrize(
    "wake",
    [
        lambda pool: pool.dispatch("a", 1),
        lambda pool: mb.call(pool.ref("a"), answer(lambda: 1)),
        lambda pool: mb.call(pool.ref("a"), answer(lambda: 1), timeout=DEADLINE),
        _pause,
        lambda pool: pool.dispatch_later(0, "a", 1),
    ],
    ids=["dispatch", "call in place", "call", "pause", "later"],
)
def test_a_dormant_worker_handles_what_comes_and_counts_again(
    wake: Callable[[Pool[Any, Any]], object],
) -> None:
    with Pool(doing, max_threads=1, inline_calls=True) as pool:
        pool.initialize("a")
        assert pool.flush(timeout=DEADLINE)
        let_all_rest(pool)

        wake(pool)
        until(lambda: pool.stats().handled == 1)

        assert [each.key for each in roster_of(pool).not_dormant()] == ["a"]
        let_all_rest(pool)
        assert pool.stats().handled == 1
        assert len(pool) == 1


@pytest.mark.parametrize("end", ["remove", "drain", "close", "cancel", "idle"])
def test_a_dormant_worker_ends(end: str) -> None:
    exits = list[WorkerExit[str]]()
    with Pool(
        taking, on_worker_exit=exits.append, idle_timeout=0.05 if end == "idle" else None
    ) as pool:
        for key in "abc":
            pool.initialize(key)
        if end != "idle":
            assert pool.flush(timeout=DEADLINE)
            let_all_rest(pool)
        match end:
            case "remove":
                assert pool.remove("b")
            case "drain":
                assert pool.remove("b", drain=True)
            case "close":
                pool.close()
            case "cancel":
                pool.cancel()
            case _:
                until(lambda: not len(pool))
    assert sorted(each.key for each in exits) == ["a", "b", "c"]
    assert pool.stats().ended == collections.Counter(each.cause for each in exits)


def messages_of(key: object) -> Generator[object, Any]:
    """Take messages; do what each says."""
    while True:
        message = yield
        match message:
            case "return":
                return
            case "raise":
                raise ValueError(key)
            case "sleep":
                yield from mb.sleep(0.01)
            case _:
                pass


@pytest.mark.parametrize(
    "options", [{}, {"pinned": True}, {"mailbox": mb.Blocking(100)}, {"throughput": 2}], ids=str
)
@pytest.mark.parametrize(
    ("messages", "handled", "ended"),
    [
        (["x"] * 7, 7, {"drained": 1}),
        (["x", "sleep", "x"], 3, {"drained": 1}),
        (["x", "return"], 2, {"returned": 1}),
        (["x", "return", "x", "x"], 4, {"returned": 1, "drained": 1}),
        (["x", "raise", "x", "x"], 4, {"failed": 1, "drained": 1}),
        (["raise", "return", "raise", "x"], 4, {"failed": 2, "returned": 1, "drained": 1}),
        ([], 0, {}),
    ],
    ids=str,
)
def test_each_message_counts_once_however_its_turn_ends(
    messages: list[str], handled: int, ended: dict[str, int], options: dict[str, Any]
) -> None:
    with Pool(
        messages_of,
        start="on_demand",
        max_threads=2,
        restart=Restart(max_restarts=9, delay=0, in_hand="drop"),
        **options,
    ) as pool:
        # All wait before the first turn, or come while turns are taken: both.
        pool.dispatch_many("a", messages)
        pool.dispatch_many("b", messages)
        assert pool.flush(timeout=DEADLINE)
        until(lambda: pool.stats().handled == 2 * handled)
        during = pool.stats()
    after = pool.stats()

    assert during.waiting == 0
    assert during.handled == after.handled == 2 * handled
    assert after.ended == {cause: 2 * count for cause, count in ended.items()}


def test_what_is_tried_again_counts_again() -> None:
    tries = list[str]()

    def worker(_: str) -> Generator[None, str]:
        while True:
            message = yield
            tries.append(message)
            if len(tries) < 3:
                raise ValueError(message)

    with Pool(worker, restart=Restart(max_restarts=9, delay=0, in_hand="retry")) as pool:
        pool.initialize("a", "x")
        assert pool.flush(timeout=DEADLINE)
        until(lambda: len(tries) == 3 and pool.flush(timeout=DEADLINE))
        until(lambda: pool.stats().handled == 3)


@pytest.mark.parametrize("end", ["remove", "close", "cancel"])
def test_a_worker_that_ends_as_it_waits_to_begin_anew_leaves_its_count(end: str) -> None:
    with Pool(
        messages_of, max_threads=1, restart=Restart(delay=3600), on_dead_letter=lambda _: None
    ) as pool:
        pool.initialize("a")
        pool.dispatch_many("a", ["x", "x", "raise", "behind"])
        until(lambda: pool.stats().timers == 1)
        assert pool.stats().handled == 3
        if end == "remove":
            assert pool.remove("a")
        elif end == "cancel":
            pool.cancel()
        else:
            pool.remove("a")
            pool.close()
        until(lambda: not list(pool.workers()))
        assert pool.stats().handled == 3


def test_the_longest_queues_are_hot() -> None:
    gate = threading.Event()

    def worker(_: int) -> Generator[None, int]:
        while True:
            yield
            assert gate.wait(DEADLINE)

    with Pool(worker, start="on_demand", max_threads=1) as pool:
        for key in range(20):
            pool.dispatch_many(key, range(key))
        hot = pool.hot(3)
        every = pool.hot(100)
        for n in (0, -1, 2.5, None):
            with pytest.raises((TypeError, ValueError), match="n must be"):
                pool.hot(n)  # type: ignore[arg-type]
        gate.set()
    assert [(each.key, each.messages) for each in hot] == [(19, 19), (18, 18), (17, 17)]
    assert 17 <= len(every) <= 19
    assert pool.hot() == []


class Scene:
    """A worker that is idle, and a thread that takes its turns when it is told to."""

    def __init__(self) -> None:
        self.handled: list[object] = []
        self.sent = 0
        self.pool: Pool[str, Any] = Pool(self._work, max_threads=1)
        self.pool.initialize("a")
        assert self.pool.flush(timeout=DEADLINE)
        until(lambda: getattr(worker_of(self.pool, "a"), "idle", False))

    @property
    def worker(self) -> Incarnation[str, Any]:
        """The worker."""
        worker = worker_of(self.pool, "a")
        assert worker is not None
        return worker

    def _work(self, _key: str) -> Generator[None, Any]:
        while True:
            self.handled.append((yield))

    def lies_down(self) -> None:
        """Have it lie down, if it is idle."""
        roster_of(self.pool).let_rest()

    def sends(self) -> None:
        """Send two messages."""
        for _ in range(2):
            self.sent += self.pool.dispatch("a", self.sent)

    def closes(self) -> None:
        """Send one, and close the pool."""
        self.sent += self.pool.dispatch("a", self.sent)
        self.pool.close()


@pytest.mark.slow
@STEPS
@pytest.mark.parametrize("other", [Scene.sends, Scene.closes])
def test_wherever_a_worker_lies_down_nothing_is_forgotten(other: Callable[[Scene], None]) -> None:
    for scene, stepped in each_step(Scene, Scene.lies_down, CODE):
        lock = roster_of(scene.pool).lock
        beside = Running(lambda: other(scene))  # noqa: B023 - joined in this round
        if not held(lock) and not held(ending):
            until(lambda: not beside.running)  # noqa: B023
        stepped.result()
        beside.result()
        until(lambda: len(scene.handled) == scene.sent)  # noqa: B023
        scene.pool.close()
        assert scene.pool.join(timeout=DEADLINE).finished
        assert scene.handled == list(range(scene.sent))
        stats = scene.pool.stats()
        assert (stats.handled, stats.ended, stats.waiting) == (scene.sent, {"drained": 1}, 0)


class FirstTurn(Scene):
    """A worker that was never idle: it is in its first turn until it is told to go on."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.handled: list[object] = []
        self.pool: Pool[str, Any] = Pool(self._begin, max_threads=1)
        self.pool.initialize("a")
        assert self.begun.wait(DEADLINE)

    def _begin(self, key: str) -> Generator[None, Any]:
        self.begun.set()
        self.gate.wait(DEADLINE)
        yield from self._work(key)

    def lies_down(self) -> None:
        """Have it lie down, if it is idle then."""
        worker_of(self.pool, "a").lie_down()


@STEPS
def test_a_worker_that_is_idle_for_the_first_time_meanwhile_lies_down_or_does_not() -> None:
    for scene, stepped in each_step(FirstTurn, FirstTurn.lies_down, CODE):
        scene.gate.set()
        until(lambda: getattr(worker_of(scene.pool, "a"), "idle", False))  # noqa: B023
        stepped.result()
        assert scene.pool.dispatch("a", 0)
        scene.pool.close()
        assert scene.pool.join(timeout=DEADLINE).finished
        assert scene.handled == [0]


@pytest.mark.racing
def test_counts_are_exact_while_all_happens_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "_MANY", 2)
    monkeypatch.setattr(census, "_AT_ONCE", 7)
    monkeypatch.setattr(census, "_BYTES", 0)  # the dict is replaced at each look
    looks = list[mb.PoolStats]()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            looks.append(pool.stats())

    def send(number: int) -> None:
        for message in range(300):
            key = (message * 7 + number) % 40
            if message % 9 == 5:
                mb.call(pool.ref(key), answer(lambda: 1), timeout=DEADLINE)
            elif message % 9 == 7:
                mb.call(pool.ref(key), answer(lambda: 1))
            else:
                assert pool.dispatch(key, answer(lambda: 1))

    with Pool(doing, start="on_demand", max_threads=3, inline_calls=True) as pool:
        watching = Running(look)
        run_together(*(lambda number=number: send(number) for number in range(3)))
        assert pool.flush(timeout=DEADLINE)
        over.set()
        watching.result()
        until(lambda: pool.stats().handled == 900)
    assert pool.stats().handled == 900
    handled = [each.handled or 0 for each in looks]
    assert max(handled, default=0) <= 900
    assert all(each.waiting >= 0 and 0 <= each.busy <= 40 for each in looks)
