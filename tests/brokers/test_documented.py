"""The two consumers print what docs/examples.md shows, as tests/examples asks of the others."""

import pytest

from tests.examples.running import what_is_printed
from tests.examples.test_documented import FILES, OF_BROKERS, PAGE


@pytest.mark.parametrize("name", OF_BROKERS)
def test_an_example_that_is_run_prints_what_is_shown_and_warns_of_nothing(name: str) -> None:
    printed, errors, status = what_is_printed(FILES[name])

    assert (errors, status) == ("", 0)
    assert f"```text\n{printed}```\n" in PAGE.split(f"\n## {name}.py\n")[1].split("\n## ")[0]
