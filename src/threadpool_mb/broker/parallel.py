"""Handling the messages of different keys in parallel, for a broker that has threads for it.

**Guarantees.** Messages of a key are handled one at a time, in the order in which the broker's
thread took them from its mailbox. What was taken is handled, or becomes a dead letter if the broker
was stopped before its turn or its key cannot be looked up, before `join` returns.

**Assumes.** One thread calls `take` and `join`, the broker's. What `keyed.table` guarantees:
each message is a task of its key. Reading and writing an attribute is atomic.

A message goes from one thread to the other in a list, which the thread that handles it empties. A
free-threaded build frees what the broker's thread has made, and another thread has dropped, only
when the broker's thread runs again (gh-157838). While it waits in its mailbox, a task and what
`demultiplex` returned would keep a message alive that `handle` has dropped, so that the caller of a
dropped call would not be told.

A limit of the mailbox is a limit here too: beyond it the broker's thread waits before it takes the
next message, so that the mailbox fills and its senders feel it.
"""

import threading
from collections.abc import Callable
from typing import Any, Final, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.broker.resources import Address, Resources
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.errors import ThreadRefused
from threadpool_mb.keyed.futures import KeyedFuture
from threadpool_mb.keyed.table import Table
from threadpool_mb.keyed.tasks import Task
from threadpool_mb.logs import Logger
from threadpool_mb.messages import Dispatch
from threadpool_mb.values import Missing

__all__ = ["ParallelHandling"]

_logger = Logger(__name__)


@final
class ParallelHandling[K, W, R]:
    """Hands messages to threads that handle them.

    Threads: `stop`, `waiting` and `in` are for any.
    """

    __slots__ = (
        "_failed",
        "_handled",
        "_owner",
        "_resources",
        "_room",
        "_stopped",
        "alone",
        "table",
    )

    def __init__(
        self,
        owner: str,
        name: str,
        resources: Resources[K, W, R],
        failed: Callable[[BaseException], object],
        *,
        max_threads: int,
        limit: int | None,
    ) -> None:
        """Start no thread yet.

        Args:
            owner: the broker's name in log lines.
            name: the threads are called `{name}-shared-1` and so on.
            resources: what handles a message.
            failed: called with what handling has raised that is no `Exception`.
            max_threads: the most threads.
            limit: how many messages may wait here, besides those that are handled; `None`: any.
        """
        self._owner: Final = owner
        self._resources: Final = resources
        self._failed: Final = failed
        self.table: Final = Table(name, max_threads)
        """The messages, and the threads."""
        # Room for what was taken and is not handled: `take` waits for it, `_free` makes it. `stop`
        # wakes no thread: the end waits for what runs anyway. One less than are handled and wait:
        # the broker's thread has the last one in hand.
        self._room: threading.Semaphore | None = (
            None if limit is None else threading.Semaphore(limit + max_threads - 1)
        )
        self._stopped: bool = False
        self.alone: bool = False
        """Whether the broker's thread handles the messages, as there is no other."""
        # What that one has handled.
        self._handled: int = 0

    def take(self, address: Address[K, W]) -> None:
        """Have a message handled after those of its key.

        Blocks: until there is room for it; where the system starts no thread, as long as handling
        it does.
        """
        if self._room is not None:
            self._room.acquire()
        threads = self.table.threads
        if not threads.any:
            try:
                threads.grow(least=1)
            except ThreadRefused:
                # So nothing waits here: no other thread handles anything.
                if not self.alone:
                    _logger.warning(
                        "%s: the system starts no thread, it goes on alone", self._owner
                    )
                self.alone = True
                self._run(*self._in_hand(address))
                self._handled += 1
                return
        self.alone = False
        try:
            self.table.submit(self._task(address))
        except Exception as error:  # noqa: BLE001 - the key's, logged there
            self._free()
            self._resources.refuse(address, error)
        except BaseException as error:
            # The key's; it ends the broker.
            self._free()
            self._resources.drop(
                address.key, address.message, DeadLetterReason.WORKER_FAILED, error
            )
            raise

    def _task(self, address: Address[K, W]) -> Task:
        shard = self.table.shard(address.key)
        future: KeyedFuture[Any] = KeyedFuture(shard, address.key)
        return Task(shard, address.key, future, self._run, self._in_hand(address), None, None)

    def stop(self) -> None:
        """Make dead letters of what is not handled yet, when its turn comes."""
        self._stopped = True

    def join(self) -> None:
        """Wait until all that was taken is done and the threads have ended.

        Blocks: until then.
        """
        self.table.close()
        self.table.join()

    def forked(self) -> None:
        """Have nothing more handled, and wait for nothing; in a child of `os.fork`."""
        self._stopped = True
        # Its lock may be held for ever.
        self._room = None
        self.table.forked(needed=True)

    def waits_for(self, deadline: Deadline) -> str | None:
        """Return what is not handled at the deadline; see `Table.waits_for`."""
        return self.table.waits_for(deadline)

    @property
    def waiting(self) -> int:
        """How many messages wait for others of their key, or for a thread."""
        return self.table.waiting

    @property
    def handled(self) -> int:
        """How many messages are done with that were taken; a little late, see `Task.turn`."""
        return self.table.threads.handled + self._handled

    def __contains__(self, thread: threading.Thread) -> bool:
        """Return whether the thread is one of these."""
        return thread in self.table.threads

    def _in_hand(
        self, address: Address[K, W]
    ) -> tuple[K, list[W | Missing], Callable[[K, Any], object]]:
        """Return what `_run` is called with; see the module."""
        resources = self._resources
        handle = resources.dispatch if isinstance(address, Dispatch) else resources.initialize
        return address.key, [address.message], handle

    def _run(self, key: K, messages: list[W | Missing], handle: Callable[[K, Any], object]) -> None:
        """Handle the one message of the list; a task. Nothing reads what it raises."""
        try:
            if self._stopped:
                self._resources.tally.count_left_out()
                self._resources.drop(key, messages.pop(), DeadLetterReason.POOL_CLOSED)
            else:
                handle(key, messages.pop())
        except BaseException as error:  # noqa: BLE001 - `join` raises it
            self.stop()
            self._failed(error)
        finally:
            self._free()

    def _free(self) -> None:
        if self._room is not None:
            self._room.release()
