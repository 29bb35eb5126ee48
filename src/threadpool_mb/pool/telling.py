"""Telling the mailboxes of a pool's workers that they are to close, to stop, or to be abandoned.

**Guarantees.** Whatever keeps a mailbox from being told (an interrupt, a user's mailbox that
raises, no memory for the marker) reaches the caller, once all others were told; and the next call
that closes, cancels or joins tells all of them again. More than once is once, for a mailbox. What
waited for a worker that never starts is dead letters before the pool ends.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Final, final

from threadpool_mb.calls.unanswered import tell_watchers
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.logs import Logger
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.roster import Roster

__all__ = ["Telling"]

_logger = Logger(__name__)


@final
class Telling[K, M]:
    """Tells the mailboxes of one pool. Threads: any."""

    __slots__ = ("_called_off", "_name", "_roster", "_some_untold")

    def __init__(
        self,
        name: str,
        roster: Roster[K, M],
        called_off: Callable[[Incarnation[K, M]], object],
    ) -> None:
        """Tell the workers of `roster`, of the pool `name`.

        `called_off` is called once with each that was to begin anew and will not.
        """
        self._name: Final = name
        self._roster: Final = roster
        self._called_off: Final = called_off
        # Written before the first one is told, and reset after the last one: no memory is needed to
        # note what has failed for want of it.
        self._some_untold = False

    def close(self) -> None:
        """Let no worker enter any more, and tell those that there are to finish their backlog."""
        roster = self._roster
        self._some_untold = True
        unfinished = roster.close()
        self._tell_all(
            [functools.partial(self.left, each) for each in list(roster.untold)]
            + [each.mailbox.close for each in unfinished]
        )

    def cancel(self) -> None:
        """Let no worker enter any more, drop those that have not started, tell others to stop."""
        roster = self._roster
        self._some_untold = True
        running = roster.cancel()
        for incarnation in running:
            incarnation.leftovers.reason = DeadLetterReason.POOL_CLOSED
        self._tell_all(
            [each.mailbox.cancel for each in running]
            + [functools.partial(self.left, each) for each in list(roster.untold)]
        )

    def again(self) -> None:
        """Tell all that may not have been told, if there are any."""
        if self._some_untold and self._roster.closed:
            if self._roster.cancelled:
                self.cancel()
            else:
                self.close()

    def left(self, incarnation: Incarnation[K, M]) -> None:
        """Tell the mailbox of a worker that has left, unless it was told; more than once is once.

        Blocks: as long as `on_dead_letter` does, for the messages of a worker that never starts;
        and `on_worker_exit`, for one that was to begin anew.
        """
        while (what := self._roster.untold.get(incarnation)) is not None:
            match what:
                case "abandon" | "abandon again":
                    self._abandon(incarnation)
                case "close":
                    incarnation.mailbox.close()
                case "cancel":  # pragma: no branch - there is nothing else
                    incarnation.mailbox.cancel()
            self._roster.told(incarnation, what)

    def _abandon(self, incarnation: Incarnation[K, M]) -> None:
        try:
            incarnation.bury()
            # One that is to begin anew may have callers.
            tell_watchers(incarnation)
            if self._roster.to_restart.pop(incarnation, None) is not None:
                self._called_off(incarnation)
        except Exception:
            self._roster.not_buried(incarnation)  # the pool ends all the same
            raise

    def _tell_all(self, functions: Iterable[Callable[[], object]]) -> None:
        """Call mailboxes' methods; what the first one has raised passes after the last."""
        raised: BaseException | None = None
        for function in functions:
            try:
                function()
            except BaseException as error:
                raised = raised or error
                if isinstance(error, Exception):
                    _logger.exception("%s: a mailbox raised", self._name)
        if raised is not None:
            try:
                raise raised
            finally:
                del raised  # its traceback holds this frame
        self._some_untold = False
