"""The tables of docs/reliability.md that show what was run."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from reliability.passes import folder_of, suite_parts
from reliability.results import Build, Folder, Hammer, Run

PAGE: Final = Path(__file__).parents[1] / "docs" / "reliability.md"


def rendered(text: str, builds: Sequence[Build]) -> str:
    """Return a page's text with the tables of these builds between its marks.

    Raises:
        ValueError: if the page lacks a mark.
    """
    tables = {
        "runs": runs_table(builds),
        "folders": folders_table(builds),
        "hammers": hammers_table(builds),
    }
    for name, table in tables.items():
        pattern = rf"(?s)(<!-- {name}: .*? -->\n).*?(<!-- end of {name} -->)"
        text, found = re.subn(
            pattern, lambda match, table=table: f"{match[1]}\n{table}\n{match[2]}", text
        )
        if found != 1:
            raise ValueError(f"the page has {found} places for {name}")
    return text


def runs_table(builds: Iterable[Build]) -> str:
    """Return a row for each run: build, what, how much, failures, time."""
    head = [
        "build",
        "what",
        "asked for",
        "cases",
        "run",
        "failures",
        "took",
        "load",
        "begun",
        "commit",
    ]
    rows = [_row(build, run) for build in builds for run in build.runs.values()]
    return _table(head, rows)


def _row(build: Build, run: Run) -> list[str]:
    return [
        build.name,
        run.what,
        run.asked,
        f"{run.tests:,}" if run.hammers else "",
        _done(run),
        str(len(run.failures)),
        duration(run.seconds),
        f"{run.load:.1f}",
        run.date,
        f"`{run.commit}`",
    ]


def _done(run: Run) -> str:
    if run.messages:
        return f"{run.messages:,} messages"
    if run.folders:
        return f"{sum(ran.tests for ran in run.folders.values()):,} in {len(run.folders)} folders"
    each = f", {run.runs / run.tests:,.0f} of each" if run.hammers else ""
    return f"{run.runs:,}{each}"


def folders_table(builds: Iterable[Build]) -> str:
    """Return a row for each folder of the suite: how many tests of it ran on each build."""
    columns = {
        f"{build.name}{what.removeprefix('suite')}": run.folders
        for build in builds
        for what, run in build.runs.items()
        if run.folders
    }
    names = [folder_of(part) for part in suite_parts()]
    head = ["folder", *columns]
    return _table(head, [[f"`{n}`", *(_ran(c.get(n)) for c in columns.values())] for n in names])


def _ran(folder: Folder | None) -> str:
    if folder is None:
        return "not run"
    return ", ".join(
        [
            f"{folder.tests:,}",
            *([f"{folder.failures} FAILED"] if folder.failures else []),
            *([f"stride {folder.stride}"] if folder.stride > 1 else []),
            f"`{folder.commit}`",
        ]
    )


def hammers_table(builds: Iterable[Build]) -> str:
    """Return a row for each hammer: its cases, and how often all of them ran on each build."""
    columns = {build.name: build.runs["hammers"] for build in builds if "hammers" in build.runs}
    names = sorted({name for run in columns.values() for name in run.hammers})
    head = ["hammer", "cases", *(f"runs on {name}" for name in columns)]
    return _table(head, [_hammer_row(name, columns.values()) for name in names])


def _hammer_row(name: str, runs: Iterable[Run]) -> list[str]:
    path, _, function = name.partition("::")
    figures = [run.hammers.get(name) for run in runs]
    cases = max(hammer.cases for hammer in figures if hammer)
    return [
        f"`{path.removeprefix('tests/')}`: `{function}`",
        str(cases),
        *(_runs(hammer) for hammer in figures),
    ]


def _runs(hammer: Hammer | None) -> str:
    if hammer is None:
        return "not run"
    return f"{hammer.runs:,}" + (f", {hammer.failures} FAILED" if hammer.failures else "")


def duration(seconds: float) -> str:
    """Return a time as a reader says it."""
    if seconds < 90:  # noqa: PLR2004 - from here on minutes read better
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(_lines(head, rows)) + "\n"


def _lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
