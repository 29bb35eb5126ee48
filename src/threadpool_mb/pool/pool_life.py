"""What `Pool` shows of its life: looking at it, pausing, closing, cancelling, draining."""

import warnings
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from threadpool_mb.aio.life import AsyncLife
from threadpool_mb.arguments import check_key, check_limit
from threadpool_mb.pool.dispatcher import Dispatcher
from threadpool_mb.pool.draining import Driver
from threadpool_mb.pool.pausing import pause_key, resume_key
from threadpool_mb.pool.reports import DrainReport, PoolStats, WorkerStats
from threadpool_mb.values import MISSING, Missing

__all__ = ["PoolLife"]


class PoolLife[K, M](AsyncLife[DrainReport[K]]):
    """A pool, but for its messages. Threads: internally synchronized."""

    __slots__ = ("_dispatcher",)

    _dispatcher: Dispatcher[K, M]
    _driver: Driver | None = None
    """What does what the pool's threads would do, in `threadpool_mb.testing`."""

    def stats(self) -> PoolStats:
        """Return a snapshot of the pool as a whole; see `PoolStats` on the time that it takes.

        Blocks: never. Threads: any.
        """
        return self._dispatcher.stats()

    def workers(self) -> Iterator[WorkerStats[K]]:
        """Yield what each worker looks like that has not ended, oldest first.

        Which ones there are is fixed by the first `next`; each is looked at as it is yielded.

        Blocks: never, but takes time proportional to the workers. Threads: any.
        """
        return self._dispatcher.workers()

    def hot(self, n: int = 10, /) -> list[WorkerStats[K]]:
        """Return the `n` workers for which most messages wait, the longest queue first.

        Blocks: never, but takes time proportional to the workers that have something to do.

        Raises:
            TypeError, ValueError: if `n` is no number of at least 1.
        """
        check_limit(n, "n")
        return self._dispatcher.hot(n)

    def flush(self, key: K | Missing = MISSING, /, *, timeout: float | None = None) -> bool:
        """Wait until all messages are handled that were taken before; of a key, or of all.

        Messages whose time has not come do not count. A function worker has handled a message when
        it asks for the next one; it is not idle in between.

        Blocks: at most `timeout` seconds; `None`: as long as it takes.

        Returns:
            `False` if the timeout ran out first.

        Raises:
            RuntimeError: in a worker of the pool that would wait for itself.
            TypeError: if the key cannot be hashed, or a function receives from a mailbox of a
                user's own kind, of which it is not known what was handled.
            ValueError: if the timeout is no number of seconds.
        """
        return self._dispatcher.flush(key, timeout=timeout)

    def pause(self, key: K, /) -> bool:
        """Have the key's worker take no more messages until `resume`; they wait, in order.

        For generator workers. The messages of a turn that has begun are still handled, at most
        `throughput`: with `throughput=1` none but the one in hand. One that waits in `sleep` or
        `wait` goes on only after `resume`, and a message expires only then. A call waits as well,
        and so do `flush` and what waits for an answer. A worker that is paused is neither ended as
        idle nor evicted; the pause ends with the worker. One that is removed, and all of a pool
        that is closed, go on and finish what waits, or are cancelled.

        Blocks: never.

        Returns:
            `False` if the key has no worker (yet), or it is paused or about to end.

        Raises:
            TypeError: if the key cannot be hashed, or its worker is a function.
        """
        return pause_key(self._dispatcher.roster, key)

    def resume(self, key: K, /) -> bool:
        """Have the key's worker go on. Blocks: never.

        Returns:
            `False` if the key has no worker that is paused.

        Raises:
            TypeError: if the key cannot be hashed, or its worker is a function.
        """
        return resume_key(self._dispatcher.roster, key)

    def close(self) -> None:
        """Take no more messages; the workers finish their backlog and end.

        Blocks: never. Senders that wait for room wake and raise `PoolClosed`.
        """
        self._dispatcher.close()

    def cancel(self) -> None:
        """Take no more messages and ask the workers to stop; what waits becomes dead letters.

        Cooperative: a worker sees it at its next `receive`, or in `mailbox.cancelled`. Code that is
        stuck elsewhere is not interrupted; `workers()` and `join` name it. After `close`, too.

        Blocks: as long as `on_dead_letter` does, for the messages of workers that had not started.
        """
        self._dispatcher.cancel()

    def join(self, *, timeout: float | None = None) -> DrainReport[K]:
        """Wait until the pool was closed or cancelled, and all its workers and threads have ended.

        Blocks: at most `timeout` seconds; `None`: for ever, also if nobody closes the pool.

        Returns:
            What was lost and what failed; if the timeout ran out, also which workers are left.

        Raises:
            RuntimeError: on a thread of the pool itself, which would wait for itself.
            ValueError: if the timeout is no number of seconds.

        From the original's `poolAsync`.
        """
        return self._dispatcher.join(timeout=timeout)

    def drain(self, *, timeout: float | None) -> DrainReport[K]:
        """Close, wait for the backlog to be handled, and cancel what is left after the timeout.

        For shutting down within a grace period. The workers that had not ended when the timeout ran
        out are in the report; they were cancelled, and `join` waits for them. What waits in their
        mailboxes becomes dead letters as they end, and is not in the report yet.

        Blocks: at most `timeout` seconds (`None`: until all have ended); then as long as
        `on_dead_letter` does, for the messages of workers that had not started.

        Raises:
            RuntimeError: on a thread of the pool itself, which would wait for itself.
            ValueError: if the timeout is no number of seconds.
        """
        return self._dispatcher.drain(timeout=timeout)

    def worker(self, key: K, /) -> WorkerStats[K] | None:
        """Return what the key's worker looks like; `None` if it has none.

        Blocks: never; looks at that worker alone. Threads: any.

        Raises:
            TypeError: if the key cannot be hashed.
        """
        check_key(key)
        return self._dispatcher.worker(key)

    def keys(self) -> list[K]:
        """Return the keys that have a worker; a snapshot. Blocks: never."""
        return self._dispatcher.roster.keys()

    def __len__(self) -> int:
        """Return the number of keys that have a worker."""
        return self._dispatcher.roster.workers

    def __contains__(self, key: object) -> bool:
        """Return whether the key has a worker."""
        check_key(key)
        return self._dispatcher.roster.has(key)

    def __repr__(self) -> str:
        """Show name, counts and state."""
        return repr(self._dispatcher)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drain the pool, or cancel it if the block was left with an exception; then join it.

        An interrupt while it drains cancels it and is raised at once: `join` waits for the workers.

        Blocks: until all workers and threads have ended.
        """
        self._dispatcher.leave(well=error_type is None)

    def __del__(self) -> None:
        """Warn of a pool that was never closed, and let its workers finish their backlog."""
        dispatcher: Dispatcher[K, M] | None = getattr(self, "_dispatcher", None)
        if dispatcher is not None and not dispatcher.roster.closed:
            dispatcher.close_soon()
            # The name only: a user's mailbox may want a lock for `len`.
            warnings.warn(
                f"unclosed <Pool {dispatcher.name!r}>", ResourceWarning, stacklevel=1, source=self
            )
