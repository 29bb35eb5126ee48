"""What waits until messages are settled: flushes, and whatever else waits for nodes.

**Guarantees.** A flush waits for what was sent before it began, and for nothing else.
"""

import threading
from collections.abc import Callable
from typing import Final, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.cluster.link import Link
from threadpool_mb.cluster.routing import Router

__all__ = ["Flushes"]


@final
class Flushes:
    """The flushes of one pool. Threads: internally synchronized."""

    __slots__ = ("_changed", "_links", "_of_keys", "_of_nodes", "_router", "begun")

    def __init__(self, router: Router, links: Callable[[], list[Link]]) -> None:
        """Of what `router` holds, and what was sent to `links()`."""
        self._router: Final = router
        self._links: Final = links
        # Guards what follows. Notified when messages were settled, a node has gone, or the pool has
        # ended.
        self._changed = threading.Condition(threading.Lock())
        self.begun: int = 0
        """How many were begun: the epoch of messages that are sent now."""
        self._of_keys = self._of_nodes = 0

    @property
    def of_a_node(self) -> bool:
        """Whether something waits for a node, of which nothing is told when it never starts."""
        return self._of_nodes > 0

    @property
    def of_a_key(self) -> bool:
        """Whether one waits for a key: for a part of what nodes are to handle."""
        return self._of_keys > 0

    def flush(
        self, key: object, deadline: Deadline, ended: Callable[[], bool], *, of_all: bool
    ) -> bool:
        """Wait until all is settled that was sent before, of a key or of all, or `ended()`."""
        with self._changed:
            epoch = self.begun
            self.begun += 1
            self._of_keys += not of_all
        left = True

        def over() -> bool:
            nonlocal left
            left = self._router.left(self._links, epoch, key, of_all=of_all)
            return not left or ended()

        try:
            for link in () if of_all else self._links():
                link.hasten()
            self.wait_until(over, deadline, hurry=True)
        finally:
            with self._changed:
                self._of_keys -= not of_all
        return not left

    def wait_for_a_node(self, over: Callable[[], bool], deadline: Deadline) -> bool:
        """Wait until `over()`; see `wait_until`. The monitor has this look as often as it does."""
        with self._changed:
            self._of_nodes += 1
        try:
            return self.wait_until(over, deadline)
        finally:
            with self._changed:
                self._of_nodes -= 1

    def wait_until(
        self, over: Callable[[], bool], deadline: Deadline, *, hurry: bool = False
    ) -> bool:
        """Wait until `over()`, which is called under a lock; with `hurry`, have all sent meanwhile.

        Returns:
            `False` at the deadline.
        """
        while True:
            for link in self._links() if hurry else ():
                link.outbox.hurry()
            with self._changed:
                if over():
                    return True
                remaining = deadline.remaining()
                if remaining == 0:
                    return False
                self._changed.wait(remaining)

    def forked(self) -> None:
        """Have no thread wait, in a child of `os.fork`."""
        self._changed = threading.Condition(threading.Lock())

    def look(self) -> None:
        """Have all look again that wait."""
        with self._changed:
            self._changed.notify_all()
