"""The README's code runs, and prints what the README says."""

import contextlib
import io
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", README.read_text("utf-8"))


def test_the_code_prints_what_stands_below_it() -> None:
    printed = io.StringIO()
    names: dict[str, object] = {"__name__": "readme"}

    with contextlib.redirect_stdout(printed):
        for block in _blocks("python"):
            exec(compile(block, str(README), "exec"), names)  # noqa: S102 - it is our own

    assert printed.getvalue() == "".join(_blocks("text"))
    assert len(_blocks("python")) == 10


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
