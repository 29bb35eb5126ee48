"""Imports point down: no module imports from a layer above its own."""

import ast
from pathlib import Path
from typing import Final

import pytest

import threadpool_mb

PACKAGE: Final = Path(threadpool_mb.__file__).parent

LAYERS: Final = [
    {"__init__", "__main__", "dashboard", "demo", "originals", "pytest_plugin"},
    {"testing"},
    {"cluster"},
    {"pool", "broker"},
    {"keyed"},
    {"aio", "observers"},
    {"calls"},
    {"mailbox"},
    {"line"},
    {"threads"},
    {
        "arguments",
        "dead_letters",
        "envelopes",
        "errors",
        "events",
        "forking",
        "guarding",
        "interrupts",
        "logs",
        "messages",
        "numbers",
        "observer",
        "observing",
        "protocols",
        "rates",
        "values",
    },
]


def _layer(module: str) -> int:
    """Return the number of a module's layer, 0 at the top."""
    first = module.removeprefix("threadpool_mb").lstrip(".").split(".")[0] or "__init__"
    return next(number for number, names in enumerate(LAYERS) if first in names)


def _modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def _imported(tree: ast.AST) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names.append(node.module or "")
        elif isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
    return [name for name in names if name.split(".")[0] == "threadpool_mb"]


@pytest.mark.parametrize("module", _modules())
def test_a_module_imports_from_its_own_layer_or_below(module: str) -> None:
    tree = ast.parse(_modules()[module].read_text(encoding="utf-8"))

    upward = [name for name in _imported(tree) if _layer(name) < _layer(module)]

    assert upward == []


@pytest.mark.parametrize("module", _modules())
def test_a_module_has_no_import_inside_a_function(module: str) -> None:
    tree = ast.parse(_modules()[module].read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]

    assert [name for function in functions for name in _imported(function)] == []


def test_pool_and_broker_do_not_know_each_other() -> None:
    trees = {
        module: ast.parse(path.read_text(encoding="utf-8")) for module, path in _modules().items()
    }

    assert [
        module
        for module, tree in trees.items()
        for name in _imported(tree)
        if {
            module.split(".")[1:2][0] if "." in module else "",
            name.split(".")[1:2][0] if "." in name else "",
        }
        == {"pool", "broker"}
    ] == []


@pytest.mark.parametrize("module", _modules())
def test_a_module_has_at_most_400_lines(module: str) -> None:
    lines = _modules()[module].read_text(encoding="utf-8").count("\n")

    assert lines <= 400
