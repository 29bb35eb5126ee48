"""Which files: all `.py` files of a directory, under the top-level package each belongs to."""

import dataclasses
import os
import sysconfig
from collections.abc import Collection
from pathlib import Path
from typing import Final, final

from threadpool_mb.demo.tally import Unread

__all__ = ["TEST_SUITE", "Source", "Sources", "find_sources", "standard_library"]

TEST_SUITE: Final = "test"
"""The package of the standard library that tests the others."""

_SKIPPED: Final = frozenset({"__pycache__", "dist-packages", "site-packages"})


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A file to tally."""

    key: str
    """Its top-level package, or itself if it is a top-level module."""
    path: Path
    """Where it is."""
    size: int
    """Its bytes; 0 if the system does not tell."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Sources:
    """What is under a directory."""

    files: list[Source]
    """The `.py` files, in the order of their names."""
    unread: list[Unread]
    """Directories that could not be listed."""


def standard_library() -> Path:
    """Return the directory of the running interpreter's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def find_sources(root: Path, *, without: Collection[str] = ()) -> Sources:
    """Find the `.py` files under `root`, but for installed packages and the keys in `without`.

    Links to directories are not followed.

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
            key = parts[0] if parts else name.removesuffix(".py")
            if name.endswith(".py") and key not in without:
                path = Path(directory, name)
                files.append(Source(key, path, _size(path)))
    return Sources(files, unread)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # whoever reads it will say why it cannot be read
