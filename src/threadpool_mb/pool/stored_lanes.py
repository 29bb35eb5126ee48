"""The lane of a generator worker whose messages are in a store; see `line.stores`.

**Guarantees.** Those of a lane, and of its store: its turn takes from the lane what the store gives
out. What a message is prepared with, its priority, is asked on the sender's thread, before anything
is taken, also of a call that is handled on the caller's thread.
"""

import queue
from typing import Any, override

from threadpool_mb.arguments import NEVER, Deadline
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.line.inlet import IDLE, Inlet
from threadpool_mb.line.slots import Slots
from threadpool_mb.line.stores import Store, Stored, unranked
from threadpool_mb.mailbox.catch_all import log_refusal
from threadpool_mb.pool.common import Common
from threadpool_mb.pool.generator_lanes import GeneratorLane

__all__ = ["StoredLane"]


class StoredLane[K, M](Stored[M], GeneratorLane[K, M]):
    """A generator worker's lane, with its messages in a store."""

    __slots__ = ("store",)

    # Said again, as in `Lane`.
    direct: Inlet[M] | None
    store: Store

    def __init__(self, common: Common[K, M], key: K, slots: Slots | None, store: Store) -> None:
        self.store = store
        super().__init__(common, key, slots)
        if store.caught:
            self.direct = None

    @override
    def displaced(self, message: M) -> None:
        self.common.office.take(self.key, message, DeadLetterReason.DISPLACED)

    @property
    @override
    def marker_goes(self) -> tuple[queue.SimpleQueue[Any], object]:
        return self, self.store.marker

    @override
    def get_nowait(self) -> M:
        """Take what is swept: it may be for the next worker."""
        return self.get_prepared()

    @override
    def deliver(self, message: M, /, deadline: Deadline = NEVER) -> bool:
        """Put one message in; see `Lane.deliver`."""
        store = self.store
        if store.prepare is not None:
            try:
                message = store.prepare(message)
            except Exception:
                if store.caught:
                    return log_refusal()
                raise
        return super().deliver(message, deadline)

    @override
    def handle_here(self, message: M, *, inline_calls: bool | None, on_loop: bool = False) -> bool:
        if self.unattended == IDLE and self.store.prepare is not None:
            try:
                self.store.prepare(message)
            except Exception:
                if self.store.caught:
                    return False  # it is delivered, and refused there
                raise
        return super().handle_here(message, inline_calls=inline_calls, on_loop=on_loop)

    @override
    def renew(self, message: object) -> None:
        super().renew(message)
        if self.store.caught:
            self.direct = None

    @override
    def forked(self) -> None:
        super().forked()
        self.store.forked()

    @override
    def _bury(self, message: M, /) -> None:
        super()._bury(unranked(message))
