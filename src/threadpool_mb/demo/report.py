"""What the demo shows: a progress bar, the table, its figures, the files that were not read."""

import platform
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self, TextIO, final

from threadpool_mb.demo.tally import Tally, Unread

__all__ = ["Progress", "figures", "gil_state", "interpreter", "table", "unread_list"]

_HEADINGS: Final = (
    "package",
    "files",
    "lines",
    "functions",
    "classes",
    "nesting",
    "longest function",
)
_UNREAD_SHOWN: Final = 10


def table(tallies: Mapping[str, Tally], top: int) -> str:
    """Return a table of the `top` packages with the most lines, a row of the others, and totals."""
    largest = sorted(tallies, key=lambda key: (-tallies[key].lines, key))
    rows = [_row(key, tallies[key]) for key in largest[:top]]
    rest = [tallies[key] for key in largest[top:]]
    if rest:
        rows.append(_row(f"({len(rest)} more)", _sum(rest)))
    total = _row("total", _sum(tallies[key] for key in largest))
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, total, strict=True)]
    rule = "  ".join("-" * width for width in widths)
    lines = [_line(_HEADINGS, widths), rule]
    lines += [_line(row, widths) for row in rows]
    lines += [rule, _line(total, widths)]
    return "\n".join(lines)


def unread_list(unread: Iterable[Unread], *, everything: bool) -> str:
    """Return how many files could not be read, and which: the first ten, or everything."""
    items = sorted(unread, key=lambda item: item.path)
    if not items:
        return "not read: 0 files"
    shown = items if everything else items[:_UNREAD_SHOWN]
    lines = [f"not read: {len(items):,} {'file' if len(items) == 1 else 'files'}"]
    lines += [f"  {item.path}: {item.reason}" for item in shown]
    if len(shown) < len(items):
        lines.append(f"  and {len(items) - len(shown):,} more; --verbose lists them")
    return "\n".join(lines)


def figures(
    *, messages: int, workers: int, cores: int, pool_seconds: float, one_thread_seconds: float
) -> str:
    """Return how long both runs took, and on what, one figure to a line."""
    return _pairs(
        ("messages", f"{messages:,}"),
        ("workers", f"{workers:,}"),
        ("seconds", f"{pool_seconds:.2f}"),
        ("on one thread", f"{one_thread_seconds:.2f}"),
        ("speed-up", f"{one_thread_seconds / pool_seconds:.2f}"),
        ("GIL", gil_state()),
        ("interpreter", interpreter()),
        ("cores", str(cores)),
    )


def gil_state() -> str:
    """Return `"on"` or `"off"`, as it is now."""
    return "on" if sys._is_gil_enabled() else "off"  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - documented, and the only way to ask


def interpreter() -> str:
    """Return name, version and build of the running interpreter."""
    build = "free-threaded build" if sysconfig.get_config_var("Py_GIL_DISABLED") else "GIL build"
    return f"{platform.python_implementation()} {platform.python_version()}, {build}"


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total


def _row(name: str, tally: Tally) -> tuple[str, ...]:
    longest = tally.longest
    return (
        name,
        f"{tally.files:,}",
        f"{tally.lines:,}",
        f"{tally.functions:,}",
        f"{tally.classes:,}",
        f"{tally.nesting}",
        "" if longest is None else f"{longest.name} ({longest.lines:,})",
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *numbers, last = (
        cell.ljust(width) if place in {0, len(widths) - 1} else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join((first, *numbers, last)).rstrip()


def _pairs(*pairs: tuple[str, str]) -> str:
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in pairs)


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
