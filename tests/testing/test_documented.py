"""docs/testing.md: its code runs, prints what the page says, and its tests pass."""

from pathlib import Path
from typing import Final

import pytest

import threadpool_mb
from tests.documented import blocks, printed_by

pytest_plugins = ["pytester"]

PAGE: Final = Path(__file__).parents[2] / "docs" / "testing.md"


def test_the_code_prints_what_stands_below_it() -> None:
    assert printed_by(PAGE) == "".join(blocks(PAGE, "text"))
    assert len(blocks(PAGE, "text")) == 3


def test_its_tests_pass(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(threadpool_mb.__file__).parents[1]))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("\n".join(blocks(PAGE, "python")))

    result = pytester.runpytest_subprocess("-p", "threadpool_mb.pytest_plugin", timeout=20)

    result.assert_outcomes(passed=2)
