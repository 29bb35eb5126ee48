"""Leaks that are planted, one at a time, to see that the check finds them.

Each changes the library in the process of one scenario, and keeps what should go.
"""

import functools
import itertools
import threading
from collections.abc import Callable
from typing import Any, Final

from threadpool_mb.calls.messages import ReplyBox
from threadpool_mb.mailbox.receiving import QueueMailbox
from threadpool_mb.pool.pool import Pool
from threadpool_mb.pool.roster import Roster

_ONE_OF: Final = 10
"""One of so many is kept."""

_kept: Final[list[object]] = []


def _after(owner: type, name: str, then: Callable[..., object]) -> None:
    """Have `then` called with the same arguments after a method."""
    original: Any = getattr(owner, name)

    @functools.wraps(original)
    def both(*arguments: Any, **options: Any) -> object:  # noqa: ANN401 - any method's
        result = original(*arguments, **options)
        then(*arguments, **options)
        return result

    setattr(owner, name, both)


def _some(keep: Callable[..., object]) -> Callable[..., None]:
    numbers = itertools.count(1)

    def keep_some(*arguments: object, **_options: object) -> None:
        if next(numbers) % _ONE_OF == 0:
            keep(*arguments)

    return keep_some


def _worker_record() -> None:
    _after(Roster, "enter", _some(lambda _roster, incarnation: _kept.append(incarnation)))


def _mailbox() -> None:
    _after(QueueMailbox, "__init__", _some(lambda mailbox, *_: _kept.append(mailbox)))


def _thread() -> None:
    def start(*_: object) -> None:
        threading.Thread(target=threading.Event().wait, name="left-behind", daemon=True).start()

    _after(Pool, "__init__", _some(start))


def _reply_box() -> None:
    _after(ReplyBox, "reply", _some(lambda box, *_: _kept.append(box)))


def _pool_dict() -> None:
    def remember(roster: Any, incarnation: Any, **_: object) -> None:  # noqa: ANN401 - see above
        roster._leaving[f"left {incarnation.number}"] = None  # noqa: SLF001 - that is the leak

    _after(Roster, "enter", remember)


SEEDS: Final[dict[str, Callable[[], None]]] = {
    "worker-record": _worker_record,
    "mailbox": _mailbox,
    "thread": _thread,
    "reply-box": _reply_box,
    "pool-dict": _pool_dict,
}
"""What plants each."""
