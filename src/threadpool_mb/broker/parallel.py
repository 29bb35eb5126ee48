"""Handling the messages of different keys in parallel, for a broker that has threads for it.

**Guarantees.** Messages of a key are handled one at a time, in the order in which the broker's
thread took them from its mailbox. What was taken is handled, or becomes a dead letter if the broker
was stopped before its turn, before `join` returns.

**Assumes.** One thread calls `take` and `join`, the broker's. What `executor.tasks` guarantees:
each message is a task of its key.

A limit of the mailbox is a limit here too: beyond it the broker's thread waits before it takes the
next message, so that the mailbox fills and its senders feel it.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any, Final, final

from threadpool_mb.broker.resources import Address, Resources
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.describing import describe
from threadpool_mb.errors import ThreadRefused
from threadpool_mb.executor.futures import KeyedFuture
from threadpool_mb.executor.tasks import Table, Task
from threadpool_mb.messages import Dispatch

__all__ = ["ParallelHandling"]

_logger = logging.getLogger(__name__)


@final
class ParallelHandling[K, W, R]:
    """Hands messages to threads that handle them.

    Threads: `stop`, `waiting` and `in` are for any.
    """

    __slots__ = ("_failed", "_owner", "_resources", "_room", "_stopped", "_table")

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
        self._table: Final = Table(name, max_threads)
        # One less: the broker's thread has the last one in hand.
        self._room: Final = None if limit is None else threading.Semaphore(limit + max_threads - 1)
        self._stopped: bool = False

    def take(self, address: Address[K, W]) -> None:
        """Have a message handled after those of its key.

        Blocks: until there is room for it.
        """
        if self._room is not None:
            self._room.acquire()
        entered = False
        try:
            shard = self._table.shard(address.key)
            future: KeyedFuture[Any] = KeyedFuture(shard, address.key)
            self._table.submit(Task(shard, address.key, future, self._run, (address,), {}))
            entered = True
        except ThreadRefused:
            # There is no thread but this one. It may do it: nobody else handles anything.
            entered = True
            self._run(address)
        except Exception:
            _logger.exception(
                "%s: the key %s cannot be looked up", self._owner, describe(address.key)
            )
        finally:
            if not entered:
                self._free()
                is_dispatch = isinstance(address, Dispatch)
                reason = DeadLetterReason
                self._resources.drop(
                    address, reason.UNKNOWN_KEY if is_dispatch else reason.WORKER_FAILED
                )

    def stop(self) -> None:
        """Make dead letters of what is not handled yet, when its turn comes."""
        self._stopped = True

    def join(self) -> None:
        """Wait until all that was taken is done and the threads have ended."""
        self._table.close()
        self._table.join()

    @property
    def waiting(self) -> int:
        """How many messages nobody has begun to handle."""
        return self._table.waiting

    def __contains__(self, thread: threading.Thread) -> bool:
        """Return whether the thread is one of these."""
        return thread in self._table.threads

    def _run(self, address: Address[K, W]) -> None:
        """Handle a message; the task of one. What it raises nobody reads."""
        try:
            if self._stopped:
                self._resources.drop(address, DeadLetterReason.POOL_CLOSED)
            else:
                self._resources.take(address)
        except BaseException as error:  # noqa: BLE001 - `join` raises it
            self._stopped = True
            self._failed(error)
        finally:
            self._free()

    def _free(self) -> None:
        if self._room is not None:
            self._room.release()
