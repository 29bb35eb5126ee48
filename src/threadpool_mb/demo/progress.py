"""A progress bar, where there is a terminal to show it."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TextIO, final

__all__ = ["Progress"]

_CELLS: Final = 40
_SECONDS_BETWEEN: Final = 0.1


@final
class Progress:
    """A bar on a terminal's last line; nothing at all on a stream that is no terminal.

    A thread of its own draws it while the `with` block runs, so the work knows nothing of it.
    Leaving the block erases the bar.
    """

    __slots__ = ("_count", "_label", "_left", "_shown", "_stream", "_thread", "_total")

    def __init__(
        self, stream: TextIO | None, label: str, total: int, count: Callable[[], int]
    ) -> None:
        """Show `label` and how many of `total` are done: `count()`, called in a thread."""
        self._stream: Final = stream if stream is not None and stream.isatty() else None
        self._label: Final = label
        self._total: Final = total
        self._count: Final = count
        self._shown = ""
        self._left: Final = threading.Event()
        self._thread: Final = threading.Thread(
            target=self._run,
            name="demo-progress",
            daemon=True,  # an interrupt may come after its start and before the block
        )

    def __enter__(self) -> Self:
        """Draw the bar for the first time."""
        if self._stream is not None:
            self._draw(self._stream)
            self._thread.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Erase the bar."""
        if self._stream is not None:
            self._left.set()
            self._thread.join()
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _run(self) -> None:
        while self._stream is not None and not self._left.wait(_SECONDS_BETWEEN):
            self._draw(self._stream)

    def _draw(self, stream: TextIO) -> None:
        done = self._count()
        cells = "#" * (_CELLS * done // self._total)
        bar = f"\r{self._label} [{cells.ljust(_CELLS, '.')}] {100 * done // self._total:3} %"
        if bar != self._shown:
            self._shown = bar
            stream.write(bar)
            stream.flush()
