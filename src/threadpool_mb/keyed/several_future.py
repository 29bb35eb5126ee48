"""The future of a task of several keys, or of all.

**Guarantees.** Those of `keyed.futures`. What is cancelled holds up no key from then on.
"""

from typing import Any, Protocol, cast, override

from threadpool_mb.arguments import describe
from threadpool_mb.keyed.futures import KeyedFuture, declare_attributes

__all__ = ["SeveralFuture"]


class _CanLeaveOut(Protocol):
    def cancelled(self, future: KeyedFuture[Any], /) -> None:
        """Take note that the future was cancelled."""
        ...


class SeveralFuture[R](KeyedFuture[R]):
    """The future of a task of several keys, or of all."""

    told_twice = True

    @property
    @override
    def _why_not(self) -> str:
        which = "all keys" if self.of_all else f"the keys {describe(self._key)}"
        return f"a task cannot wait for a task of {which}, which runs only after it"

    @override
    def cancel(self) -> bool:
        """Cancel it if its task does not run yet; return whether it is cancelled."""
        cancelled = super().cancel()
        # In a child of `os.fork` no lane goes on. The lists of those that wait are the parent's: a
        # thread that is not here may have had one in its hands.
        if cancelled and not self._lanes.in_child:
            cast("_CanLeaveOut", self._lanes).cancelled(self)
        return cancelled


declare_attributes(SeveralFuture, "of_all")
