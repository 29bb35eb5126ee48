"""What docs/reliability.md names is there, and its tables are those of the runs that are kept."""

import ast
import functools
import re
from pathlib import Path
from typing import Final

import pytest

from reliability import page
from reliability.results import load

TESTS: Final = Path(__file__).parents[1]
ROOT: Final = TESTS.parent
TEXT: Final = page.PAGE.read_text("utf-8")
README: Final = (ROOT / "README.md").read_text("utf-8")


@functools.cache
def _tests() -> dict[str, bool]:
    """Return the name of each test, and whether it is marked `racing`."""
    found = dict[str, bool]()
    for path in TESTS.rglob("test_*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        all_race = any(
            isinstance(node, ast.Assign) and ast.unparse(node) == "pytestmark = pytest.mark.racing"
            for node in tree.body
        )
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                marks = {ast.unparse(each) for each in node.decorator_list}
                racing = all_race or "pytest.mark.racing" in marks
                found[node.name] = found.get(node.name, False) or racing
    return found


def _rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, but for its head."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:1] == "|"]
    return rows[2:]


def _named(cell: str) -> list[str]:
    return re.findall(r"`(test_\w+)`", cell)


GUARANTEES: Final = {row[1]: row for row in _rows("What is promised, and how it is proved")}
FAULTS: Final = {row[0]: row for row in _rows("Which faults were found, and how")}


def test_each_guarantee_of_the_readme_has_a_row_and_an_id() -> None:
    section = README.split("\n## Guarantees\n")[1].split("\n## ")[0]

    promised = re.findall(r"(?m)^- \*\*(\w+)\*\*", section)

    assert list(GUARANTEES) == promised
    assert [row[0] for row in GUARANTEES.values()] == [
        f"G{number}" for number in range(1, len(promised) + 1)
    ]
    assert len(promised) >= 9


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_the_tests_models_and_hammers_that_prove_a_guarantee_are_there(guarantee: str) -> None:
    _, _, staged, models, hammers = GUARANTEES[guarantee]

    assert [name for name in _named(staged) if name not in _tests()] == []
    assert [name for name in _named(models) if not (TESTS / "model" / f"{name}.py").is_file()] == []
    assert [name for name in _named(hammers) if not _tests().get(name)] == []
    assert _named(staged)
    for cell in (models, hammers):
        assert _named(cell) or cell.startswith("none")


@pytest.mark.parametrize("fault", FAULTS)
def test_what_keeps_a_fault_from_coming_back_is_there(fault: str) -> None:
    _, found_by, commits, kept_by = FAULTS[fault]

    files = re.findall(r"`([\w/]+\.py)`", kept_by)
    assert [name for name in _named(kept_by) if name not in _tests()] == []
    assert [name for name in files if not (ROOT / name).is_file()] == []
    assert _named(kept_by) + files
    assert found_by
    assert re.fullmatch(r"`[0-9a-f]{7}`(, `[0-9a-f]{7}`)*", commits)


def test_the_tables_are_those_of_the_runs_that_are_kept() -> None:
    builds = load()

    assert page.rendered(TEXT, builds) == TEXT
    assert builds


def test_the_commands_that_the_page_names_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")

    named = set(re.findall(r"make (\w+)(?: \w+=|`)", TEXT))

    assert named == {"reliability"}
    assert re.search(r"(?m)^reliability:", makefile)
