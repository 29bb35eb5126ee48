"""What was asked of nodes is answered once, whatever the answer is."""

from typing import Any

import pytest

import threadpool_mb as mb
from tests.cluster.workers import GetAll, OneSidedError
from threadpool_mb.arguments import Deadline
from threadpool_mb.calls.answer import Answer
from threadpool_mb.calls.calling import begin_call
from threadpool_mb.cluster import asks as asks_module
from threadpool_mb.cluster.asks import Asks, Removal, answer_call
from threadpool_mb.cluster.wire import dumped, sendable_error


def _call() -> tuple[Answer[Any], mb.Call[Any]]:
    """Return a call that nobody has taken, and where its answer comes."""
    target: Any = mb.Unlimited().create()
    answer, call = begin_call(target, GetAll(), Deadline(15))
    return answer, call


def test_what_is_asked_is_answered_once() -> None:
    asks, answers = Asks(), list[tuple[bool, object]]()
    first = asks.add(lambda well, payload: answers.append((well, payload)))
    second = asks.add(lambda well, payload: answers.append((well, payload)))

    asks.answer(first, well=True, payload="one")
    asks.answer(first, well=True, payload="again")  # its node has told, and is lost
    asks.withdraw(second)
    asks.answer(second, well=True, payload="two")

    assert answers == [(True, "one")]


def test_all_that_is_left_is_answered_though_one_answer_is_unreadable(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asks, answers = Asks(), list[tuple[bool, object]]()

    def unreadable(_well: bool, _payload: object) -> None:  # noqa: FBT001 - as it is called
        raise LookupError("of a user's class")

    asks.add(unreadable)
    asks.add(lambda well, payload: answers.append((well, payload)))

    asks.answer_all()
    asks.answer_all()

    assert answers == [(False, None)]
    assert caplog.text.count("is unreadable") == 1


def test_a_value_that_cannot_be_read_fails_the_call() -> None:
    answer, call = _call()

    answer_call(call, True, b"no pickle")  # noqa: FBT003 - as it travels

    with pytest.raises(mb.CallFailed) as caught:
        answer.result(0)
    assert type(caught.value.__cause__).__name__ == "UnpicklingError"


def test_a_deadlock_at_the_node_is_one_here_with_its_reason() -> None:
    answer, call = _call()

    answer_call(call, False, ("CallDeadlock", "it waits for itself", True, None))  # noqa: FBT003 - as it travels

    with pytest.raises(mb.CallDeadlock, match="it waits for itself"):
        answer.result(0)


def test_a_reason_that_is_no_dead_letters_is_told_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer, call = _call()
    monkeypatch.setattr("os.getpid", lambda: -1)  # the node's process
    cause = sendable_error(OneSidedError("of a library that is only there"), "tcp://a")
    monkeypatch.undo()

    answer_call(call, False, ("WorkerGone", "its box was dropped", True, cause))  # noqa: FBT003 - as it travels

    with pytest.raises(mb.WorkerGone, match="its box was dropped") as caught:
        answer.result(0)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert "of a library that is only there" in str(caught.value.__cause__)
    assert asks_module._reason("worker removed") is mb.DeadLetterReason.WORKER_REMOVED


@pytest.mark.parametrize(
    ("well", "payload", "had"),
    [(True, dumped(1), True), (True, dumped(0), False), (False, None, False), (True, None, False)],
)
def test_whether_a_key_had_a_worker_is_told_by_its_node_or_it_had_none(
    *, well: bool, payload: bytes | None, had: bool
) -> None:
    removal = Removal()
    assert not removal.result(Deadline(0))

    removal.answered(well, payload)

    assert removal.result(Deadline(15)) is had
