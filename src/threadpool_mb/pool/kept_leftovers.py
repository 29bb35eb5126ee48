"""What is left in a function worker's mailbox, and is for another life or the next worker.

See `pool.keeping` for the races.
"""

from collections.abc import Callable
from typing import Final, final

from threadpool_mb.dead_letters import DeadLetterOffice
from threadpool_mb.line.stores import displaced_later
from threadpool_mb.pool.incarnation import Leftovers, why_left
from threadpool_mb.pool.keeping import Keeping

__all__ = ["KeptLeftovers"]


@final
class KeptLeftovers[K, M](Leftovers[K, M]):
    """Leftovers of a function worker's mailbox that are for another life, or the next worker."""

    __slots__ = ("_keeping",)

    def __init__(self, key: K, office: DeadLetterOffice[K, M], keeping: Keeping[K, M]) -> None:
        super().__init__(key, office)
        self._keeping: Final = keeping

    def swept(
        self,
        sweep: Callable[[Callable[[M], object] | None], object],
        bury: Callable[[M], object],
    ) -> None:
        """Have the mailbox swept, unless a new life is to find what is there."""
        keeping = self._keeping
        dead: list[M] = []
        with displaced_later(), keeping.roster.lock:
            if self.in_use:
                return
            has_next = not self.left_out and keeping.has_next(why_left(self))
            if has_next:
                sweep(keeping.handing_on(self.key, dead))
        # Not under the lock: dead letters have hooks.
        if not has_next:
            sweep(None)
        for message in dead:
            bury(message)
