"""The code of docs/cluster.md runs, and prints what stands below it."""

from pathlib import Path
from typing import Final

from tests.documented import blocks, printed_by

PAGE: Final = Path(__file__).parents[2] / "docs" / "cluster.md"


def test_the_code_prints_what_stands_below_it() -> None:
    assert printed_by(PAGE) == "".join(blocks(PAGE, "text"))
    assert len(blocks(PAGE, "python")) == 1
