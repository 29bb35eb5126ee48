"""What was asked of nodes and is not answered: calls, and removals.

**Guarantees.** Each is answered once: by its node, or because that is lost, or the pool has ended.
"""

import itertools
import threading
from collections.abc import Callable
from typing import Any, Final, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.calls import unanswered
from threadpool_mb.calls.answer import Answer
from threadpool_mb.calls.messages import Call, answer_of
from threadpool_mb.cluster.wire import loaded, loaded_error, read
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.logs import Logger
from threadpool_mb.values import MISSING

__all__ = ["Asks", "Removal", "answer_call"]

_logger = Logger(__name__)

type Answered = Callable[[bool, Any], object]
"""Called with whether it went well, and the value or error, pickled; or `None`: nobody answers."""


@final
class Asks:
    """What is not answered, by number. Threads: any."""

    __slots__ = ("_numbers", "_open")

    def __init__(self) -> None:
        """Nothing was asked."""
        self._numbers: Final = itertools.count(1)
        # `pop` is atomic: one thread gets it.
        self._open: Final[dict[int, Answered]] = {}

    def add(self, answered: Answered) -> int:
        """Return the number of what is about to be asked."""
        number = next(self._numbers)
        self._open[number] = answered
        return number

    def answer(self, number: int, *, well: bool, payload: Any = None) -> None:
        """Answer it, unless it was answered."""
        answered = self._open.pop(number, None)
        if answered is None:
            return
        try:
            answered(well, payload)
        except Exception:  # what comes behind it is to be seen to
            _logger.exception("the answer to what was asked is unreadable")

    def withdraw(self, number: int) -> None:
        """Expect no answer: it was not sent."""
        self._open.pop(number, None)

    def answer_all(self) -> None:
        """Answer all that is left: nobody will."""
        for number in list(self._open):
            self.answer(number, well=False)


def answer_call(call: Call[Any], well: bool, payload: Any) -> None:  # noqa: FBT001 - as it travels
    """Answer a call as its node has answered it."""
    answer: Answer[Any] = answer_of(call.reply_box)
    if payload is None:
        answer.not_handled(answer.key, DeadLetterReason.NODE_LOST, started=True)
    elif isinstance(payload, tuple):
        _answer_error(answer, *payload)  # pyright: ignore[reportUnknownArgumentType]
    else:
        try:
            value = read(payload) if well else loaded_error(payload)
        except Exception as error:  # noqa: BLE001 - of a user's class
            well, value = False, error
        if well:
            answer.settle(value, None, from_box=False)
        else:
            answer.settle(MISSING, value, from_box=True)


def _answer_error(
    answer: Answer[Any],
    kind: str,
    reason: str,
    started: bool,  # noqa: FBT001 - as it travels
    sent: bytes | None,
) -> None:
    """Answer with the error that the call has got at its node, with the id that it has here."""
    cause = None if sent is None else loaded_error(sent)
    if kind == "CallTimedOut":
        answer.settle_error(unanswered.no_reply_in_time(answer.call_id, answer.key))
    elif kind == "CallDeadlock":
        answer.settle_error(unanswered.deadlock(answer.call_id, reason, answer.key))
    else:
        answer.not_handled(answer.key, _reason(reason), started=started, error=cause)


def _reason(text: str) -> str:
    """Return a reason as the enumeration's member where it is one; by that it is told apart."""
    try:
        return DeadLetterReason(text)
    except ValueError:
        return text


@final
class Removal:
    """The answer to whether a key had a worker."""

    __slots__ = ("_answered", "_had")

    def __init__(self) -> None:
        """It is not there yet."""
        self._answered: Final = threading.Event()
        self._had = False

    def answered(self, well: bool, payload: Any) -> None:  # noqa: FBT001 - as it travels
        """Take the answer; of a node that is lost, the worker is gone."""
        self._had = bool(well and payload is not None and loaded(payload))
        self._answered.set()

    def result(self, deadline: Deadline) -> bool:
        """Wait for it; `False` at the deadline."""
        self._answered.wait(deadline.remaining())
        return self._had
