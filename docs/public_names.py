"""The public names: where the reference has each, which pages speak of it, and where it is shown.

Read from texts alone: `docs/conf.py` makes the table of docs/names.md of it, and
tests/docs/test_reference.py fails where a name is missing.
"""

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["PLACE", "Name", "names", "public", "references", "table"]

PLACE: Final = "<!-- the table -->"
"""What stands in docs/names.md where the site has the table."""

_PACKAGE: Final = Path(__file__).parents[1] / "src" / "threadpool_mb"
_SUBMODULES: Final = (
    "aio",
    "cluster",
    "dashboard",
    "observers.opentelemetry",
    "observers.prometheus",
    "observers.structlog",
    "originals",
    "pytest_plugin",
    "testing",
)
_DIRECTIVE: Final = re.compile(
    r"(?m)^\.\. (?:auto(?:class|data|exception|function|module|type)|py:function):: ([\w.]+)"
)
_BLOCK: Final = re.compile(r"(?ms)^```python\n(.*?)^```$")
_CODE: Final = re.compile(r"(?ms)^```python\n.*?^```$|`[^`\n]+`")


@dataclass(frozen=True, slots=True)
class Name:
    """A public name, and the pages that have it; paths from the root of the checkout."""

    name: str
    """With its module: `threadpool_mb.aio.call`."""
    references: tuple[str, ...]
    """The pages of the reference that describe it: one."""
    pages: tuple[str, ...]
    """The other pages that speak of it."""
    shown: tuple[str, ...]
    """The pages whose Python uses it."""


@functools.cache
def public() -> tuple[str, ...]:
    """Return all public names, each once, and the modules that have them."""
    found = {f"threadpool_mb.{name}": None for name in _exported(_PACKAGE / "__init__.py")}
    taken = {name.rpartition(".")[2] for name in found}
    for module in _SUBMODULES:
        path = _PACKAGE / module.replace(".", "/")
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        # What `originals` has of the package itself is described there.
        own = [name for name in _exported(file) if module != "originals" or name not in taken]
        found |= {f"threadpool_mb.{module}{'.' if name else ''}{name}": None for name in ["", *own]}
    return tuple(found)


def _exported(file: Path) -> list[str]:
    """Return the `__all__` of a module."""
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    raise ValueError(f"{file} has no __all__")


def references(root: Path) -> dict[str, list[str]]:
    """Return what the pages of the reference describe, and which do."""
    found: dict[str, list[str]] = {}
    for page in sorted((root / "docs" / "reference").glob("*.md")):
        for name in _DIRECTIVE.findall(page.read_text("utf-8")):
            found.setdefault(name, []).append(page.relative_to(root).as_posix())
    return found


def names(root: Path) -> list[Name]:
    """Return all public names with the pages of a checkout that have them."""
    described = references(root)
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    spoken: dict[str, list[str]] = {}
    shown: dict[str, list[str]] = {}
    for page in pages:
        text = page.read_text("utf-8")
        path = page.relative_to(root).as_posix()
        for name in _spoken_of(text):
            spoken.setdefault(name, []).append(path)
        for name in _used(_BLOCK.findall(text)):
            shown.setdefault(name, []).append(path)
    return [
        Name(
            name,
            tuple(described.get(name, ())),
            tuple(
                page
                for page in spoken.get(name, ())
                if not page.startswith(("docs/reference/", "docs/names.md"))
            ),
            tuple(shown.get(name, ())),
        )
        for name in public()
    ]


def _spoken_of(text: str) -> set[str]:
    """Return the names that a page has in its code, inline or in blocks."""
    code = "\n".join(_CODE.findall(text))
    used = _used(_BLOCK.findall(text))
    return used | {name for name in public() if _pattern(name).search(code)}


@functools.cache
def _pattern(name: str) -> re.Pattern[str]:
    """Return what finds a name in a page: `Pool`, `mb.Pool`; but `aio.call` with its module."""
    parts = name.split(".")[1:]
    written = r"\.".join(parts[-2:] if parts[0] in {"aio", "dashboard"} else parts[-1:])
    return re.compile(rf"(?<![\w.])(?:mb\.|threadpool_mb\.)?{written}(?!\w)")


def _used(blocks: list[str]) -> set[str]:
    """Return the public names that the blocks of a page use, which are one program."""
    known: dict[str, str] = {}
    used: set[str] = set()
    for block in blocks:
        try:
            tree = ast.parse(block)
        except SyntaxError:  # an excerpt
            continue
        known |= dict(_imported(tree))
        for path in known.values():
            used |= {path, path.rpartition(".")[0]}
        for node in ast.walk(tree):
            path = _path(node, known) or ""
            while path:  # a module is used with what it has
                used.add(path)
                path = path.rpartition(".")[0]
    return used & set(public())


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the names that a block gives to what it imports of the package, and its paths."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "threadpool_mb":
                    yield (
                        alias.asname or "threadpool_mb",
                        alias.name if alias.asname else "threadpool_mb",
                    )
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("threadpool_mb"):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _path(node: ast.AST, known: dict[str, str]) -> str | None:
    """Return the path of a name, or of an attribute of one."""
    match node:
        case ast.Name(id=name):
            return known.get(name)
        case ast.Attribute(value=value, attr=attr):
            owner = _path(value, known)
            return None if owner is None else f"{owner}.{attr}"
        case _:
            return None


def table(root: Path) -> str:
    """Return the table of names as Markdown, with links for a page in `docs`."""
    rows = ["| name | described in | shown in | also in |", "|---|---|---|---|"]
    for each in names(root):
        name = each.name.removeprefix("threadpool_mb.")
        others = tuple(page for page in each.pages if page not in each.shown)
        cells = [_links(pages) for pages in (each.references, each.shown, others)]
        rows.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def _links(pages: tuple[str, ...]) -> str:
    """Return links to pages."""
    paths = [(page, page.removeprefix("docs/")) for page in pages]
    return ", ".join(
        f"[{path.removesuffix('.md')}]({path if path != page else f'../{page}'})"
        for page, path in paths
    )
