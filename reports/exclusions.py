"""What branch coverage leaves out, each with its reason: `python -m reports.exclusions JSON OUT`.

A pattern's reason stands behind it in pyproject.toml, that of a single line behind its pragma: the
patterns there do not match a pragma without one.
"""

import html
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from reports.imports import PACKAGE, ROOT
from reports.page import document

_PROJECT: Final = ROOT / "pyproject.toml"
_PRAGMA: Final = re.compile(r"# pragma: no (?:cover|branch) - (.+)")
_OPTIONS: Final = ("exclude_lines", "partial_branches")


class Exclusion(NamedTuple):
    """One place that is left out."""

    place: str
    text: str
    reason: str


def patterns(text: str) -> dict[str, str]:
    """Return the patterns of coverage's options in a pyproject.toml, each with its reason."""
    report = tomllib.loads(text)["tool"]["coverage"]["report"]
    told = dict(re.findall(r"(?m)^    '(.*)', # (.+)$", text))
    return {pattern: told.get(pattern, "") for option in _OPTIONS for pattern in report[option]}


def exclusions(sources: Sequence[Path], reasons: dict[str, str]) -> Iterator[Exclusion]:
    """Yield where the patterns match; what belongs to a line that matches is left out with it."""
    for path in sources:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            pattern = next((each for each in reasons if re.search(each, line)), None)
            if pattern is not None:
                own = _PRAGMA.search(line)
                place = f"{path.relative_to(PACKAGE)}:{number}"
                yield Exclusion(place, line.strip(), own[1] if own else reasons[pattern])


def _named(each: Exclusion) -> str:
    return f'<span title="{html.escape(each.text)}">{each.place}</span>'


def main(words: Sequence[str]) -> int:
    """Write the page; `JSON` is coverage's own, for how many lines are left out in all."""
    files = json.loads(Path(words[0]).read_text("utf-8"))["files"]
    count = sum(len(each["excluded_lines"]) for each in files.values())
    found = list(exclusions(sorted(PACKAGE.rglob("*.py")), patterns(_PROJECT.read_text("utf-8"))))
    places: dict[str, list[Exclusion]] = {}
    for each in found:
        places.setdefault(each.reason, []).append(each)
    body = f"<p>{len(found)} places; with what belongs to them, {count} lines.</p>" + "".join(
        f"<h2>{html.escape(reason)}</h2><p>{', '.join(map(_named, some))}</p>"
        for reason, some in places.items()
    )
    Path(words[1]).write_text(document("What coverage leaves out", body), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
