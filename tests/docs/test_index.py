"""Each page of docs/ is in the lists of docs/index.md: those to read, and those of the site."""

import re
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parents[2] / "docs"
INDEX: Final = (DOCS / "index.md").read_text("utf-8")


def _listed() -> list[str]:
    """Return the pages that items of the lists link to, in their order."""
    return re.findall(r"(?m)^- \[[^]]+\]\(([\w/]+)\.md\)", INDEX)


def _in_the_site() -> list[str]:
    """Return the pages of the tables of contents, in their order."""
    trees = re.findall(r"(?ms)^```\{toctree\}\n(?::.*?\n)*\n(.*?)^```$", INDEX)
    return "".join(trees).split()


def test_each_page_is_in_a_list_of_the_index() -> None:
    pages = {page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md")}

    assert sorted(_listed()) == sorted(pages - {"index"})


def test_the_site_has_the_pages_in_the_order_of_the_lists() -> None:
    assert _in_the_site() == _listed()
