"""What the dashboard reads from a snapshot, and texts of keys that a page can show.

A snapshot is whatever `stats()` returns: what it has of the names below is shown. So one function
serves pools, executors, brokers, and objects of a user's own.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Final, cast, final

__all__ = ["Figures", "Stuck", "details_of", "figures_of", "stuck_of", "text_of", "type_of"]

type Number = int | float

_NUMBERS: Final = (
    "keys",
    "busy",
    "busy_threads",
    "waiting",
    "handled",
    "started",
    "failed",
    "restarted",
    "cancelled",
    "threads",
    "timers",
    "max_keys",
    "oldest",
)

_LONGEST_WORD: Final = 80


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """The part of a snapshot that is plain numbers and words."""

    name: str | None
    """What the pool is called; `None` if the snapshot does not say."""
    state: str
    """What the pool does: `"running"`, and so on."""
    numbers: Mapping[str, Number]
    """Those of the known figures that the snapshot has."""
    ended: Mapping[str, Number]
    """Workers that have ended, by cause."""
    dead_letters: Mapping[str, Number]
    """Messages that were not handled, by reason."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Stuck:
    """A worker that is busy on one message for too long."""

    key: object
    text: str
    incarnation: Number | None
    seconds: Number | None
    thread: str
    stack: str


def figures_of(stats: object) -> Figures:
    """Read the figures of a snapshot.

    Raises:
        Exception: what the snapshot raises.
    """
    name: object = getattr(stats, "name", None)
    numbers = {name: _number(getattr(stats, name, None)) for name in _NUMBERS}
    return Figures(
        name=None if name is None else _word(name),
        state=_word(getattr(stats, "state", "unknown")),
        numbers={name: number for name, number in numbers.items() if number is not None},
        ended=_counts(getattr(stats, "ended", None)),
        dead_letters=_counts(getattr(stats, "dead_letters", None)),
    )


def stuck_of(stats: object, most: int) -> tuple[Stuck, ...]:
    """Read at most `most` stuck workers of a snapshot, those first that are stuck longest.

    Raises:
        Exception: what the snapshot raises.
    """
    workers: object = getattr(stats, "stuck", None)
    if not isinstance(workers, (tuple, list)):
        return ()
    found = [
        Stuck(
            key=getattr(worker, "key", None),
            text=text_of(getattr(worker, "key", None)),
            incarnation=_number(getattr(worker, "incarnation", None)),
            seconds=_number(getattr(worker, "seconds", None)),
            thread=_word(getattr(worker, "thread", "")),
            stack=_lines(str(getattr(worker, "stack", ""))),
        )
        for worker in cast("tuple[object, ...]", workers)
    ]
    return tuple(sorted(found, key=lambda each: -(each.seconds or 0))[:most])


def details_of(worker: object) -> dict[str, object]:
    """Return all that a worker's record says beside its key, as numbers, words and `None`."""
    if not dataclasses.is_dataclass(worker):
        return {}
    names = [field.name for field in dataclasses.fields(worker) if field.name != "key"]
    return {name: _plain(getattr(worker, name)) for name in names}


def text_of(key: object, most: int = 160) -> str:
    """Return a key's `repr` on one line, shortened; a text in its place if it raises.

    What cannot be printed is escaped: line ends, control characters, marks that turn the direction
    of what follows.
    """
    try:
        # A long one is not made in full.
        text = repr(key[: most + 1]) if type(key) is str else repr(key)
        return _one_line(text, most)
    except Exception as error:  # noqa: BLE001 - a user's __repr__ may raise anything
        return _one_line(f"<{type(key).__name__} whose repr raises {type(error).__name__}>", most)


def type_of(key: object) -> str:
    """Return the name of a key's type, with its module if that is not `builtins`."""
    kind = type(key)
    module = str(kind.__module__)
    name = kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"
    return _one_line(name, _LONGEST_WORD)


def _one_line(text: str, most: int) -> str:
    shown = "".join(map(_printable, text[:most]))
    return shown if len(text) <= most else f"{shown}…"


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")


def _lines(text: str) -> str:
    return "\n".join("".join(map(_printable, line)) for line in text.splitlines())


def _word(value: object) -> str:
    return _one_line(str(value), _LONGEST_WORD)


def _number(value: object) -> Number | None:
    if isinstance(value, (int, float)) and math.isfinite(value):
        return int(value) if isinstance(value, int) else float(value)
    return None


def _counts(values: object) -> dict[str, Number]:
    if not isinstance(values, Mapping):
        return {}
    pairs = cast("Mapping[object, object]", values)
    counts = {_word(name): _number(value) for name, value in pairs.items()}
    return {name: count for name, count in counts.items() if count}


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    number = _number(value)
    return _word(value) if number is None else number
