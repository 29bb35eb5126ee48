"""Being called once something has ended, where no thread may wait for it."""

import contextlib
from collections.abc import Callable
from typing import Final, final

__all__ = ["Ending"]


@final
class Ending:
    """The end of a pool, a broker or an executor, of which others want to be told.

    1. Who wants to be told adds a callback.
    2. It looks whether the end has come, and if so, calls what it finds.
    a. The thread that ends writes that the end has come.
    b. It calls what it finds.

    (1) and (b) are operations on one list: if (1) comes first, (b) finds the callback; if (b) does,
    (a) came before (2). Each callback is popped, so it is called once.

    Threads: any.
    """

    __slots__ = ("_callbacks", "reached")

    def __init__(self) -> None:
        """Make one that has not come."""
        self._callbacks: Final[list[Callable[[], object]]] = []
        self.reached: bool = False

    def when_reached(self, callback: Callable[[], object]) -> None:
        """Call `callback`, which neither blocks nor raises, at the end; at once, if it has come."""
        self._callbacks.append(callback)
        if self.reached:
            self._call()

    def forget(self, callback: Callable[[], object]) -> None:
        """Do not call it any more."""
        with contextlib.suppress(ValueError):  # it was called
            self._callbacks.remove(callback)

    def reach(self) -> None:
        """Say that the end has come."""
        self.reached = True
        self._call()

    def _call(self) -> None:
        # Not `while self._callbacks`: only `pop` is one operation. Without a name of the module: an
        # executor that is finalized as the interpreter ends comes here when they are gone.
        try:
            while True:
                self._callbacks.pop()()
        except IndexError:
            pass
