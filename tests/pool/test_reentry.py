"""Keys, finalizers and signal handlers that use the pool in the middle of what it does."""

import contextlib
import itertools
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers import DEADLINE, until
from tests.points import Point, at_each_point
from tests.pool.doubles import new_incarnation
from threadpool_mb import Pool, PoolClosed, WorkerExit
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.pool.incarnation import Incarnation, State
from threadpool_mb.pool.roster import Roster

REMOVED = DeadLetterReason.WORKER_REMOVED


class CallingKey:
    """A key that calls a function when it is hashed, at the time that the test says."""

    def __init__(self, function: Callable[[], object] = lambda: None, after: int = -1) -> None:
        self.function = function
        self.after = after

    def __hash__(self) -> int:
        self.after -= 1
        if self.after == -1:
            self.function()
        return 7


class Line:
    """A roster, and a key's workers in it."""

    def __init__(self) -> None:
        self.told: list[Incarnation[Any, Any] | None] = []
        self.roster: Roster[Any, Any] = Roster(self.told.append)
        self.key = CallingKey()
        self.entered: list[Incarnation[Any, Any]] = []

    def new(self) -> Incarnation[Any, Any]:
        """Make a worker that is not entered."""
        return new_incarnation(self.key, DeadLetterOffice("roster"))

    def enter(self) -> bool:
        """Enter a worker."""
        incarnation = self.new()
        entered = self.roster.enter(incarnation)
        if entered:
            self.entered.append(incarnation)
        return entered

    def leave(self, *, drain: bool = True) -> None:
        """Remove the key's current worker."""
        current = self.roster.routes.get(self.key)
        if current is not None:
            self.roster.leave(current, may_start=drain, reason=REMOVED)

    def run(self) -> None:
        """Enter a worker and let it run."""
        self.enter()
        assert self.roster.begin(self.entered[-1])

    def check(self) -> None:
        """Check that the key's workers take their turns one after the other, each once."""
        alive = [each for each in self.entered if each.state != "ended"]
        current = [each for each in alive if each.current]
        assert len(current) == self.roster.workers <= 1
        assert self.roster.has(self.key) is bool(current)
        assert set(self.roster.unfinished()) == set(alive)
        for _ in range(3):
            self.end_one()
            if not self.roster.closed:
                self.enter()
        self.roster.close()
        while self.roster.unfinished():
            self.end_one()
        self.tell()
        assert self.told[-1] is None
        assert self.roster.workers == 0

    def tell(self) -> None:
        """Tell the mailboxes of those that have left."""
        for each, what in list(self.roster.untold.items()):
            self.roster.told(each, what)

    def end_one(self) -> None:
        """End the worker whose turn it is, if there is one."""
        alive = self.roster.unfinished()
        turns = [each for each in self.told if each in alive]
        assert len(turns) == bool(alive), "one worker's turn at a time"
        for turn in turns:
            self.roster.begin(turn)
            self.roster.leave(turn, may_start=True)
            self.roster.end(turn, "returned")


def replace(line: Line) -> None:
    """Remove the current worker and enter another."""
    line.leave()
    line.enter()


def replace_and_remove(line: Line) -> None:
    """Replace the current worker, and remove the new one, which has its turn."""
    replace(line)
    line.leave()


def drop(line: Line) -> None:
    """Remove the current worker; it never starts if it has not started."""
    line.leave(drain=False)


def drop_and_enter(line: Line) -> None:
    """Remove the current worker, which never starts, and enter another."""
    drop(line)
    line.enter()


CALLS: dict[str, Callable[[Line], object]] = {
    "enter": Line.enter,
    "leave": Line.leave,
    "replace": replace,
    "replace and remove": replace_and_remove,
    "drop": drop,
    "drop and enter": drop_and_enter,
}
SCENES: dict[str, Callable[[Line], object]] = {
    "empty": lambda line: None,
    "one runs": Line.run,
    "one waits": Line.enter,
    "one runs and one waits": lambda line: (line.run(), replace(line)),
    "one leaves": lambda line: (line.run(), line.leave()),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("act", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_a_key_that_uses_the_pool_when_it_is_hashed_breaks_no_line(
    scene: Callable[[Line], object],
    act: Callable[[Line], object],
    call: Callable[[Line], object],
) -> None:
    for after in range(20):
        line = Line()
        scene(line)
        line.key.function = lambda line=line: call(line)
        line.key.after = after
        act(line)
        reached = line.key.after < 0
        line.key.after = -1

        line.check()

        if not reached:
            return
    pytest.fail("the key is hashed without an end")


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("act", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_what_a_signal_handler_does_in_the_middle_of_the_roster_breaks_no_line(
    scene: Callable[[Line], object],
    act: Callable[[Line], object],
    call: Callable[[Line], object],
) -> None:
    def prepare() -> Line:
        line = Line()
        scene(line)
        return line

    for line in at_each_point(prepare, act, call):
        line.check()


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_a_pool_that_is_ended_while_a_worker_enters_ends(end: str) -> None:
    for line in at_each_point(Line, entering, lambda line: getattr(line.roster, end)()):
        getattr(line.roster, end)()

        assert all(each.state == "ended" for each in line.entered) or end == "close"
        line.check()


def entering(line: Line) -> None:
    """Enter a worker, if the roster is still open."""
    try:
        line.enter()
    except PoolClosed:
        assert line.roster.unfinished() == []


def test_a_pool_may_be_cancelled_while_it_is_cancelled() -> None:
    def prepare() -> Line:
        line = Line()
        line.run()
        for _ in range(3):
            replace(line)
        return line

    for line in at_each_point(
        prepare, lambda line: line.roster.cancel(), lambda line: line.roster.cancel()
    ):
        assert line.roster.unfinished() == [line.entered[0]]
        assert set(line.roster.untold) >= set(line.entered[2:])


def test_a_pool_ends_once_the_messages_of_those_are_dead_letters_that_were_dropped() -> None:
    line = Line()
    line.run()
    replace(line)
    running, dropped = line.entered
    line.roster.cancel()
    line.roster.end(running, "cancelled")
    assert None not in line.told

    line.roster.told(dropped, "abandon")

    assert line.told[-1] is None


def test_a_mailbox_that_raises_as_it_is_abandoned_does_not_keep_the_pool_from_ending() -> None:
    line = Line()
    line.enter()
    line.roster.cancel()
    assert None not in line.told

    line.roster.not_buried(line.entered[0])

    assert line.told[-1] is None
    # It is to be told again.
    assert list(line.roster.untold) == line.entered
    line.roster.told(line.entered[0], "abandon again")
    assert not line.roster.untold


class Meddling:
    """A worker that cancels the roster when it is first asked for its state."""

    key = "meddling"
    current = False
    predecessor = successor = None

    counted = 0

    def __init__(self, cancel: Callable[[], object]) -> None:
        self.leftovers = types.SimpleNamespace()
        self._cancel: Callable[[], object] | None = cancel
        self._state = "pending"

    @property
    def state(self) -> State:
        """Cancel; in the place of a finalizer that runs between two workers."""
        cancel, self._cancel = self._cancel, None
        if cancel is not None:
            cancel()
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state = state


def test_a_pool_may_be_cancelled_while_those_are_looked_for_that_have_not_started() -> None:
    line = Line()
    meddling: Any = Meddling(line.roster.cancel)
    line.roster._unfinished[meddling] = None
    line.enter()

    line.roster.cancel()

    assert line.roster.unfinished() == []
    assert set(line.roster.untold) == {meddling, *line.entered}


def test_a_key_that_is_interrupted_as_its_worker_ends_does_not_keep_the_pool_from_ending() -> None:
    line = Line()
    line.run()
    line.roster.close()
    line.key.function = interrupted
    line.key.after = 0

    with pytest.raises(KeyboardInterrupt):
        line.roster.end(line.entered[0], "returned")

    assert line.told[1:] == [None]


def test_what_is_started_in_the_midst_of_an_end_runs_behind_what_the_ended_one_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A finalizer sends to the key whose worker has returned, and left a message behind it."""
    for number in itertools.count(1):
        with monkeypatch.context() as patch:
            scene = Left(patch, number)
            with scene.pool:
                scene.pool.dispatch("key", "end")
                until(lambda scene=scene: "late" in scene.lives)
                until(lambda scene=scene: "new" in scene.lives or not scene.point.reached)

        assert scene.lives in (
            ["begins", "end", "ends", "begins", "late", "new", "ends"],
            ["begins", "end", "ends", "begins", "late", "ends", "begins", "new", "ends"],
            ["begins", "end", "ends", "begins", "late", "ends"],  # the finalizer did not run
        )
        if not scene.point.reached:
            return


class Left:
    """A pool whose keys start on demand; a worker returns at "end".

    As it does, "late" comes, and at a point of `Roster.end` a finalizer sends "new".
    """

    def __init__(self, patch: pytest.MonkeyPatch, number: int) -> None:
        self.lives: list[str] = []
        self.point = Point(number, lambda: self.pool.dispatch("key", "new"))
        self.pool: Pool[str, str] = Pool(self.work, start="on_demand", max_threads=1)
        real: Callable[..., Any] = Roster.end
        ends: list[object] = []

        def end(*arguments: object, **options: object) -> object:
            ends.append(arguments)
            if len(ends) > 1:
                return real(*arguments, **options)
            self.pool.dispatch("key", "late")
            return self.point.run(lambda: real(*arguments, **options))

        patch.setattr(Roster, "end", end)

    def work(self, key: str) -> Any:  # noqa: ANN401 - a generator
        """Write down what comes."""
        self.lives.append("begins")
        try:
            while True:
                message = yield
                self.lives.append(message)
                if message == "end":
                    return
        finally:
            self.lives.append("ends")


class Watched(dict[Any, Any]):
    """A routing table that knows which current workers it was without for a moment."""

    def __init__(self) -> None:
        self.missed: list[Incarnation[Any, Any]] = []

    def pop(self, key: object, *default: Any) -> Any:  # noqa: ANN401 - as there
        """Take a worker out."""
        taken = super().pop(key, *default)
        if taken.current:
            self.missed.append(taken)
        return taken


def test_a_worker_that_is_started_in_the_midst_of_an_end_is_always_in_the_table() -> None:
    def prepare() -> Line:
        line = Line()
        line.roster.routes = Watched()  # type: ignore[misc]
        line.run()
        return line

    def enter(line: Line) -> None:
        if sys._getframe(2).f_code.co_name != "pop":  # there it is what the key itself does
            line.enter()

    for line in at_each_point(
        prepare, lambda line: line.roster.end(line.entered[0], "failed"), enter
    ):
        assert line.roster.routes.missed == []  # type: ignore[attr-defined]
        line.check()


def interrupted() -> None:
    """Be interrupted."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_a_generator_worker_that_is_ended_while_it_begins_ends_once(end: str) -> None:
    def worker(key: str) -> Any:  # noqa: ANN401 - a generator
        while True:
            yield

    def prepare() -> Ended:
        scene = Ended(worker)
        scene.pool.initialize("first")
        until(lambda: scene.pool.stats().started == 1)
        return scene

    def act(scene: Ended) -> None:
        with contextlib.suppress(PoolClosed):
            scene.pool.initialize("second", "message")

    for scene in at_each_point(prepare, act, lambda scene: getattr(scene.pool, end)()):
        getattr(scene.pool, end)()
        report = scene.pool.join(timeout=DEADLINE)

        assert report.finished
        assert report.unfinished == ()
        assert sorted(exit_.key for exit_ in scene.exits) in (["first"], ["first", "second"])


class Ended:
    """A pool, and the ends of its workers."""

    def __init__(self, worker: Callable[[str], Any]) -> None:
        self.exits: list[WorkerExit[str]] = []
        self.pool: Pool[str, str] = Pool(
            worker,
            on_worker_exit=self.exits.append,
            on_dead_letter=lambda letter: None,
            max_threads=1,
        )
