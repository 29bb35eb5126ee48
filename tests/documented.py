"""The code of a page of the documents: what it is, and what it prints."""

import contextlib
import io
import re
from pathlib import Path


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of a language that a page has."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", page.read_text("utf-8"))


def printed_by(page: Path) -> str:
    """Run a page's Python, one block after the other; return what it prints."""
    printed = io.StringIO()
    names: dict[str, object] = {"__name__": "page"}
    with contextlib.redirect_stdout(printed):
        for block in blocks(page, "python"):
            exec(compile(block, str(page), "exec"), names)  # noqa: S102 - it is our own
    return printed.getvalue()
