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
    """Return a table of text that scrolls by itself if it is too wide.

    Each cell also has its column's title, which a style can show where columns do not fit.
    """
    columns = [escape(cell) for cell in head]
    titles = "".join(f"<th>{cell}</th>" for cell in columns)
    body = "".join(
        f"<tr>{''.join(_cell(of, text) for of, text in zip(columns, row, strict=True))}</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{titles}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(column: str, text: str) -> str:
    of = f' data-of="{column}"' if column else ""
    return f"<td{of}>{escape(text)}</td>"


def run_labels(builds: Sequence[str]) -> list[str]:
    """Return what each run is called: its build, numbered if there are several of one."""
    found: list[str] = []
    for build in builds:
        count = sum(label.split(" ")[0] == build for label in found)
        found.append(f"{build} ({count + 1})" if count else build)
    return found
