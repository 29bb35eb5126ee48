"""The graphs of the modules: `python -m reports.graph docs/modules.svg` draws that of the docs.

Of the package: a box is a folder with its modules in it, a row of boxes a layer, an arrow says that
something in the one box imports something from the other. Of a folder: a box is a module.
Graphviz lays them out.
"""

import html
import itertools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import graphviz
import pygments
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from reports.imports import LAYERS, ROOT, Imports, imports, layer, modules, top
from reports.page import document

ALL: Final = len(LAYERS) - 1
"""The lowest layer is one box: what all of them need."""
_WIDTH: Final = {"pool": 6, "keyed": 5, "mailbox": 4}
"""Modules in a line of a box; 3 if it is not here."""
_FONT: Final = {"fontname": "Helvetica,Arial,sans-serif", "fontsize": "11"}
_COLOURS: Final = ("#e4eefb", "#eef5e6", "#fdf1e0", "#f3ebfa")


def box(module: str) -> str:
    """Return the box of a module: its folder, or itself; the lowest layer is one."""
    name = top(module)
    return "base" if layer(name) == ALL else name


def arrows(found: Imports) -> dict[tuple[str, str], int]:
    """Return between which boxes something is imported, and how often."""
    counts: dict[tuple[str, str], int] = {}
    for module, names in found.items():
        for name in names:
            pair = box(module), box(name)
            if pair[0] != pair[1]:
                counts[pair] = counts.get(pair, 0) + 1
    return counts


def _row_of(name: str) -> int:
    return ALL if name == "base" else layer(name)


def whole(found: Imports, link: Callable[[str], str]) -> graphviz.Digraph:
    """Return the graph of all boxes; `link` gives the address of a box or module."""
    drawn = graphviz.Digraph(
        "modules",
        graph_attr={"rankdir": "TB", "ranksep": "0.45", "nodesep": "0.25", **_FONT},
        node_attr={"shape": "plain", **_FONT},
        edge_attr={"color": "#7d7b7470", "arrowsize": "0.5"},
    )
    inside: dict[str, list[str]] = {}
    for module in found:
        inside.setdefault(box(module), []).append(module)
    rows = [[name for name in names if name in inside] for names in (*LAYERS[:-1], ("base",))]
    for number, row in enumerate(rows):
        with drawn.subgraph() as rank:
            rank.attr(rank="same")
            for name in row:
                rank.node(name, _table(name, inside[name], link, _COLOURS[number % 4]))
    for upper, lower in itertools.pairwise(filter(None, rows)):
        drawn.edge(upper[0], lower[0], style="invis")  # below, also where no arrow leads there
    for (source, target), count in sorted(arrows(found).items()):
        told = {"tooltip": f"{source} imports from {target}: {count}"}
        if _row_of(target) < _row_of(source):
            told |= {"color": "#c22f2f", "penwidth": "3", "label": "upward"}
        drawn.edge(source, target, **told)
    return drawn


def folder(name: str, found: Imports, link: Callable[[str], str]) -> graphviz.Digraph:
    """Return the graph of the modules of one box, and of what they import from each other."""
    drawn = graphviz.Digraph(
        name,
        graph_attr={"rankdir": "TB", **_FONT},
        node_attr={"shape": "box", "style": "filled", "fillcolor": _COLOURS[0], **_FONT},
        edge_attr={"color": "#7d7b74", "arrowsize": "0.6"},
    )
    own = {module for module in found if box(module) == name}
    for module in sorted(own):
        drawn.node(module, _short(module), href=link(module))
        for other in sorted(found[module] & own):
            drawn.edge(module, other)
    return drawn


def _short(module: str) -> str:
    return module.rpartition(".")[2]


def _table(name: str, inside: list[str], link: Callable[[str], str], colour: str) -> str:
    """Return a box as Graphviz's HTML: its name, and its modules in lines, each a link."""
    if inside == [f"threadpool_mb.{name}"]:
        rows, wide = [], 1
    else:
        wide = _WIDTH.get(name, 8 if name == "base" else 3)
        rows = [inside[start : start + wide] for start in range(0, len(inside), wide)]
        wide = min(wide, len(inside))
    head = (
        f'<TR><TD COLSPAN="{wide}" HREF="{html.escape(link(name))}" '
        f'TITLE="{name}"><B>{name}</B></TD></TR>'
    )
    return (
        f'<<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3" COLOR="#7d7b74" '
        f'BGCOLOR="{colour}">{head}{"".join(_row(row, link) for row in rows)}</TABLE>>'
    )


def _row(row: list[str], link: Callable[[str], str]) -> str:
    cells = (
        f'<TD ALIGN="LEFT" HREF="{html.escape(link(name))}" TITLE="{name}">{_short(name)}</TD>'
        for name in row
    )
    return f"<TR>{''.join(cells)}</TR>"


def pages(out: Path) -> None:
    """Write a page of all boxes, of each folder and of each module's text, as links lead there."""
    known = modules()
    found = imports(known)
    boxes = list(dict.fromkeys(map(box, known)))

    def link(name: str) -> str:
        lone = f"threadpool_mb.{name}"
        return f"{lone if lone in known else name}.html"

    drawn = {"index": whole(found, link)} | {
        name: folder(name, found, link) for name in boxes if f"threadpool_mb.{name}" not in known
    }
    for name, graph in drawn.items():
        title = "The modules" if name == "index" else f"The modules of {name}"
        svg = graph.pipe("svg", encoding="utf-8")
        others = "" if name == "index" else '<p><a href="index.html">All</a></p>'
        body = f'{others}<div class="wide">{svg[svg.index("<svg") :]}</div>'
        width = re.findall(r'<svg width="(\d+pt)"', svg)[0]
        style = f"body {{ max-width: 90rem }} .wide svg {{ min-width: min(48rem, {width}) }}"
        (out / f"{name}.html").write_text(document(title, body, style), "utf-8")
    looks = HtmlFormatter(linenos="inline", style="default")
    for module, path in known.items():
        code = pygments.highlight(path.read_text("utf-8"), PythonLexer(), looks)
        above = box(module) if box(module) in drawn else "index"
        text = "All" if above == "index" else above
        body = f'<p><a href="{above}.html">{text}</a></p><div class="code">{code}</div>'
        style = looks.get_style_defs()
        (out / f"{module}.html").write_text(document(module, body, style), "utf-8")


def main(words: list[str]) -> int:
    """Draw the graph of the docs, its links to the files in the checkout; or all, into a folder."""
    if words[0] == "--all":
        pages(Path(words[1]))
        return 0
    known = modules()
    paths = {module: f"../{path.relative_to(ROOT)}" for module, path in known.items()}
    for module, path in known.items():
        lone = module == f"threadpool_mb.{box(module)}"
        paths[box(module)] = f"../{(path if lone else path.parent).relative_to(ROOT)}"
    Path(words[0]).write_bytes(whole(imports(known), paths.__getitem__).pipe("svg"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
