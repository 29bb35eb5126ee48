"""Staged races of one reply: a thread is stopped before each instruction while another one goes on.

Whoever comes first: the reply, the timeout, the worker's end, a callback, somebody who waits.
"""

import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from tests.calls.doubles import Boom, FakeWorker, answer_of, held_by
from tests.helpers import DEADLINE, Running, until
from tests.mailbox.stepping import STEPS, Stepped, each_step, held
from threadpool_mb import CallFailed, CallTimedOut, DuplicateReply, Reply, ReplyBox, WorkerGone
from threadpool_mb.arguments import Deadline
from threadpool_mb.calls import answer as answer_code
from threadpool_mb.calls import cell
from threadpool_mb.calls.answer import Answer
from threadpool_mb.calls.unanswered import watching
from threadpool_mb.originals import late_replies

pytestmark = [pytest.mark.slow, STEPS, pytest.mark.usefixtures("_nobody_looks_again")]

CODE: Final = str(pathlib.Path(answer_code.__file__).parent)
"""Where the code of commands is."""
ONLY_REPLIES: Final = answer_code.__file__
"""The part of it that waits: stepping through all of it takes too long where others wait, too."""

ERRORS: Final = (CallTimedOut, CallFailed, WorkerGone)


class Scene:
    """A call that a worker has, and what becomes of it."""

    def __init__(self, deadline: float | None = None) -> None:
        self.worker = FakeWorker()
        self.reply: Reply[Any] = Reply(Answer("a", Deadline(deadline)))
        answer_of(self.reply).holder = self.worker
        self.box: ReplyBox[Any] = ReplyBox(answer_of(self.reply))
        self.called: list[str] = []
        self.late = late_replies()

    def replies(self) -> None:
        """Reply."""
        self.box.reply("value")

    def fails(self) -> None:
        """Fail."""
        self.box.fail(Boom())

    def times_out(self) -> None:
        """Let the time run out."""
        answer_of(self.reply).give_up()

    def ends(self) -> None:
        """Let the worker end."""
        self.worker.end()
        assert self.reply.done()

    def adds_callback(self) -> None:
        """Ask to be called."""
        self.reply.add_done_callback(lambda reply: self.called.append(self.outcome()))

    def outcome(self) -> str:
        """Return what the answer is, in a word."""
        try:
            return str(self.reply.result(timeout=0))
        except ERRORS as error:
            return type(error).__name__

    def waits(self) -> str:
        """Wait for the answer, and return it in a word."""
        try:
            return str(self.reply.result(timeout=DEADLINE))
        except ERRORS as error:
            return type(error).__name__

    def calls(self) -> str:
        """Do what a caller does whose time is over."""
        try:
            return str(answer_of(self.reply).result_or_give_up())
        except ERRORS as error:
            return type(error).__name__


OUTCOMES: Final = {
    Scene.replies: "value",
    Scene.fails: "CallFailed",
    Scene.times_out: "CallTimedOut",
    Scene.ends: "WorkerGone",
}
FROM_BOX: Final = (Scene.replies, Scene.fails)


def stepping(
    act: Callable[[Scene], object], prepare: Callable[[], Scene] = Scene
) -> Iterator[tuple[Scene, Stepped[object]]]:
    """Return `each_step` in the code of commands."""
    return each_step(prepare, act, CODE)


def name(function: Callable[..., object]) -> str:
    """Return a function's name, for the test's."""
    return function.__name__


def locked() -> bool:
    """Whether the one who has stopped holds a lock that others want."""
    return held(watching) or held(cell._lock)


@pytest.mark.parametrize("first", OUTCOMES, ids=name)
@pytest.mark.parametrize("second", OUTCOMES, ids=name)
def test_of_two_answers_that_come_together_exactly_one_stands(
    first: Callable[[Scene], None], second: Callable[[Scene], None]
) -> None:
    outcomes = set[str]()
    both_from_box = first in FROM_BOX and second in FROM_BOX
    duplicates = 0

    def act(scene: Scene) -> bool:
        try:
            first(scene)
        except DuplicateReply:
            return True
        return False

    for scene, stepped in stepping(act):
        scene.adds_callback()
        other = Running(lambda: second(scene))  # noqa: B023 - joined in this round
        if not locked():
            until(lambda: not other.running)  # noqa: B023
        duplicate = bool(stepped.result())
        try:
            other.result()
        except DuplicateReply:
            duplicate = True
            duplicates += 1
        outcome = scene.outcome()
        outcomes.add(outcome)

        assert outcome in {OUTCOMES[first], OUTCOMES[second]}
        assert scene.waits() == outcome
        assert scene.called == [outcome]
        assert duplicate == both_from_box
        too_late = not both_from_box and any(
            each in FROM_BOX and OUTCOMES[each] != outcome for each in (first, second)
        )
        assert late_replies() - scene.late == too_late

    assert outcomes == {OUTCOMES[first], OUTCOMES[second]}


@pytest.mark.parametrize("answers", OUTCOMES, ids=name)
def test_a_callback_is_called_once_wherever_the_answer_comes_while_it_is_added(
    answers: Callable[[Scene], None],
) -> None:
    for scene, stepped in stepping(Scene.adds_callback):
        other = Running(lambda: answers(scene))  # noqa: B023 - joined in this round
        if not locked():
            until(lambda: not other.running)  # noqa: B023
        stepped.result()
        other.result()

        assert scene.called == [OUTCOMES[answers]]
        assert not scene.worker.watched


@pytest.mark.parametrize("answers", OUTCOMES, ids=name)
def test_a_callback_is_called_once_wherever_it_is_added_while_the_answer_comes(
    answers: Callable[[Scene], None],
) -> None:
    for scene, stepped in stepping(answers):
        other = Running(scene.adds_callback)
        if not locked():
            until(lambda: not other.running)  # noqa: B023 - joined in this round
        stepped.result()
        other.result()

        assert scene.called == [OUTCOMES[answers]]
        assert not scene.worker.watched


@pytest.mark.parametrize("answers", FROM_BOX, ids=name)
def test_a_caller_whose_time_runs_out_gets_the_reply_or_the_reply_is_late(
    answers: Callable[[Scene], None],
) -> None:
    outcomes = set[object]()
    for scene, stepped in stepping(Scene.calls, lambda: Scene(0)):
        answers(scene)
        outcome = stepped.result()
        outcomes.add(outcome)

        assert scene.outcome() == outcome
        assert (late_replies() > scene.late) == (outcome == "CallTimedOut")

    assert outcomes == {OUTCOMES[answers], "CallTimedOut"}


@pytest.mark.parametrize("answers", FROM_BOX, ids=name)
def test_a_reply_is_late_or_gets_to_the_caller_whose_time_runs_out(
    answers: Callable[[Scene], None],
) -> None:
    outcomes = set[object]()
    for scene, stepped in stepping(answers, lambda: Scene(0)):
        caller = Running(scene.calls)
        if not locked():
            until(lambda: not caller.running)  # noqa: B023 - joined in this round
        stepped.result()
        outcome = caller.result()
        outcomes.add(outcome)

        assert scene.outcome() == outcome
        assert (late_replies() > scene.late) == (outcome == "CallTimedOut")

    assert outcomes == {OUTCOMES[answers], "CallTimedOut"}


class _Log(list[object]):
    """A reply's log that says when there is something in it."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()

    def append(self, entry: object) -> None:
        """Append, and say so."""
        super().append(entry)
        self.begun.set()


class Waited(Scene):
    """A call that is answered by whoever comes first: the test, or who sees that somebody waits."""

    def __init__(self, answers: Callable[[Scene], None]) -> None:
        super().__init__()
        log: Any = _Log()
        answer_of(self.reply)._log = log
        self._begun = log.begun
        self._answers = answers
        self._answered = threading.Lock()
        self._last = Running(self._answer_when_waited_for)

    def _answer_when_waited_for(self) -> None:
        assert self._begun.wait(DEADLINE)
        self.answer()

    def answer(self) -> None:
        """Answer, if nobody has."""
        if self._answered.acquire(blocking=False):
            self._answers(self)

    def join(self) -> None:
        """Wait for the one who sees that somebody waits."""
        self._last.result()


@pytest.mark.parametrize("answers", OUTCOMES, ids=name)
def test_who_waits_is_woken_wherever_the_answer_comes(answers: Callable[[Scene], None]) -> None:
    for scene, stepped in each_step(lambda: Waited(answers), Waited.waits, ONLY_REPLIES):
        other = Running(scene.answer)

        assert stepped.result() == OUTCOMES[answers]
        other.result()
        scene.join()


def test_who_was_answered_is_watched_for_no_more_wherever_the_answer_came() -> None:
    left: list[bool] = []
    for scene, stepped in each_step(lambda: Waited(Scene.replies), Waited.waits, ONLY_REPLIES):
        other = Running(scene.answer)
        stepped.result()
        other.result()
        scene.join()
        left.append(scene.worker.watched)

    assert not any(left)


# Not where the worker ends: one that is stopped under the lock of `watch` would stop the other one.
@pytest.mark.parametrize("answers", [Scene.replies], ids=name)
def test_two_who_wait_are_woken_wherever_one_of_them_is_when_the_answer_comes(
    answers: Callable[[Scene], None],
) -> None:
    for scene, stepped in each_step(lambda: Waited(answers), Waited.waits, ONLY_REPLIES):
        second = Running(scene.waits)
        other = Running(scene.answer)

        assert stepped.result() == OUTCOMES[answers]
        assert second.result() == OUTCOMES[answers]
        other.result()
        scene.join()


@pytest.mark.parametrize("answers", OUTCOMES, ids=name)
def test_who_begins_to_wait_while_the_answer_comes_is_woken(
    answers: Callable[[Scene], None],
) -> None:
    for scene, stepped in stepping(answers):
        waits = Running(scene.waits)
        if not locked():
            until(lambda: answer_of(scene.reply)._log or not waits.running)  # noqa: B023 - joined in this round
        stepped.result()

        assert waits.result() == OUTCOMES[answers]


def test_both_ends_of_a_call_agree_on_whether_it_has_expired() -> None:
    reply, box = held_by(FakeWorker())

    assert (answer_of(reply).expired, box.expired) == (False, False)
    answer_of(reply).give_up()

    assert (answer_of(reply).expired, box.expired) == (True, True)
