"""What workers have raised, until the test has seen to it."""

from collections.abc import Callable
from typing import Final, final

from threadpool_mb.arguments import describe
from threadpool_mb.pool.reports import WorkerExit
from threadpool_mb.values import MISSING

__all__ = ["Failures"]


@final
class Failures[K]:
    """What the workers of some pools have raised that no test has seen to.

    Threads: any.
    """

    __slots__ = ("_exits", "_may_fail", "_seed", "_then")

    def __init__(
        self,
        seed: int | None,
        then: Callable[[WorkerExit[K]], object] | None = None,
        *,
        may_fail: bool = False,
    ) -> None:
        """Have none; `then` is told of each end after this, and `seed` is named in notes.

        Where they `may_fail`, nothing is raised.
        """
        self._may_fail: Final = may_fail
        self._exits: Final[list[WorkerExit[K]]] = []
        self._seed: Final = seed
        self._then: Final = then

    def add(self, worker_exit: WorkerExit[K]) -> None:
        """Take note of a worker's end."""
        if worker_exit.error is not None and worker_exit.restart_in is None:
            self._exits.append(worker_exit)
        if self._then is not None:
            self._then(worker_exit)

    def take(self) -> list[BaseException]:
        """Return what they have raised, with a note of which worker that was; and forget it."""
        errors: list[BaseException] = []
        for each in self._taken():
            error = each.error
            if error is not None:  # pragma: no branch - no others are added
                note = self._say(each)
                if note not in getattr(error, "__notes__", ()):
                    error.add_note(note)
                errors.append(error)
        return errors

    def _taken(self) -> list[WorkerExit[K]]:
        taken = self._exits.copy()
        del self._exits[: len(taken)]
        return taken

    def _say(self, worker_exit: WorkerExit[K]) -> str:
        message = worker_exit.message
        hand = "" if message is MISSING else f", as it handled {describe(message)}"
        seed = "" if self._seed is None else f"; seed {self._seed}"
        return f"raised by the worker of key {describe(worker_exit.key)}{hand}{seed}"

    def fail(self) -> None:
        """Raise what they have raised, if they have: in a group, if there are several."""
        errors = [] if self._may_fail else self.take()
        if len(errors) == 1 and isinstance(errors[0], Exception):
            raise errors[0]
        if errors:
            raise BaseExceptionGroup(f"{len(errors)} workers failed", errors)

    def note(self, error: BaseException) -> None:
        """Add notes of what they have raised to another error, which is being raised."""
        for each in [] if self._may_fail else self.take():
            error.add_note(f"a worker had failed before: {describe(each)}")
