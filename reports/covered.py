"""What is covered of each module: `python -m reports.covered JSON OUT LEAST`.

`JSON` is coverage.py's own. Its report has one figure, of lines and branches together, and most of
that are lines. Branches alone are told besides, and both figures must reach LEAST per cent. What is
missed stands in coverage.py's pages, line by line.
"""

import html
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from reports.page import document

_FOLDER: Final = "threadpool_mb/"
_TITLE: Final = "What is covered of each module"
_STYLE: Final = """
table { border-collapse: collapse; margin: 1rem 0 }
th, td { padding: .1rem .8rem .1rem 0; text-align: right }
th:first-child, td:first-child { text-align: left }
"""


class Count(NamedTuple):
    """How many lines and branches there are, and how many of them are covered."""

    lines: int = 0
    covered_lines: int = 0
    branches: int = 0
    covered_branches: int = 0

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> Self:
        """Return what coverage.py has counted of a file."""
        return cls(
            summary["num_statements"],
            summary["covered_lines"],
            summary["num_branches"],
            summary["covered_branches"],
        )

    @classmethod
    def total(cls, counts: Iterable[Self]) -> Self:
        """Return the sum of several."""
        return cls(*map(sum, zip(*counts, strict=True)))

    @property
    def shares(self) -> tuple[float, float, float]:
        """Per cent: of lines and branches together, of lines, of branches."""
        return (
            _share(self.covered_lines + self.covered_branches, self.lines + self.branches),
            _share(self.covered_lines, self.lines),
            _share(self.covered_branches, self.branches),
        )


def _share(covered: int, count: int) -> float:
    return 100 * covered / count if count else 100.0


def rows(files: Mapping[str, Any]) -> list[tuple[str, Count]]:
    """Return the count of all, of what needs no cluster, and of each module: most missed first."""
    counts = {
        path.rpartition(_FOLDER)[2]: Count.of(file["summary"]) for path, file in files.items()
    }
    own = [count for name, count in counts.items() if not name.startswith("cluster/")]
    each = sorted(counts.items(), key=lambda row: (row[1].covered_branches - row[1].branches, row))
    return [
        ("all", Count.total(counts.values())),
        ("without threadpool_mb.cluster", Count.total(own)),
        *each,
    ]


def _cells(name: str, count: Count) -> list[str]:
    missed = (count.lines - count.covered_lines, count.branches - count.covered_branches)
    return [name, *map(str, missed), *(f"{share:.1f}" for share in count.shares)]


def main(words: Sequence[str]) -> int:
    """Print the figures, and write the page; 1 if too little is covered."""
    source, page, least = words
    found = rows(json.loads(Path(source).read_text("utf-8"))["files"])
    head = ["", "lines missed", "branches missed", "together %", "lines %", "branches %"]
    table = [head, *(_cells(name, count) for name, count in found)]
    for row in table:
        aligned = (f"{cell:>{len(word)}}" for cell, word in zip(row[1:], head[1:], strict=True))
        print(f"{row[0]:40}", *aligned)
    body = "\n".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in table
    )
    Path(page).write_text(
        document(_TITLE, f'<div class="wide"><table>{body}</table></div>', _STYLE), "utf-8"
    )
    together, _, branches = found[0][1].shares
    if min(together, branches) >= float(least):
        return 0
    print(f"less than {least} %: together {together:.2f} %, branches alone {branches:.2f} %")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
