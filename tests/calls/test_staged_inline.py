"""Staged races of an inline call: stopped before each instruction of the lane, in both ways.

Beside a message, a removal, the end of the pool, another call, and a turn on a shared thread.
"""

import contextlib
import copy
import pathlib
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.calls.doubles import Echo, Note, Place, answer
from tests.helpers import Running, until
from tests.insides import roster_of
from tests.mailbox.stepping import each_step, held
from threadpool_mb import (
    Blocking,
    CallError,
    CallNotDelivered,
    DeadLetter,
    MailboxConfig,
    Pool,
    WorkerGone,
    call,
    cast,
)
from threadpool_mb.line import inlet, lane
from threadpool_mb.line.inlet import ending
from threadpool_mb.pool import called_here, generator_lanes

pytestmark = pytest.mark.slow

CODE: Final = tuple(
    str(pathlib.Path(module.__file__)) for module in (called_here, generator_lanes, lane, inlet)
)


class Scene:
    """A worker that can be called inline, what it has handled, and what became of the rest."""

    def __init__(self, mailbox: MailboxConfig | None = None) -> None:
        self.place = Place()
        self.seen: list[str] = []
        self.letters: list[DeadLetter[Any, Any]] = []
        self.pool: Pool[Any, Any] = self.place.idle(
            "a",
            inline_calls=True,
            mailbox=mailbox,
            on_dead_letter=self.letters.append,
            max_threads=1,
        )
        self.lane: Any = roster_of(self.pool).routes["a"].mailbox

    def calls(self) -> str:
        """Call the worker."""
        try:
            return call(self.pool.ref("a"), Echo("answered"))
        except CallError as error:
            return type(error).__name__

    def casts(self) -> None:
        """Send something."""
        with contextlib.suppress(Exception):
            cast(self.pool.ref("a"), Note(lambda: self.seen.append("cast")))

    def removes(self) -> None:
        """Remove the worker."""
        self.pool.remove("a")

    def drains(self) -> None:
        """Remove the worker once it has handled what it has."""
        self.pool.remove("a", drain=True)

    def closes(self) -> None:
        """Close the pool."""
        self.pool.close()

    def cancels(self) -> None:
        """Cancel the pool."""
        self.pool.cancel()

    def finish(self) -> None:
        """Check that the lane goes on or has ended, and end it."""
        if "a" in self.pool and not roster_of(self.pool).closed:
            assert self.calls() == "answered"
        self.place.end()
        assert not list(self.pool.workers())
        assert self.pool.stats().started == 1


def name(function: Callable[..., object]) -> str:
    """Return a function's name, for the test's."""
    return function.__name__


ENDS: Final = [Scene.removes, Scene.drains, Scene.closes, Scene.cancels]
OTHERS: Final = [Scene.casts, *ENDS]


@pytest.mark.parametrize("other", OTHERS, ids=name)
def test_a_call_is_answered_wherever_it_is_when_something_else_happens(
    other: Callable[[Scene], None],
) -> None:
    outcomes = set[object]()
    for scene, stepped in each_step(Scene, Scene.calls, CODE):
        running = Running(lambda: other(scene))  # noqa: B023 - joined in this round
        if not held(ending):
            until(lambda: not running.running)  # noqa: B023
        outcome = stepped.result()
        running.result()
        outcomes.add(outcome)
        scene.finish()

        if other is Scene.casts:
            assert outcome == "answered"
            assert (scene.seen, scene.letters) == (["cast"], [])
        assert outcome in {"answered", WorkerGone.__name__, CallNotDelivered.__name__}

    assert "answered" in outcomes


@pytest.mark.parametrize("other", OTHERS, ids=name)
def test_a_call_is_answered_wherever_something_else_is_when_it_comes(
    other: Callable[[Scene], None],
) -> None:
    for scene, stepped in each_step(Scene, other, CODE):
        caller = Running(scene.calls)
        if not held(ending) and not scene.lane._busy.locked():
            until(lambda: not caller.running)  # noqa: B023 - joined in this round
        stepped.result()
        outcome = caller.result()
        scene.finish()

        if other is Scene.casts:
            assert outcome == "answered"
            assert (scene.seen, scene.letters) == (["cast"], [])
        assert outcome in {"answered", WorkerGone.__name__, CallNotDelivered.__name__}


def test_two_calls_at_once_are_both_answered_wherever_the_first_one_is() -> None:
    for scene, stepped in each_step(Scene, Scene.calls, CODE):
        caller = Running(scene.calls)
        if not scene.lane._busy.locked():
            until(lambda: not caller.running)  # noqa: B023 - joined in this round

        assert stepped.result() == "answered"
        assert caller.result() == "answered"
        scene.finish()


def test_a_message_that_is_in_the_mailbox_is_handled_before_a_call_wherever_its_sender_is() -> None:
    orders = set[tuple[str, ...]]()

    def prepare() -> Scene:
        # Its senders put their messages in the lane's code, not in the pool's.
        return Scene(Blocking(4))

    for scene, stepped in each_step(prepare, Scene.casts, CODE):
        # In this order: from the queue into the worker's hands, and from there into what was seen.
        waited = bool(scene.lane.qsize() or scene.lane._busy.locked() or scene.seen)
        caller = Running(
            lambda: call(scene.pool.ref("a"), answer(lambda: scene.seen.append("call")))  # noqa: B023
        )
        if not waited:
            until(lambda: not caller.running)  # noqa: B023 - joined in this round
        stepped.result()
        caller.result()
        until(lambda: len(scene.seen) == 2)  # noqa: B023
        scene.finish()

        assert scene.seen == (["cast", "call"] if waited else ["call", "cast"])
        orders.add(tuple(scene.seen))

    assert len(orders) == 2


def test_a_call_is_answered_in_its_place_wherever_a_turn_on_a_shared_thread_is() -> None:
    class Turning(Scene):
        """A worker with a turn to come that the test takes itself."""

        def __init__(self) -> None:
            super().__init__()
            self.turns: list[Any] = []
            lane = self.lane
            common = lane.common
            threads = common.threads

            class Kept:
                growing = False

                def __getattr__(self, attribute: str) -> Any:  # noqa: ANN401 - whatever it is
                    return getattr(threads, attribute)

                @staticmethod
                def put(turn: Any) -> None:  # noqa: ANN401 - any turn
                    lane.common = common
                    kept.append(turn)

                schedule = put

            kept = self.turns
            lane.common = copy.copy(common)
            lane.common.threads = Kept()
            self.casts()

        def takes_turn(self) -> None:
            self.turns.pop().turn()

    for scene, stepped in each_step(Turning, Turning.takes_turn, CODE):
        caller = Running(lambda: (scene.calls(), scene.seen.copy()))  # noqa: B023 - joined below
        stepped.result()

        assert caller.result() == ("answered", ["cast"])
        scene.finish()
