"""`docs/examples.md` shows what the examples are, and what they print."""

import re
from pathlib import Path
from typing import Final

import pytest

from tests.examples.running import what_is_printed

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "examples.md").read_text("utf-8")
SECTIONS: Final = dict(re.findall(r"(?ms)^## (\w+)\.py\n(.*?)(?=^## |\Z)", PAGE))
FILES: Final = {path.stem: path for path in sorted((ROOT / "examples").glob("*.py"))}
OF_BROKERS: Final = ("kafka_consumer", "redis_stream")
"""What needs a client of a broker is run where there is one: tests/brokers/test_documented.py."""


def _blocks(section: str, language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", section)


def test_each_example_has_a_section() -> None:
    assert sorted(SECTIONS) == list(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_section_begins_with_a_link_to_its_file(name: str) -> None:
    link = f"\nThe file: [{name}.py](../examples/{name}.py).\n\n"

    assert SECTIONS[name].startswith(link)


@pytest.mark.parametrize("name", FILES)
def test_the_code_that_is_shown_stands_in_the_file(name: str) -> None:
    source = FILES[name].read_text("utf-8")
    blocks = _blocks(SECTIONS[name], "python")

    assert [block for block in blocks if block not in source] == []
    assert 10 <= sum(block.count("\n") for block in blocks) <= 30


@pytest.mark.parametrize("name", [name for name in FILES if name not in OF_BROKERS])
def test_an_example_that_is_run_prints_what_is_shown_and_warns_of_nothing(name: str) -> None:
    assert what_is_printed(FILES[name]) == ("".join(_blocks(SECTIONS[name], "text")), "", 0)


def test_the_examples_that_are_run_elsewhere_are_there() -> None:
    assert set(OF_BROKERS) <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_an_example_is_short(name: str) -> None:
    assert FILES[name].read_text("utf-8").count("\n") <= 250
