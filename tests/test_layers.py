"""Imports point down: no module imports from a layer above its own."""

import ast
from pathlib import Path
from typing import Final

import pytest

import threadpool_mb
from reports.imports import LAYERS, imported, imports, layer, modules, top

MODULES: Final = modules(Path(threadpool_mb.__file__).parent)
IMPORTS: Final = imports(MODULES)


def test_each_folder_and_module_of_the_package_stands_in_one_layer() -> None:
    assert sorted(name for names in LAYERS for name in names) == sorted(set(map(top, MODULES)))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_from_its_own_layer_or_below(module: str) -> None:
    upward = [name for name in IMPORTS[module] if layer(top(name)) < layer(top(module))]

    assert upward == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_no_import_inside_a_function(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]

    assert [name for function in functions for name in imported(function)] == []


def test_pool_and_broker_do_not_know_each_other() -> None:
    assert [
        (module, name)
        for module, names in IMPORTS.items()
        for name in names
        if {top(module), top(name)} == {"pool", "broker"}
    ] == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_at_most_400_lines(module: str) -> None:
    lines = MODULES[module].read_text(encoding="utf-8").count("\n")

    assert lines <= 400
