"""Ends that a pool decides, lives that begin anew: staged, stopped before each instruction.

Beside it: messages of one sender, a call, the next worker of the key, a removal, the pool's end.
"""

import pathlib
from collections.abc import Callable, Generator
from typing import Any, Final

import pytest

from tests.helpers import DEADLINE, Running, until
from tests.insides import dispatcher_of, ready, roster_of, threads_of, worker_of
from tests.mailbox.stepping import STEPS, each_step, held
from threadpool_mb import (
    CallError,
    Command,
    DeadLetter,
    Pool,
    PoolClosed,
    Reply,
    Restart,
    ask,
    sleep,
)
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.line import lane
from threadpool_mb.line.inlet import ending
from threadpool_mb.pool import ends, generator_lanes, keeping, lane_lives, roster, waits
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.waits import Suspended, schedule_ahead

pytestmark = [pytest.mark.slow, STEPS]

CODE: Final = tuple(
    str(pathlib.Path(each.__file__))
    for each in (lane, generator_lanes, lane_lives, roster, keeping, ends, waits)
)


class Ask(Command[str]):
    """Asks for an answer."""


class Boom(Exception):
    """What the worker raises."""


class Scene:
    """A key that starts on demand; the test takes its workers' turns."""

    def __init__(self) -> None:
        self.handled: list[object] = []
        self.letters: list[DeadLetter[Any, Any]] = []
        self.sent: list[object] = []
        self.refused: list[object] = []
        self.replies: list[Reply[str]] = []
        self.running = 0
        self.worker: Incarnation[str, Any]
        """That some tests see to."""
        self.pool: Pool[str, Any] = Pool(
            self._work,
            max_threads=1,
            start="on_demand",
            max_keys=1000,
            restart=Restart(max_restarts=1000, delay=0, in_hand="retry"),
            on_dead_letter=self.letters.append,
        )
        # There is a thread, and it waits: so that a worker is started at once, into `taken`.
        self.pool.initialize("first", "return")
        until(lambda: not len(self.pool) and threads_of(self.pool).idle)
        self.taken: list[Any] = []
        threads_of(self.pool).put = self.taken.append  # type: ignore[misc]
        self.handled.clear()
        self.failures = 1
        self.send("zero")
        self.turns()

    def _work(self, _key: str) -> Generator[None, Any]:
        self.running += 1
        assert self.running == 1, "two workers of one key"
        try:
            while True:
                message = yield
                if message == "fail" and self.failures:
                    self.failures -= 1
                    raise Boom
                self.handled.append(message)
                if message == "sleep":
                    yield from sleep(3600)
                if isinstance(message, str):
                    if message == "return":
                        return
                else:
                    message.reply_box.reply("answer")
        finally:
            self.running -= 1

    def send(self, message: str) -> None:
        """Dispatch a message."""
        try:
            taken = self.pool.dispatch("a", message)
        except PoolClosed:
            self.refused.append(message)
        else:
            assert taken
            self.sent.append(message)

    def turns(self) -> None:
        """Take the turns that wait."""
        turns = ready(threads_of(self.pool))
        while self.taken or turns.moved:
            turn = turns.take(crowded=False) if turns.moved else None
            if turn is None and self.taken:
                turn = self.taken.pop(0)
            if turn is not None:
                turn.turn()

    # What is stopped at each step.

    def is_idle(self) -> None:
        """End the worker as idle, and take its turn."""
        worker = worker_of(self.pool, "a")
        assert worker is not None
        dispatcher_of(self.pool)._retire(worker, DeadLetterReason.WORKER_IDLE)
        self.turns()

    def returns(self) -> None:
        """Have the worker return, with a message behind that."""
        self.send("return")
        self.send("behind")
        self.turns()

    def fails(self) -> None:
        """Have the worker fail, with a message behind that."""
        self.send("fail")
        self.send("behind")
        self.turns()

    def wakes(self) -> None:
        """Have the time come of a worker that sleeps, as the timers do, and take its turn."""
        asleep: Any = self.worker
        waits = asleep._generator
        turn = waits.fire() if isinstance(waits, Suspended) else None
        if turn is not None:
            schedule_ahead([turn])
        self.turns()

    # What is done beside it.

    def sends(self) -> None:
        """Send two messages, one after the other."""
        self.send("one")
        self.send("two")

    def asks(self) -> None:
        """Ask for something, and send a message."""
        self.replies.append(ask(self.pool.ref("a"), Ask()))
        self.send("one")

    def starts(self) -> None:
        """Start a worker, if the key has none."""
        try:
            if not self.pool.initialize("a"):
                self.send("one")
        except PoolClosed:
            pass

    def removes(self) -> None:
        """Remove the worker; then send."""
        self.pool.remove("a")
        self.sends()

    def drains(self) -> None:
        """Remove the worker once it has handled all; then send."""
        self.pool.remove("a", drain=True)
        self.sends()

    def closes(self) -> None:
        """Send, and close the pool."""
        self.sends()
        self.pool.close()

    def cancels(self) -> None:
        """Send, and cancel the pool."""
        self.sends()
        self.pool.cancel()

    def finish(self) -> None:
        """Take the turns that are left, and end the pool."""
        self.pool.close()

        def over() -> bool:
            self.turns()
            return self.pool.join(timeout=0).finished

        until(over)
        assert len(self.pool) == 0

    def check(self, *, may_die: bool) -> None:
        """Check that each message was handled once, in order; or is a dead letter, if it may."""
        texts = [each for each in self.handled if isinstance(each, str)]
        dead = [each.message for each in self.letters if isinstance(each.message, str)]
        assert sorted([*texts, *dead]) == sorted(map(str, self.sent))
        for of_sender in (["one", "two"], ["zero", "return", "behind"], ["zero", "fail", "behind"]):
            mine = [each for each in texts if each in of_sender]
            assert mine == [each for each in of_sender if each in mine]
        if not may_die:
            assert dead == []
        for reply in self.replies:
            if may_die:
                try:
                    reply.result(timeout=DEADLINE)
                except CallError:
                    continue
            assert reply.result(timeout=DEADLINE) == "answer"


OTHERS: Final = [
    Scene.sends,
    Scene.asks,
    Scene.starts,
    Scene.removes,
    Scene.drains,
    Scene.closes,
    Scene.cancels,
]


def name(function: Callable[..., object]) -> str:
    """Return a function's name, for the test's."""
    return function.__name__


def race(
    prepare: Callable[[], Scene], act: Callable[[Scene], None], other: Callable[[Scene], None]
) -> None:
    """Stop a thread that acts at each step, and have another one do something there."""
    for scene, stepped in each_step(prepare, act, CODE):
        lock = roster_of(scene.pool).lock
        beside = Running(lambda: other(scene))  # noqa: B023 - joined in this round
        # Nor may it wait for the locks that are held for a moment.
        if not any(map(held, (lock, ending, waits._claiming))):
            until(lambda: not beside.running)  # noqa: B023
        stepped.result()
        beside.result()
        scene.finish()
        scene.check(may_die=other in {Scene.removes, Scene.cancels})


@pytest.mark.parametrize("other", OTHERS, ids=name)
@pytest.mark.parametrize("stepping", [Scene.is_idle, Scene.returns, Scene.fails], ids=name)
def test_wherever_a_worker_is_in_its_end_nothing_is_lost_or_overtaken(
    stepping: Callable[[Scene], None], other: Callable[[Scene], None]
) -> None:
    race(Scene, stepping, other)


@pytest.mark.parametrize("waiting", [False, True], ids=["alone", "with a message"])
@pytest.mark.parametrize("other", OTHERS, ids=name)
def test_wherever_a_worker_is_as_it_wakes_nothing_is_lost_and_it_goes_on_once(
    other: Callable[[Scene], None],
    waiting: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    def prepare() -> Scene:
        scene = Scene()
        scene.send("sleep")
        scene.turns()
        if waiting:
            scene.send("behind")
        worker = worker_of(scene.pool, "a")
        assert worker is not None
        scene.worker = worker
        return scene

    race(prepare, Scene.wakes, other)


@pytest.mark.parametrize("ends", ["as the worker does", "as the pool does"])
def test_an_end_marker_that_comes_at_any_step_of_an_end_hides_no_message(ends: str) -> None:
    """The marker is put without the roster's lock, by a removal that has taken the worker out."""

    def prepare() -> Scene:
        scene = Scene()
        if ends == "as the worker does":
            scene.send("return")
            scene.send("behind")
        worker = worker_of(scene.pool, "a")
        assert worker is not None
        left = roster_of(scene.pool).leave(
            worker, may_start=False, reason=DeadLetterReason.WORKER_REMOVED
        )
        assert left
        scene.worker = worker
        if ends == "as the pool does":
            # It is idle, and woken by a message alone, whose sender has found it before.
            worker.deliver("one")
            scene.sent.append("one")
        return scene

    for scene, stepped in each_step(prepare, Scene.turns, CODE):
        beside = Running(scene.worker.mailbox.cancel)
        if not held(ending):
            until(lambda: not beside.running)  # noqa: B023
        stepped.result()
        beside.result()
        dispatcher_of(scene.pool)._telling.left(scene.worker)
        scene.finish()
        scene.check(may_die=True)
