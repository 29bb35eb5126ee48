"""`docs/originals.md` names the tests that show each numbered behaviour of the originals."""

import ast
import collections
import functools
import re
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parent
TABLES: Final = (TESTS.parent / "docs" / "originals.md").read_text("utf-8")

COUNTS: Final = {
    "BrokerTest": 24,
    "PoolTest": 10,
    "UnlimitedMessageBoxTest": 1,
    "LimitedMessageBoxTest": 31,
    "MessageBoxClassTest": 11,
    "CatchAllTest": 5,
    "CornerCaseTests": 12,
    "CommandTest": 31,
    "CallIdTest": 5,
}


@functools.cache
def _marked() -> dict[str, set[str]]:
    """Return the names of the tests that carry each behaviour's number."""
    marked = collections.defaultdict[str, set[str]](set)
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for call in node.decorator_list:
                    if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".behaviour"):
                        for number in call.args:
                            marked[ast.literal_eval(number)].add(node.name)
    return dict(marked)


def _listed() -> dict[str, set[str]]:
    """Return the names of the tests that the document lists for each behaviour."""
    listed = {}
    for suite, table in re.findall(r"(?ms)^### (\w+)\n(.*?)(?=^###|\Z)", TABLES):
        for number, tests in re.findall(r"(?m)^\| (\d+) \|.*\| (.*) \|$", table):
            listed[f"{suite} {number}"] = set(re.findall(r"`(test_\w+)`", tests))
    return listed


@pytest.mark.parametrize("suite", COUNTS)
def test_every_behaviour_of_a_suite_has_a_test(suite: str) -> None:
    marked = _marked()

    assert [n for n in range(1, COUNTS[suite] + 1) if not marked.get(f"{suite} {n}")] == []


def test_the_document_lists_the_tests_that_carry_the_numbers() -> None:
    assert _listed() == _marked()
