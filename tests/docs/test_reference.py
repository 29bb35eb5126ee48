"""The reference describes each public name, once; the table of names is made of the pages."""

import importlib
import re
from pathlib import Path
from typing import Final

import pytest

import threadpool_mb as mb
from docs import public_names

ROOT: Final = Path(__file__).parents[2]
MODULES: Final = ["aio", "dashboard", "originals", "pytest_plugin", "testing"]
NAMES: Final = {each.name: each for each in public_names.names(ROOT)}


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_describes_each_public_name_once(name: str) -> None:
    assert len(NAMES[name].references) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_each_public_name_in_a_program(name: str) -> None:
    assert NAMES[name].shown, "no block of Python in README.md or docs/ uses it"


@pytest.mark.parametrize("name", NAMES)
def test_a_page_beside_the_reference_speaks_of_each_public_name(name: str) -> None:
    assert NAMES[name].pages, "it stands in the reference alone"


def test_the_names_that_are_read_from_the_texts_are_those_that_are_exported() -> None:
    exported = [f"threadpool_mb.{name}" for name in mb.__all__]
    for module in MODULES:
        names = importlib.import_module(f"threadpool_mb.{module}").__all__
        exported += [f"threadpool_mb.{module}.{name}" for name in names]

    known = {*NAMES, "threadpool_mb.originals.CallId"}  # the same as `threadpool_mb.CallId`
    assert [name for name in exported if name not in known] == []


def test_what_the_reference_describes_beside_the_public_names_is_there() -> None:
    others = [path for path in public_names.references(ROOT) if path not in NAMES]

    for path in others:
        module, _, name = path.rpartition(".")
        assert hasattr(importlib.import_module(module), name), path
    assert "threadpool_mb.__version__" in others


def test_the_place_of_the_table_is_in_the_page_of_names() -> None:
    page = (ROOT / "docs" / "names.md").read_text("utf-8")

    assert page.count(public_names.PLACE) == 1


def test_the_table_has_a_row_for_each_name_and_its_links_lead_to_pages() -> None:
    table = public_names.table(ROOT)

    assert len(table.splitlines()) == len(NAMES) + 2
    links = set(re.findall(r"\]\(([^)]+)\)", table))
    assert [link for link in links if not (ROOT / "docs" / link).is_file()] == []


def test_a_name_is_shown_by_code_that_uses_it_and_spoken_of_by_any_code(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    (docs / "reference").mkdir(parents=True)
    (tmp_path / "README.md").write_text(
        "`Sliding(1)`, and Waiting\n\n"
        "```python\nimport threadpool_mb as mb\n\npool = mb.Pool\n```\n\n"
        "```python\nmb.aio.call(pool)\n```\n",
        "utf-8",
    )
    (docs / "a.md").write_text(
        "```python\nfrom threadpool_mb.testing import SeededPool as P\n\nP(print)\n```\n", "utf-8"
    )
    (docs / "reference" / "b.md").write_text(
        "```{eval-rst}\n.. autoclass:: threadpool_mb.Pool\n```"
    )

    names = {
        each.name.removeprefix("threadpool_mb."): each for each in public_names.names(tmp_path)
    }

    assert names["Pool"].references == ("docs/reference/b.md",)
    assert names["Pool"].shown == ("README.md",)
    assert (names["Sliding"].pages, names["Sliding"].shown) == (("README.md",), ())
    assert (names["Waiting"].pages, names["Waiting"].shown) == ((), ())
    assert (names["aio.call"].shown, names["call"].shown) == (("README.md",), ())
    assert names["testing.SeededPool"].shown == ("docs/a.md",)
