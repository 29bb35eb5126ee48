"""Checks a site that Sphinx has built: `python docs/built_site.py FOLDER WORD…`.

Each link within the site leads to a file, and to a place in it that is there; the search finds the
words. Links to other sites are not looked at: a build needs no network (`make docs LINKS=all`).

LinkChecker looks at links, too. It reads a page again for each of its anchors, which takes four
minutes for this site, and as root it becomes `nobody`, which may not be allowed to read a checkout.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final, override
from urllib.parse import unquote, urlsplit

__all__ = ["dead_links", "finds"]

_STEM_CUTS: Final = 3


class _Page(HTMLParser):
    """The links of a page, and the places to which links can lead."""

    def __init__(self, text: str) -> None:
        """Read it."""
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = {"", "top"}
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"href", "src"} and value is not None:
                self.links.append(value)
            elif (name == "id" or (name == "name" and tag == "a")) and value is not None:
                self.places.add(value)


def dead_links(folder: Path) -> list[str]:
    """Return the links of a folder of pages that lead to nothing in it: `page: link`."""
    pages = {path: _Page(path.read_text("utf-8")) for path in sorted(folder.rglob("*.html"))}
    return [
        f"{path.relative_to(folder)}: {link}"
        for path, page in pages.items()
        for link in page.links
        if not _leads_somewhere(path, link, pages)
    ]


def _leads_somewhere(path: Path, link: str, pages: dict[Path, _Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target in pages:
        return unquote(parts.fragment) in pages[target].places
    return target.is_file()


def finds(folder: Path, word: str) -> bool:
    """Return whether the search of a site knows a word, as an object or in a text.

    The index has a word without its ending (`until_drain`).
    """
    text = (folder / "searchindex.js").read_text("utf-8")
    index: dict[str, Any] = json.loads(text[text.index("{") : text.rindex("}") + 1])
    known: Iterable[str] = [*index["terms"], *index["titleterms"]]
    objects = {entry[4] for entries in index["objects"].values() for entry in entries}
    return word in objects or any(
        word.lower().startswith(stem) and len(stem) + _STEM_CUTS >= len(word) for stem in known
    )


def main(arguments: list[str]) -> int:
    """Say what is wrong with a site."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("words", nargs="*")
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    wrong = [f"dead link in {each}" for each in dead_links(folder)]
    wrong += [
        f"the search does not find {each}" for each in options.words if not finds(folder, each)
    ]
    pages = len(list(folder.rglob("*.html")))
    print("\n".join(wrong) or f"{pages} pages, no dead link; {folder / 'index.html'}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
