"""Which module imports which, and which layer each stands in.

The layers are those of the table in docs/architecture.md, and nowhere else.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = ROOT / "src" / "threadpool_mb"
ARCHITECTURE: Final = ROOT / "docs" / "architecture.md"

type Imports = Mapping[str, frozenset[str]]
"""By module: the modules it imports from."""


def layers(text: str) -> list[tuple[str, ...]]:
    """Return the layers that a text's section "Layers" has a table of, the uppermost first."""
    section = text.split("\n## Layers\n")[1]
    rows = re.findall(r"(?m)^\|(.*?)\|.*\|$", section[: section.index("\n\n| module |")])
    return [tuple(re.findall(r"`(\w+)`", row)) for row in rows[2:]]


LAYERS: Final = layers(ARCHITECTURE.read_text("utf-8"))


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Return a package's modules by their dotted names; a folder's is called `….__init__`."""
    return {
        ".".join(path.relative_to(package.parent).with_suffix("").parts): path
        for path in sorted(package.rglob("*.py"))
    }


def imported(tree: ast.AST, package: str = "threadpool_mb") -> Iterator[str]:
    """Yield what is imported from a package: `a.b.c` for `from a.b import c`.

    Wherever it stands: at the top, under `TYPE_CHECKING`, inside a function.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == package)


def imports(known: Mapping[str, Path]) -> Imports:
    """Return which modules import from which."""
    return {
        module: frozenset(
            _module(name, known) for name in imported(ast.parse(path.read_text("utf-8")))
        )
        - {module}
        for module, path in known.items()
    }


def _module(name: str, known: Mapping[str, Path]) -> str:
    """Return the module that a dotted name is, or that it is something of."""
    for module in (name, f"{name}.__init__"):
        if module in known:
            return module
    return _module(name.rpartition(".")[0], known)


def top(module: str) -> str:
    """Return the folder in the package, or the module in it, that a module belongs to."""
    return module.split(".")[1]


def layer(name: str) -> int:
    """Return the number of the layer of a folder or module of the package, 0 at the top.

    Raises:
        ValueError: if it stands in none.
    """
    for number, names in enumerate(LAYERS):
        if name in names:
            return number
    raise ValueError(f"{name} stands in no layer of {ARCHITECTURE.name}")
