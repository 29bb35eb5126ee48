"""Which files: all `.py` files of a directory, under the top-level package each belongs to."""

import dataclasses
import os
import sysconfig
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final, final

from threadpool_mb.demo.tally import Unread

__all__ = ["TEST_SUITE", "Source", "Sources", "find_sources", "interleave", "standard_library"]

TEST_SUITE: Final = "test"
"""The package of the standard library that tests the others."""

_SKIPPED: Final = frozenset({"__pycache__", "dist-packages", "site-packages"})


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A file to tally: one message of the demo."""

    key: str
    """Its top-level package, or itself if it is a top-level module."""
    path: Path
    """Where it is."""
    size: int
    """Its bytes."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Sources:
    """The files under a directory."""

    files: list[Source]
    """In the order in which they are to be dispatched."""
    unread: list[Unread]
    """Directories that could not be listed."""


def standard_library() -> Path:
    """Return the directory of the running interpreter's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def find_sources(root: Path, *, without: Collection[str] = ()) -> Sources:
    """Find the `.py` files under `root`, but for installed packages and the keys in `without`.

    Blocks: as long as listing the directories does.
    """
    unread: list[Unread] = []

    def refused(error: OSError) -> None:
        unread.append(Unread(Path(error.filename), error.strerror or str(error)))

    files: list[Source] = []
    for directory, subdirectories, names in os.walk(root, onerror=refused):
        subdirectories[:] = sorted(set(subdirectories) - _SKIPPED)
        parts = Path(directory).relative_to(root).parts
        for name in sorted(names):
            if name.endswith(".py"):
                key = parts[0] if parts else name.removesuffix(".py")
                if key not in without:
                    path = Path(directory, name)
                    files.append(Source(key, path, _size(path)))
    return Sources(interleave(files), unread)


def interleave(files: Iterable[Source]) -> list[Source]:
    """Order the files so that all keys advance together: the first of each, ..., the last of each.

    A key is handled by one worker, so a large package that starts late, or gets only its fair share
    of the cores, is still busy on one core when the others have nothing left to do. In this order
    each package gets files in proportion to its bytes, and since the sender waits while a package's
    mailbox is full, none falls behind the others. The files of one key stay in order.
    """
    totals: defaultdict[str, int] = defaultdict(int)
    placed: list[tuple[int, Source]] = []
    for file in files:
        placed.append((totals[file.key], file))
        totals[file.key] += file.size
    placed.sort(key=lambda place: place[0] / (totals[place[1].key] or 1))
    return [file for _, file in placed]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # whoever reads it will say why it cannot be read
