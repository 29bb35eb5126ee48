"""What a pool on a cluster shows of its life: looking at it, flushing, closing, draining."""

import warnings
from types import TracebackType
from typing import Self, override

from threadpool_mb.aio.life import AsyncLife
from threadpool_mb.arguments import Deadline, check_key, check_timeout
from threadpool_mb.cluster.control import Control
from threadpool_mb.pool.reports import DrainReport, PoolStats
from threadpool_mb.values import MISSING, Missing

__all__ = ["ClusterLife"]


class ClusterLife[K](AsyncLife[DrainReport[K]]):
    """A pool on a cluster, but for its messages. Threads: internally synchronized."""

    __slots__ = ("_control",)

    _control: Control

    def flush(self, key: K | Missing = MISSING, /, *, timeout: float | None = None) -> bool:
        """Wait until all messages are handled that were taken before; of a key, or of all.

        Blocks: at most `timeout` seconds; `None`: as long as it takes.

        Returns:
            `False` if the timeout ran out first.

        Raises:
            RuntimeError: in a hook, which would wait for itself.
            TypeError: if the key cannot be hashed.
            ValueError: if the timeout is no number of seconds.
        """
        check_key(key)
        return self._control.flush(key, Deadline(timeout), of_all=key is MISSING)

    def stats(self) -> PoolStats:
        """Return the sum of what the nodes tell of their pools.

        `waiting` counts what was not sent yet, too, and `threads` those of the pool here.

        Blocks: for the nodes' answers; one that does not answer within 5 s counts as it was last.
        """
        return self._control.stats(ask=True)

    def vacate(self, address: str, /, *, timeout: float | None = None) -> bool:
        """Have a Dask worker get no more keys; those that it has end there, and move.

        Then Dask may retire it. It gets no keys of this pool again.

        Blocks: until that is done, at most `timeout` seconds.

        Args:
            address: of the Dask worker, as in `client.scheduler_info()`.
            timeout: seconds; `None` for ever.

        Returns:
            `False` if the timeout ran out first; it goes on.

        Raises:
            RuntimeError: in a hook, which would wait for itself.
        """
        self._control.check_not_own_thread("asked to vacate")
        return self._control.vacate(address, Deadline(timeout))

    @override
    def close(self) -> None:
        """Take no more messages; the workers finish their backlog and end.

        Blocks: never. Senders that wait for room wake and raise `PoolClosed`.
        """
        self._control.close()

    @override
    def cancel(self) -> None:
        """Take no more messages and ask the workers to stop; what waits becomes dead letters.

        Blocks: never.
        """
        self._control.cancel()

    def join(self, *, timeout: float | None = None) -> DrainReport[K]:
        """Wait until the pool was closed or cancelled, and all its workers have ended.

        Blocks: at most `timeout` seconds; `None`: for ever, also if nobody closes the pool. Then,
        if the timeout ran out, for the nodes' answers: which workers are left.

        Raises:
            RuntimeError: on a thread of the pool itself, which would wait for itself.
            ValueError: if the timeout is no number of seconds.
        """
        finished = self._control.join(Deadline(timeout))
        return self._control.report(finished=finished)

    @override
    def drain(self, *, timeout: float | None) -> DrainReport[K]:
        """Close, wait for the backlog to be handled, and cancel what is left after the timeout.

        Blocks: as `join` does.

        Raises:
            RuntimeError: on a thread of the pool itself, which would wait for itself.
            ValueError: if the timeout is no number of seconds.
        """
        check_timeout(timeout)
        self._control.check_not_own_thread()
        try:
            self.close()
            report = self.join(timeout=timeout)
        except BaseException:
            self.cancel()
            raise
        if not report.finished:
            self.cancel()
        return report

    def __repr__(self) -> str:
        """Show name, counts and state."""
        return repr(self._control)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drain the pool, or cancel it if the block was left with an exception; then join it.

        Blocks: until all workers have ended.
        """
        try:
            (self.close if error_type is None else self.cancel)()
            self.join(timeout=None)
        except BaseException:
            self.cancel()
            raise

    def __del__(self) -> None:
        """Warn of a pool that was never closed, and let its workers finish their backlog."""
        control: Control | None = getattr(self, "_control", None)
        if control is not None and control.state == "running":
            control.dropped = True
            warnings.warn(
                f"unclosed <ClusterPool {control.name!r}>",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )
