"""A progress bar, where there is a terminal to show it."""

from types import TracebackType
from typing import Final, Self, TextIO, final

__all__ = ["Progress"]

_CELLS: Final = 40


@final
class Progress:
    """A bar on a terminal's last line; nothing at all on a stream that is no terminal.

    Leaving the `with` block erases the bar.

    Threads: for one thread.
    """

    __slots__ = ("_label", "_shown", "_stream", "_total")

    def __init__(self, stream: TextIO | None, label: str, total: int) -> None:
        """Show `label` and how many of `total` are done."""
        self._stream: Final = stream if stream is not None and stream.isatty() else None
        self._label: Final = label
        self._total: Final = total
        self._shown = -1

    @property
    def visible(self) -> bool:
        """Whether there is a terminal."""
        return self._stream is not None

    def show(self, done: int) -> None:
        """Draw the bar if it differs from the one that is there."""
        percent = 100 * done // self._total
        if self._stream is None or percent == self._shown:
            return
        self._shown = percent
        bar = ("#" * (_CELLS * done // self._total)).ljust(_CELLS, ".")
        self._stream.write(f"\r{self._label} [{bar}] {percent:3} %")
        self._stream.flush()

    def __enter__(self) -> Self:
        """Return the bar, still empty."""
        self.show(0)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Erase the bar."""
        if self._stream is not None:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
