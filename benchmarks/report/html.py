"""What every page is made of: the document, and tables."""

from collections.abc import Iterable, Sequence
from html import escape

from benchmarks.report.style import STYLE


def document(title: str, body: str, style: str = "") -> str:
    """Return a page that stands alone, with a heading.

    Args:
        title: the heading, and what the window is called.
        body: HTML below it.
        style: CSS beside that of every page.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def text_table(head: Iterable[str], rows: Iterable[Iterable[str]], kind: str = "") -> str:
    """Return a table of text that scrolls by itself if it is too wide."""
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{titles}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def run_labels(builds: Sequence[str]) -> list[str]:
    """Return what each run is called: its build, numbered if there are several of one."""
    found: list[str] = []
    for build in builds:
        count = sum(label.split(" ")[0] == build for label in found)
        found.append(f"{build} ({count + 1})" if count else build)
    return found
