"""The README's code runs, and prints what the README says."""

import re
from pathlib import Path

from tests.documented import blocks, printed_by

README = Path(__file__).parents[1] / "README.md"


def test_the_code_prints_what_stands_below_it() -> None:
    assert printed_by(README) == "".join(blocks(README, "text"))
    assert len(blocks(README, "python")) == 12


def test_the_files_it_links_to_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README.read_text("utf-8"))

    assert [link for link in links if not (README.parent / link).exists()] == []
    assert links


def test_the_commands_it_names_are_targets_of_the_makefile() -> None:
    makefile = (README.parent / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"(?m)^([a-z-]+):", makefile))
    named = set(re.findall(r"(?m)^make ([a-z-]+)", README.read_text("utf-8")))

    assert named == {"demo", "leakcheck", "test"}
    assert named <= targets
