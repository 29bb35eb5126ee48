"""How the pages look that no other tool makes, and the index."""

import html
from collections.abc import Iterable
from typing import Any, Final

_STYLE: Final = """
:root { color-scheme: light dark }
body { max-width: 62rem; margin: 0 auto; padding: 1rem; font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin: 2rem 0 .2rem }
p, ul { margin: .3rem 0 } dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem }
dt { opacity: .7 } dd { margin: 0; overflow-wrap: anywhere }
code, pre { font-size: .85rem; overflow-wrap: anywhere } pre, .wide { overflow-x: auto }
.failed { color: #c22f2f; font-weight: 600; overflow-wrap: anywhere }
.wide svg { max-width: 100%; height: auto; background: white }
.code pre { line-height: 1.3 }
"""


def document(title: str, body: str, style: str = "") -> str:
    """Return a whole page."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}{style}</style></head>\n"
        f"<body><h1>{html.escape(title)}</h1>\n{body}</body></html>\n"
    )


def index(parts: Iterable[dict[str, Any]]) -> str:
    """Return the index page: of each part what it is, what it made, and when, how and on what."""
    return document("threadpool_mb: reports", "\n".join(map(_part, parts)))


def took(part: dict[str, Any]) -> str:
    """Return how long a part took to make, and how much of a core's time."""
    on_cores = f", with {part['on_cores']:.0f} s of processor time" if "on_cores" in part else ""
    return f"in {part['seconds']:.0f} s{on_cores}"


def _part(part: dict[str, Any]) -> str:
    head = f'<h2 id="{part["name"]}">{html.escape(part["title"])}</h2><p>{part["about"]}</p>'
    if "when" not in part:
        return f"{head}<p>Not made: <code>make reports PARTS={part['name']}</code></p>"
    failed = "".join(f'<p class="failed">Failed: {html.escape(why)}</p>' for why in part["failed"])
    links = "".join(
        f'<li><a href="{html.escape(path)}">{html.escape(text)}</a></li>'
        for text, path in part["links"]
    )
    commands = "<br>".join(f"<code>{html.escape(each)}</code>" for each in part["commands"])
    facts = {
        "made": f"{part['when']}, {took(part)}",
        "on": html.escape(part["interpreters"]),
        "by": commands,
        "log": f'<a href="{part["name"]}/log.txt">what the commands printed</a>',
    }
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items() if value)
    return f"{head}{failed}<ul>{links}</ul><dl>{rows}</dl>"
