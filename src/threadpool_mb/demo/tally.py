"""What is counted: all `.py` files of a directory, each under its top-level package.

One file is parsed and walked, and its tally is added to that of its package.
"""

import ast
import dataclasses
import os
import stat
import sysconfig
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, final

__all__ = [
    "TEST_SUITE",
    "Function",
    "Source",
    "Sources",
    "Tally",
    "Unread",
    "find_sources",
    "read_source",
    "standard_library",
    "tally_file",
]

# The compound statements, and what holds their statements. `except` and `case` are part of their
# `try` and `match`: they hold statements and are no block of their own.
_PARTS: Final[Mapping[type[ast.AST], tuple[str, ...]]] = {
    ast.AsyncFor: ("body", "orelse"),
    ast.AsyncFunctionDef: ("body",),
    ast.AsyncWith: ("body",),
    ast.ClassDef: ("body",),
    ast.ExceptHandler: ("body",),
    ast.For: ("body", "orelse"),
    ast.FunctionDef: ("body",),
    ast.If: ("body", "orelse"),
    ast.Match: ("cases",),
    ast.Try: ("body", "handlers", "orelse", "finalbody"),
    ast.TryStar: ("body", "handlers", "orelse", "finalbody"),
    ast.While: ("body", "orelse"),
    ast.With: ("body",),
    ast.match_case: ("body",),
}


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Function:
    """A function and its size."""

    lines: int
    """Lines from `def` to the last one; decorators stand before `def`."""
    name: str
    """Its name, after those of the classes and functions it stands in."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Unread:
    """A file, or directory, that could not be read or parsed."""

    path: Path
    """Where it is."""
    reason: str
    """Why, in one line."""


@final
@dataclasses.dataclass(slots=True)
class Tally:
    """What was counted in a file, a package, or all of them.

    Threads: externally synchronized; in the demo only the worker of a package writes to its tally.
    """

    files: int = 0
    """Files that were parsed."""
    lines: int = 0
    """Lines of those files, empty ones included."""
    functions: int = 0
    """`def` and `async def`, methods and nested functions included."""
    classes: int = 0
    """`class`, nested ones included."""
    nesting: int = 0
    """Most blocks around one statement, itself included if it is one. A block is a function, class,
    `if`, loop, `with`, `try` or `match`; `elif`, `else`, `except` and `case` are parts of it."""
    longest: Function | None = None
    """The longest function; of equals, the one added first."""
    unread: list[Unread] = dataclasses.field(default_factory=list[Unread])
    """Files that could not be read or parsed; they count nowhere else."""

    def add(self, other: "Tally") -> None:
        """Add another tally to this one."""
        self.files += other.files
        self.lines += other.lines
        self.functions += other.functions
        self.classes += other.classes
        self.nesting = max(self.nesting, other.nesting)
        if other.longest is not None:
            self.add_function(other.longest)
        self.unread += other.unread

    def add_function(self, function: Function) -> None:
        """Keep the function if it is the longest so far."""
        if self.longest is None or function.lines > self.longest.lines:
            self.longest = function

    @property
    def seen(self) -> int:
        """Files that were parsed, and those that could not be."""
        return self.files + len(self.unread)


def tally_file(path: Path) -> Tally:
    """Read, parse and tally one file; one that cannot be is in the result's `unread`.

    Blocks: as long as reading the file does.
    """
    try:
        source = read_source(path)
        tree = ast.parse(source)  # takes the encoding from the bytes
    except SyntaxError as error:
        reason = f"{error.msg} (line {error.lineno})" if error.lineno else error.msg
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, RecursionError, MemoryError) as error:
        reason = f"{type(error).__name__}: {error}"  # nested too deeply, mostly
    else:
        tally = Tally(files=1, lines=len(source.splitlines()))
        _walk(tree, tally)
        return tally
    return Tally(unread=[Unread(path, " ".join(reason.split()))])


def read_source(path: Path) -> bytes:
    """Return what is in a file; a pipe or device of that name is refused, as it might never end.

    Raises:
        OSError: if it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("not a regular file")
    return path.read_bytes()


def _walk(tree: ast.Module, tally: Tally) -> None:
    """Count what stands in a module; without recursion, so no source is too deep for it."""
    # Suites to look into, each with the blocks around it, their names as a prefix, and the column
    # of the `if` whose `else` it is: an `if` in that very column is an `elif`.
    pending: list[tuple[list[ast.AST], int, str, int]] = [(list(tree.body), 0, "", -1)]
    while pending:
        nodes, depth, scope, else_column = pending.pop()
        for node in nodes:
            parts = _PARTS.get(type(node))
            if parts is None:
                continue
            inner, name, if_column = depth + 1, scope, -1
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                tally.functions += 1
                name = f"{scope}{node.name}."
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                tally.add_function(Function(lines, name[:-1]))
            elif isinstance(node, ast.ClassDef):
                tally.classes += 1
                name = f"{scope}{node.name}."
            elif isinstance(node, ast.If):
                if_column = node.col_offset
                if if_column == else_column:
                    inner = depth
            elif isinstance(node, (ast.ExceptHandler, ast.match_case)):
                inner = depth
            tally.nesting = max(tally.nesting, inner)
            for part in parts:
                column = if_column if part == "orelse" else -1
                pending.append((getattr(node, part), inner, name, column))


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
        return 0  # reading it will say why it cannot be read
