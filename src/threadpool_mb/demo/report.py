"""What the demo says: the table, the figures below it, the files that could not be read."""

import platform
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from threadpool_mb.demo.tally import Tally, Unread

__all__ = ["figures", "gil_state", "interpreter", "table", "unread_list"]

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
