"""The code of a page of the documents: what it is, and what it prints."""

import contextlib
import decimal
import io
import re
from collections.abc import Iterator
from pathlib import Path


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of a language that a page has."""
    return [block for _, found, block in fenced(page) if found == language]


def fenced(page: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the language and the text of each block of a page."""
    text = page.read_text("utf-8")
    for found in re.finditer(r"(?ms)^```([^\s`]*)\n(.*?)^```$", text):
        yield text.count("\n", 0, found.start()) + 1, found[1], found[2]


def printed_by(page: Path) -> str:
    """Run a page's Python, one block after the other; return what it prints."""
    return "".join(printed for _, _, printed in shown_and_printed(page))


def shown_and_printed(page: Path) -> Iterator[tuple[int, str, str]]:
    """Run a page's Python, one block after the other; yield what it shows, and what it prints.

    For each block of text: its line, the text, and what was printed since the one before it. What
    is printed after the last one has the text `""`.
    """
    printed = io.StringIO()
    names: dict[str, object] = {"__name__": "page"}
    line = 0
    for line, language, block in fenced(page):
        if language == "python":
            code = compile("\n" * line + block, str(page), "exec", dont_inherit=True)
            # The decimal context that a block changes is that of this thread.
            with contextlib.redirect_stdout(printed), decimal.localcontext():
                exec(code, names)  # noqa: S102 - it is our own
        elif language == "text":
            yield line, block, printed.getvalue()
            printed.seek(0)
            printed.truncate()
    if printed.getvalue():
        yield line, "", printed.getvalue()
