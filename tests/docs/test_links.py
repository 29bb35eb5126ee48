"""Links to other sites are well formed, and lead to projects that we know.

Whether what is behind them is still there needs a network: `make docs LINKS=all`.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

ROOT: Final = Path(__file__).parents[2]

HOSTS: Final = {
    "anyio.readthedocs.io": "anyio",
    "apscheduler.readthedocs.io": "APScheduler",
    "distributed.dask.org": "Dask",
    "docs.celeryq.dev": "Celery",
    "docs.dbos.dev": "DBOS",
    "docs.python.org": "Python",
    "docs.ray.io": "Ray",
    "docs.temporal.io": "Temporal",
    "keepachangelog.com": "Keep a Changelog",
    "pebble.readthedocs.io": "Pebble",
    "procrastinate.readthedocs.io": "Procrastinate",
    "quix.io": "Quix Streams",
    "semver.org": "Semantic Versioning",
}
"""Each site, and whose it is: the paragraph, or the row, of a link names it."""

LINK: Final = re.compile(r"(?<=\])\(([a-z]+:[^)]*)\)|<([a-z]+:[^>]*)>")

OWN: Final = "https://github.com/threadpool-mb/threadpool_mb"
"""Where the project is to be."""


def _links() -> Iterator[tuple[str, str, str]]:
    """Yield where a link to another site stands, what is said around it, and its address."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "findings").glob("*.md")]
    for page in sorted(pages):
        text = re.sub(r"(?ms)^```.*?^```$", "", page.read_text("utf-8"))
        for paragraph in re.split(r"\n\n|\n(?=\|)", text):
            said = LINK.sub("", paragraph)
            for address in LINK.finditer(paragraph):
                yield page.relative_to(ROOT).as_posix(), said, address[1] or address[2]


LINKS: Final = [*_links()]
URLS: Final[dict[str, str]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))[
    "project"
]["urls"]


def test_there_are_links_to_other_sites() -> None:
    assert len(LINKS) >= 15


@pytest.mark.parametrize("link", LINKS, ids=[f"{page}-{address}" for page, _, address in LINKS])
def test_a_link_to_another_site_leads_to_a_project_that_is_named_there(
    link: tuple[str, str, str],
) -> None:
    _, said, address = link

    parts = urlsplit(address)

    assert parts.scheme == "https"
    assert parts.hostname in HOSTS
    assert parts.port is None
    assert parts.path.startswith("/"), "a site without a path ends with a slash"
    assert not re.search(r"[\s<>]|[.,;]$", address)
    assert HOSTS[parts.hostname].casefold() in said.casefold()


@pytest.mark.parametrize("name", URLS)
def test_the_links_of_the_package_lead_to_where_the_project_is(name: str) -> None:
    address = URLS[name]

    assert address == OWN or address.startswith(f"{OWN}/")
    if (path := address.removeprefix(f"{OWN}/blob/main/")) != address:
        assert (ROOT / path).is_file()
