"""The code of each page of docs/ runs, as one program a page, and prints what the page shows.

A page is picked up by being there. Pages that are run by another test are named in `ELSEWHERE`.
"""

import logging
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.documented import blocks, shown_and_printed

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"

ELSEWHERE: Final = {
    "cluster.md": "tests/cluster/test_documented.py",  # needs Dask
    "examples.md": "tests/examples/test_documented.py",  # excerpts of files that are run
    "observing.md": "tests/observers/test_documented.py",  # needs OpenTelemetry and others
    "testing.md": "tests/testing/test_documented.py",  # its tests are run by pytest
}

PYTHON: Final = re.compile(r"(?im)^[ \t>*-]*(?:`{3,}|~{3,})[ \t]*[{.:]*(?:code-block.*)?py")
"""A fence of Python, as it may be written by somebody who does not know `tests/documented.py`."""


def _pages() -> dict[str, Path]:
    """Return the pages by name; what a build has left in `docs/_build` is none of ours."""
    pages = {page.relative_to(DOCS).as_posix(): page for page in sorted(DOCS.rglob("*.md"))}
    return {name: page for name, page in pages.items() if not name.startswith(("_", "."))}


PAGES: Final = _pages()
RUN_HERE: Final = [
    name for name, page in PAGES.items() if name not in ELSEWHERE and blocks(page, "python")
]


@pytest.fixture(autouse=True)
def _signals_are_handled_as_before() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    yield

    for number, handler in handlers.items():
        signal.signal(number, handler)


def _differences(page: Path) -> list[str]:
    """Run a page; return each text that it shows and does not print, or the other way round."""
    return [
        f"{page.name}:{line} shows\n{shown}but prints\n{printed}"
        for line, shown, printed in shown_and_printed(page)
        if shown != printed
    ]


def _unnamed(page: Path, records: list[logging.LogRecord]) -> list[str]:
    """Return what was logged of errors whose class the page does not name."""
    text = page.read_text("utf-8")
    return [
        record.getMessage()
        for record in records
        if record.exc_info and record.exc_info[0] and record.exc_info[0].__name__ not in text
    ]


@pytest.mark.parametrize("name", RUN_HERE)
def test_a_page_prints_what_it_shows_and_fails_where_it_says_so(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert _differences(PAGES[name]) == []
    assert _unnamed(PAGES[name], caplog.records) == []


def test_the_pages_of_the_guides_are_run_here() -> None:
    folders = {name.split("/")[0] for name in RUN_HERE if "/" in name}

    assert folders >= {"start", "guides"}


@pytest.mark.parametrize("name", PAGES)
def test_each_fence_of_python_is_one_that_is_run(name: str) -> None:
    text = PAGES[name].read_text("utf-8")

    assert len(PYTHON.findall(text)) == len(blocks(PAGES[name], "python"))


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_page_that_is_not_run_here_is_run_by_the_test_that_is_named(name: str) -> None:
    test = ROOT / ELSEWHERE[name]

    assert f'"docs" / "{name}"' in test.read_text("utf-8")
    assert blocks(PAGES[name], "python")


SHOWN_AND_PRINTED: Final = """
```python
number = 41
print(number)
```

```text
41
```

Some text.

```python
print(number + 1)
```

```text
42
```
"""


def _page(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(text, "utf-8")
    return page


def test_a_page_is_one_program(tmp_path: Path) -> None:
    assert _differences(_page(tmp_path, SHOWN_AND_PRINTED)) == []


def test_an_output_that_differs_is_found_with_its_line(tmp_path: Path) -> None:
    page = _page(tmp_path, SHOWN_AND_PRINTED.replace("\n42\n", "\n43\n"))

    assert _differences(page) == ["page.md:17 shows\n43\nbut prints\n42\n"]


def test_an_output_that_stands_behind_another_block_is_found(tmp_path: Path) -> None:
    first = "```text\n41\n```\n"
    page = _page(tmp_path, SHOWN_AND_PRINTED.replace(first, "") + "\n" + first)

    assert len(_differences(page)) == 2


def test_an_output_that_is_not_shown_is_found(tmp_path: Path) -> None:
    page = _page(tmp_path, SHOWN_AND_PRINTED.replace("```text\n42\n```\n", ""))

    assert _differences(page) == ["page.md:13 shows\nbut prints\n42\n"]


def test_an_output_that_is_never_printed_is_found(tmp_path: Path) -> None:
    page = _page(tmp_path, SHOWN_AND_PRINTED + "\n```text\nmore\n```\n")

    assert _differences(page) == ["page.md:21 shows\nmore\nbut prints\n"]


def test_code_that_raises_fails_with_the_line_of_the_page(tmp_path: Path) -> None:
    page = _page(tmp_path, SHOWN_AND_PRINTED.replace("print(number + 1)", "print(nunber)"))

    with pytest.raises(NameError, match="nunber") as raised:
        _differences(page)

    assert raised.traceback[-1].lineno == 13  # counted from 0
    assert "page.md" in str(raised.traceback[-1].path)


WITH_A_BROKEN_WORKER: Final = """
```python
import threadpool_mb as mb


def worker(key):
    (yield) + 1


with mb.Pool(worker, name="adders", start="on_demand") as pool:
    pool.dispatch("alice", "1")
```
"""


def test_a_worker_that_fails_without_a_word_of_the_page_is_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    page = _page(tmp_path, WITH_A_BROKEN_WORKER)

    assert _differences(page) == []
    assert _unnamed(page, caplog.records) == ["adders: the worker of key 'alice' failed"]
    assert _unnamed(_page(tmp_path, "A `TypeError`"), caplog.records) == []


@pytest.mark.parametrize(
    "fence",
    ["```py", "~~~python", "````python", "   ```python", "```{code-block} python", "> ```python"],
)
def test_a_fence_that_would_not_be_run_is_seen(fence: str, tmp_path: Path) -> None:
    page = _page(tmp_path, f"{fence}\nprint()\n{fence.rstrip('pythn')}\n")

    assert PYTHON.findall(page.read_text("utf-8"))
    assert blocks(page, "python") == []
