"""Staged races of who has a call: its end, a hand-over, and those who begin to watch."""

import functools
import pathlib
import threading
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.calls.doubles import FakeWorker, answer_of, error_of
from tests.helpers import DEADLINE, Running, until
from tests.mailbox.stepping import STEPS, each_step, held
from threadpool_mb import CallDeadlock, Reply, ReplyBox, WorkerGone
from threadpool_mb.calls import answer as answer_code
from threadpool_mb.calls.answer import Answer
from threadpool_mb.calls.unanswered import watching
from threadpool_mb.threads import circles

pytestmark = [pytest.mark.slow, STEPS, pytest.mark.usefixtures("_nobody_looks_again")]

CODE: Final = str(pathlib.Path(answer_code.__file__).parent)


class Scene:
    """A call that is with one worker, and will be with another."""

    def __init__(self) -> None:
        self.before = FakeWorker("before")
        self.now = FakeWorker("now")
        self.reply: Reply[Any] = Reply(Answer())
        self.box: ReplyBox[Any] = ReplyBox(answer_of(self.reply))
        answer_of(self.reply).holder = self.before
        self.called: list[str] = []

    def watches(self) -> None:
        """Ask to be called, and so to be told of the worker's end."""
        self.reply.add_done_callback(
            lambda reply: self.called.append(error_of(lambda: reply.result(timeout=0)).key)
        )

    def hands_on(self) -> None:
        """Hand the call on, as `delegate` does."""
        answer_of(self.reply).holder = self.now
        answer_of(self.reply).handed_on(None)

    def takes_back(self) -> None:
        """Hand the call on, and then back."""
        self.hands_on()
        answer_of(self.reply).holder = self.before
        answer_of(self.reply).handed_on(None)

    def to_mailbox(self) -> None:
        """Hand the call on to a plain mailbox."""
        answer_of(self.reply).holder = None
        answer_of(self.reply).handed_on(None)

    def before_ends(self) -> None:
        """Let the worker end that has the call first."""
        self.before.end()

    def now_ends(self) -> None:
        """Let the other one end."""
        self.now.end()


def name(function: Callable[..., object]) -> str:
    """Return a function's name, for the test's."""
    return function.__name__


def scene_of(*, watched: bool) -> Scene:
    """Return a scene in which somebody watches already, or not."""
    scene = Scene()
    if watched:
        scene.watches()
    return scene


def locked() -> bool:
    """Whether the one who has stopped holds a lock that others want."""
    return held(watching) or held(circles._lock)


def run(scene: Scene, function: Callable[[Scene], None]) -> Running[None]:
    """Run a function to its end, unless it has to wait for the one who has stopped."""
    running = Running(lambda: function(scene))
    if not locked():
        until(lambda: not running.running)
    return running


STEPS: Final = [Scene.watches, Scene.hands_on]


@pytest.mark.parametrize("first", STEPS, ids=name)
def test_who_watches_while_the_call_is_handed_on_watches_the_new_one_and_only_that(
    first: Callable[[Scene], None],
) -> None:
    (second,) = [step for step in STEPS if step is not first]
    for scene, stepped in each_step(Scene, first, CODE):
        other = run(scene, second)
        stepped.result()
        other.result()

        assert not scene.before.watched
        assert scene.now.watched
        scene.before_ends()
        assert scene.called == []
        scene.now_ends()
        assert scene.called == ["now"]


@pytest.mark.parametrize("first", [Scene.watches, Scene.takes_back], ids=name)
def test_who_watches_while_the_call_goes_and_comes_back_watches_the_one_who_has_it(
    first: Callable[[Scene], None],
) -> None:
    second = Scene.takes_back if first is Scene.watches else Scene.watches
    for scene, stepped in each_step(Scene, first, CODE):
        other = run(scene, second)
        stepped.result()
        other.result()

        assert scene.before.watched
        assert not scene.now.watched
        scene.before_ends()
        assert scene.called == ["before"]


@pytest.mark.parametrize("first", [Scene.watches, Scene.to_mailbox], ids=name)
def test_who_watches_while_the_call_goes_to_a_mailbox_watches_nobody(
    first: Callable[[Scene], None],
) -> None:
    second = Scene.to_mailbox if first is Scene.watches else Scene.watches
    for scene, stepped in each_step(Scene, first, CODE):
        other = run(scene, second)
        stepped.result()
        other.result()

        assert not scene.before.watched
        scene.before_ends()
        assert scene.called == []


@pytest.mark.parametrize("first", [Scene.watches, Scene.before_ends], ids=name)
def test_who_watches_while_the_worker_ends_is_told_though_nobody_asks(
    first: Callable[[Scene], None],
) -> None:
    second = Scene.before_ends if first is Scene.watches else Scene.watches
    for scene, stepped in each_step(Scene, first, CODE):
        other = run(scene, second)
        stepped.result()
        other.result()

        assert scene.called == ["before"]
        assert not scene.before.watched


@pytest.mark.parametrize("first", [Scene.hands_on, Scene.before_ends], ids=name)
@pytest.mark.parametrize("watched", [True, False], ids=["watched", "not watched"])
def test_a_worker_that_ends_while_it_hands_a_call_on_has_or_has_not_been_the_last_one(
    first: Callable[[Scene], None],
    watched: bool,  # noqa: FBT001
) -> None:
    second = Scene.before_ends if first is Scene.hands_on else Scene.hands_on

    for scene, stepped in each_step(functools.partial(scene_of, watched=watched), first, CODE):
        other = run(scene, second)
        stepped.result()
        other.result()
        answered = scene.called.copy()

        # Told of the end before the call was handed on, or not at all.
        assert answered in ([], ["before"])
        scene.now_ends()
        expected = answered or ["now"]
        assert scene.called == (expected if watched else [])
        assert error_of(lambda: scene.reply.result(timeout=0)).key == (  # noqa: B023
            expected[0] if watched else "now"
        )


@pytest.mark.parametrize("first", [Scene.hands_on, Scene.now_ends], ids=name)
@pytest.mark.parametrize("watched", [True, False], ids=["watched", "not watched"])
def test_a_worker_that_ends_while_it_gets_a_call_is_told_to_who_waits(
    first: Callable[[Scene], None],
    watched: bool,  # noqa: FBT001
) -> None:
    second = Scene.now_ends if first is Scene.hands_on else Scene.hands_on

    for scene, stepped in each_step(functools.partial(scene_of, watched=watched), first, CODE):
        other = run(scene, second)
        stepped.result()
        other.result()

        assert scene.called == (["now"] if watched else [])
        error = error_of(lambda: scene.reply.result(timeout=0))  # noqa: B023
        assert (type(error), error.key) == (WorkerGone, "now")


class Ending(Scene):
    """A call whose worker ends when somebody begins to wait, if not before."""

    def __init__(self) -> None:
        super().__init__()
        begun = threading.Event()

        class Watchers(dict[Any, None]):
            def __setitem__(self, watcher: object, _: None) -> None:
                super().__setitem__(watcher, _)
                begun.set()

        self.before.watchers = Watchers()
        self._begun = begun
        self._last = Running(self._end_when_watched)

    def _end_when_watched(self) -> None:
        assert self._begun.wait(DEADLINE)
        self.before.end()

    def waits(self) -> object:
        """Wait, and return whose end was told."""
        return error_of(lambda: self.reply.result(timeout=DEADLINE)).key

    def join(self) -> None:
        """Wait for the one who sees that somebody begins to wait."""
        self._begun.set()
        self._last.result()


def test_who_waits_is_told_wherever_the_worker_ends_that_has_the_call() -> None:
    for scene, stepped in each_step(Ending, Ending.waits, answer_code.__file__):
        ending = Running(scene.before.end)

        assert stepped.result() == "before"
        ending.result()
        scene.join()


class Circle:
    """Two workers; each waits for the other one's reply."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.workers = [FakeWorker("one"), FakeWorker("other")]
        self._replies: list[Reply[Any]] = [Reply(Answer()), Reply(Answer())]
        for reply, holder in zip(self._replies, reversed(self.workers), strict=True):
            answer_of(reply).holder = holder
        self._begun = threading.Event()
        self._other = Running(self._close)

    def _close(self) -> str:
        until(lambda: self.workers[0].waits_for or self.told or self._begun.is_set())
        return self.waits(1)

    def begin_other(self) -> None:
        """Let the other one wait, too; it does so by itself once the first one waits."""
        self._begun.set()

    def other(self) -> str:
        """Return what has come of the other one."""
        return self._other.result()

    @property
    def other_waits(self) -> bool:
        """Whether the other one circles, or has ended."""
        return self.workers[1].waits_for is not None or not self._other.running

    def waits(self, number: int) -> str:
        """Wait as one of them until the other one was told, or be told."""
        circles.here.inner.append(self.workers[number])
        try:
            with circles.waiting_for(answer_of(self._replies[number])):
                until(lambda: self.told)
        except CallDeadlock:
            self.told.append(number)
            return "told"
        finally:
            circles.here.inner.clear()
        return "waits"


def test_of_two_workers_that_begin_to_wait_for_each_other_exactly_one_is_told() -> None:
    told = set[int]()
    for circle, stepped in each_step(Circle, lambda circle: circle.waits(0), circles.__file__):
        circle.begin_other()
        if not held(circles._lock):
            until(lambda: circle.other_waits)  # noqa: B023 - of this round
        results = [stepped.result(), circle.other()]
        told.update(circle.told)

        assert sorted(results) == ["told", "waits"]
        assert len(circle.told) == 1
        assert [worker.waits_for for worker in circle.workers] == [None, None]

    assert told == {0, 1}
