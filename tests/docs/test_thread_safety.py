"""The table of docs/thread_safety.md has every public class, and the methods of the three doors."""

import inspect
import re
from pathlib import Path
from typing import Final

import pytest

import threadpool_mb as mb

PAGE: Final = Path(__file__).parents[2] / "docs" / "thread_safety.md"
TABLE: Final = PAGE.read_text("utf-8").split("\n## What is safe\n")[1].split("\n## ")[0]

UNSHARED: Final = {"DeadLetterReason"}
"""An enum: its members are constants."""


def _named(name: str) -> bool:
    return re.search(rf"\b{name}\b", TABLE) is not None


def test_each_public_class_but_errors_has_a_row() -> None:
    kinds = {name: getattr(mb, name) for name in mb.__all__}
    classes = {
        name
        for name, kind in kinds.items()
        if inspect.isclass(kind) and not issubclass(kind, BaseException)
    }

    assert {name for name in classes - UNSHARED if not _named(name)} == set()
    assert classes >= UNSHARED


def test_each_public_function_has_a_row() -> None:
    functions = [name for name in mb.__all__ if inspect.isroutine(getattr(mb, name))]

    assert [name for name in functions if not _named(name)] == []
    assert "call" in functions


@pytest.mark.parametrize("kind", [mb.Pool, mb.KeyedExecutor, mb.Broker, mb.Mailbox, mb.Input])
def test_each_method_of_a_door_has_a_row(kind: type) -> None:
    methods = {
        name
        for base in kind.__mro__
        if base.__module__.startswith("threadpool_mb.")
        for name, method in vars(base).items()
        if not name.startswith("_") and inspect.isfunction(method)
    }

    assert {name for name in methods if not _named(name)} == set()
    assert methods
