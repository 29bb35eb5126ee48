"""The graph of the modules is that of the imports, in the layers of docs/architecture.md."""

import html
import re
from pathlib import Path
from typing import Final

import graphviz
import pytest

from reports.graph import arrows, box, folder, pages, whole
from reports.imports import ROOT, imports, layers, modules

DRAWN: Final = (ROOT / "docs" / "modules.svg").read_text("utf-8")
TITLES: Final = {html.unescape(title) for title in re.findall(r"<title>(.*?)</title>", DRAWN)}
"""Graphviz gives each box its name, and each arrow `one->other`."""


def _module(folder: Path, name: str, text: str = "") -> None:
    path = folder / "threadpool_mb" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def test_the_layers_are_the_rows_of_the_table_from_above() -> None:
    text = (
        "x\n## Layers\n\nProse with a | in it.\n\n| layer | what |\n|---|---|\n"
        "| `a`, `b_c` | two |\n| `d` | `e` |\n\n"
        "| module | concept |\n|---|---|\n| `f` | no layer |\n"
    )

    assert layers(text) == [("a", "b_c"), ("d",)]


def test_each_way_to_import_is_seen(tmp_path: Path) -> None:
    _module(tmp_path, "__init__")
    _module(tmp_path, "line/__init__")
    _module(tmp_path, "line/lane")
    _module(tmp_path, "line/slots")
    _module(tmp_path, "values")
    _module(tmp_path, "errors", "import threadpool_mb.line.lane")
    _module(
        tmp_path,
        "calls",
        "import os\nfrom threadpool_mb import values\nfrom threadpool_mb.line.slots import Slots\n"
        "from threadpool_mb.line import MARKER\ndef f():\n    import threadpool_mb",
    )

    found = imports(modules(tmp_path / "threadpool_mb"))

    assert found["threadpool_mb.errors"] == {"threadpool_mb.line.lane"}
    assert found["threadpool_mb.calls"] == {
        "threadpool_mb.__init__",
        "threadpool_mb.values",
        "threadpool_mb.line.slots",
        "threadpool_mb.line.__init__",
    }


def test_the_graph_in_the_docs_has_the_boxes_and_arrows_of_the_imports() -> None:
    found = imports(modules())

    expected = {*map(box, found), *(f"{one}->{other}" for one, other in arrows(found))}

    assert TITLES - {"modules"} == expected, "python -m reports.graph docs/modules.svg"


def test_each_module_in_the_docs_graph_is_a_link_to_its_file() -> None:
    links = set(re.findall(r'xlink:href="\.\./(.*?\.py)"', DRAWN))

    assert links == {path.relative_to(ROOT).as_posix() for path in modules().values()}


def test_an_import_that_points_up_is_shown() -> None:
    found = imports(modules())
    planted = found | {
        "threadpool_mb.line.lane": found["threadpool_mb.line.lane"] | {"threadpool_mb.pool.pool"}
    }

    assert "upward" not in whole(found, str).source
    lines = [line for line in whole(planted, str).source.splitlines() if "upward" in line]
    assert [line.split()[:3] for line in lines] == [["line", "->", "pool"]]


def test_the_graph_of_a_folder_has_its_modules_and_what_they_import_from_each_other() -> None:
    found = imports(modules())

    source = folder("aio", found, str).source

    drawn = re.findall(r'"threadpool_mb.aio.(\w+)"', source)
    assert set(drawn) == {path.stem for name, path in modules().items() if box(name) == "aio"}
    assert re.findall(r'\.waking" -> "threadpool_mb\.(.*)"', source) == ["aio.loops"]
    assert "threadpool_mb.calls" not in source


def test_each_link_of_the_pages_leads_to_one_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphviz.Digraph, "pipe", lambda *_, **__: '<svg width="1pt"></svg>')
    monkeypatch.setattr("reports.graph.pygments.highlight", lambda *_: "")

    pages(tmp_path)

    links = {
        link
        for page in tmp_path.iterdir()
        for link in re.findall(r'<p><a href="(.*?)">', page.read_text("utf-8"))
    }
    made = {page.name for page in tmp_path.iterdir()}
    assert links <= made
    assert {f"{module}.html" for module in modules()} <= made
