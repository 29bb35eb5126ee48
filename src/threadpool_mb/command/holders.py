"""Who is to answer a call, and is watched for its end by those who wait for the answer.

**Guarantees.** Whoever watches a holder is told when it ends, also when it has ended already.

The race of one who begins to watch and the holder's end:

1. The watcher puts its reply among the watchers.
2. It reads `gone`.
a. The holder's owner sets `gone`.
b. It goes through the watchers and tells each.

If (2) does not see `gone`, (1) comes before (a), and so before (b), which finds the reply. If both
tell it, the second one changes nothing.

**Assumes.** The methods of a dict are atomic, and so are reading and writing an attribute
(`tests/test_assumptions.py`).
"""

import threading
from typing import Final, final

from threadpool_mb.forking import remade_in_children
from threadpool_mb.here import Awaited, Holder

__all__ = ["Move", "add_watcher", "tell_watchers", "unwatch", "watching"]


@final
class Move:
    """The way of a call that is handed on."""

    __slots__ = ("room",)

    def __init__(self) -> None:
        """Begin it."""
        self.room: Awaited | None = None
        """Room in the next one's mailbox, where that is waited for."""


watching: Final = remade_in_children(threading.RLock())
"""Guards who watches whom, of all. Nobody waits under it. It is taken only by those who are going
to wait, or hand on what somebody waits for."""


def add_watcher(holder: Holder, watcher: Awaited) -> None:
    """Have `watcher` told when `holder` has ended; under the lock.

    `gone` is to be read after this.
    """
    if holder.watchers is None:
        holder.watchers = {}
    holder.watchers[watcher] = None


def unwatch(holder: Holder, watcher: Awaited) -> None:
    """Have `watcher` told no more."""
    watchers = holder.watchers
    if watchers is not None:
        watchers.pop(watcher, None)


def tell_watchers(holder: Holder) -> None:
    """Tell all who watch `holder` that it has ended, and that nobody has taken its mailbox over."""
    holder.gone = True
    watchers = holder.watchers
    if watchers is not None:
        raised: BaseException | None = None
        for watcher in watchers.copy():
            try:
                watcher.holder_gone(holder)
            except BaseException as error:  # noqa: BLE001 - a callback's; the others are told, too
                raised = error
        if raised is not None:
            raise raised
