"""What users import: `threadpool_mb.__all__`, complete, sorted and documented."""

import ast
import importlib.metadata
import inspect
import operator
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import threadpool_mb as mb

NAMES = list(mb.__all__)


def test_what_is_exported_is_what_is_imported_there() -> None:
    tree = ast.parse(Path(mb.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert imported == set(NAMES)


def test_asyncio_and_logging_are_not_imported_until_a_name_is_used_that_needs_it() -> None:
    code = """
import sys
import threadpool_mb
print(bool({"asyncio", "concurrent.futures", "logging"} & sys.modules.keys()))
threadpool_mb.aio.call
print("asyncio" in sys.modules, "call" in dir(threadpool_mb.aio))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours

    assert done.stdout.split() == ["False", "True", "True"]


def test_a_door_is_imported_when_it_is_first_used() -> None:
    code = """
import sys
import threadpool_mb
def doors(): return sorted(
    name for name in ("broker", "keyed", "originals") if f"threadpool_mb.{name}" in sys.modules
)
print(doors())
threadpool_mb.KeyedExecutor
print(doors())
from threadpool_mb import *
print(doors(), Broker is threadpool_mb.Broker, "Broker" in vars(threadpool_mb))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours

    assert done.stdout.splitlines() == [
        "[]",
        "['keyed']",
        "['broker', 'keyed', 'originals'] True True",
    ]


def test_a_name_that_is_not_exported_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = mb.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize(("before", "now"), mb._RENAMED.items())
def test_a_name_that_was_changed_is_no_attribute_and_the_error_has_the_new_one(
    before: str, now: str
) -> None:
    with pytest.raises(AttributeError, match=f"no attribute '{before}'; it is '{now}' now$"):
        getattr(mb, before)

    assert operator.attrgetter(now)(mb)


def test_the_exported_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_exported_name_exists_and_its_type_is_documented(name: str) -> None:
    exported = getattr(mb, name)

    described = exported if callable(exported) or isinstance(exported, type) else type(exported)
    assert inspect.getdoc(getattr(described, "__origin__", described))


@pytest.mark.parametrize("name", [name for name in NAMES if inspect.isclass(getattr(mb, name))])
def test_the_public_methods_of_an_exported_class_are_documented(name: str) -> None:
    undocumented = [
        attribute
        for attribute, value in vars(getattr(mb, name)).items()
        if not attribute.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, property))
        and not inspect.getdoc(value)
    ]

    assert undocumented == []


@pytest.mark.parametrize(
    "name", [name for name in NAMES if inspect.isfunction(getattr(mb, name))] + ["Pool", "Broker"]
)
def test_annotations_can_be_read_at_run_time(name: str) -> None:
    exported = getattr(mb, name)

    hints = typing.get_type_hints(exported.__init__ if inspect.isclass(exported) else exported)

    assert "return" in hints


def test_the_package_has_no_run_time_dependency() -> None:
    needed = importlib.metadata.requires("threadpool_mb") or []
    assert [each for each in needed if "extra ==" not in each] == []


def test_the_version_is_that_of_the_package() -> None:
    version: str = mb.__version__

    assert version == importlib.metadata.version("threadpool_mb")


def test_the_package_says_that_it_is_typed() -> None:
    assert Path(mb.__file__).with_name("py.typed").exists()
