"""One page of one or several runs: for each scenario the verdict, and plots over time."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Final

from benchmarks.report.html import document, run_labels, text_table
from benchmarks.report.plots import Line, lines
from leakcheck.judging import BAND
from leakcheck.report.curves import MIB, counted_blocks, curve
from leakcheck.results import Run, ScenarioResult

_HOW_TO_READ: Final = f"""\
Each scenario ran in a process of its own, round after round, under a cap on its memory. After each
round, when all was quiet and garbage was collected, it was counted what there was: memory blocks,
objects of the library's own classes, threads, open files. After a warm-up no class may have one
object more than at its end, and threads and files have to be back after every round. Blocks that a
later round gives back do not count; the others are judged by their slope, the median between rounds
that lie a quarter of the run apart: what the line rises over all counted rounds has to stay within
{BAND} blocks. Resident memory is recorded, and not judged: allocators keep what they have. The cap
limits data, memory that can be written to."""

_STYLE: Final = """
.plots {
  display: grid; gap: .4rem 1.2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr));
}
.plots figure { min-width: 0; }
.plots h4 { font-size: .85rem; font-weight: 600; margin: .5rem 0 .1rem; }
.bad { color: var(--c3); font-weight: 600; }
.good { color: var(--ideal); font-weight: 600; }
pre { overflow-x: auto; background: var(--panel); padding: .6rem .8rem; font-size: .78rem; }
"""
_WIDTH: Final = 430
_HEIGHT: Final = 230

type _Curve = Callable[[ScenarioResult], tuple[Sequence[float], list[float]]]
"""Takes what a line shows: seconds, and values."""

type _Shown = dict[str, tuple[Run, ScenarioResult]]
"""A scenario as each of the runs has it, by their labels."""


def page(runs: Sequence[Run]) -> str:
    """Return the runs as HTML."""
    labelled = dict(zip(run_labels([run.build for run in runs]), runs, strict=True))
    names = list(dict.fromkeys(one.name for run in runs for one in run.scenarios))
    sections: dict[str, _Shown] = {
        name: {
            label: (run, one)
            for label, run in labelled.items()
            for one in run.scenarios
            if one.name == name
        }
        for name in names
    }
    links = "".join(f'<a href="#{escape(name)}">{escape(name)}</a> ' for name in names)
    body = "".join(
        [
            f'<p class="soft">{escape(" · ".join(map(_in_short, labelled.items())))}</p>',
            _verdict(runs),
            f"<nav>{links}</nav>",
            f"<p>{_HOW_TO_READ}</p>",
            "<h2>Overview</h2>",
            _overview(sections),
            _facts(labelled),
            *(_section(name, shown) for name, shown in sections.items()),
        ]
    )
    return document("threadpool_mb: leak check", body, _STYLE)


def _in_short(labelled: tuple[str, Run]) -> str:
    label, run = labelled
    return f"Python {label}, GIL {run.facts['GIL']}, {run.seconds:.0f} s, {run.facts['Date']}"


def _verdict(runs: Sequence[Run]) -> str:
    every = [one for run in runs for one in run.scenarios]
    failed = sum(bool(one.failed) for one in every)
    kind = "bad" if failed else "good"
    text = f"{failed} of {len(every)} failed" if failed else f"all {len(every)} clean"
    return f'<p class="{kind}">{text}</p>'


def _overview(sections: dict[str, _Shown]) -> str:
    head = ["scenario", "build", "verdict", "rounds", "slope", "rise", "peak resident", "peak data"]
    rows = []
    for name, shown in sections.items():
        for place, (label, (_, one)) in enumerate(shown.items()):
            rows.append(
                [
                    "" if place else name,
                    label,
                    one.verdict,
                    f"{one.counted}",
                    f"{one.slope:+.3f}",
                    f"{one.slope * max(0, one.counted - 1):+.1f}",
                    f"{one.peak_resident / MIB:.0f} MiB",
                    f"{max(one.series.data, default=0) / MIB:.0f} MiB",
                ]
            )
    note = "Slope: blocks a counted round. Rise: over all of them."
    return f'{text_table(head, rows)}<p class="soft">{note}</p>'


def _facts(labelled: dict[str, Run]) -> str:
    every = dict.fromkeys(name for run in labelled.values() for name in run.facts)
    rows = [[name, *(run.facts.get(name, "–") for run in labelled.values())] for name in every]
    rows.append(["Cap", *(f"{run.cap / MIB:.0f} MiB" for run in labelled.values())])
    rows.append(["Seconds in all", *(f"{run.seconds:g}" for run in labelled.values())])
    rows.append(["Scale", *(f"{run.scale:g}" for run in labelled.values())])
    table = text_table(["", *labelled], rows, "facts")
    return f"<details><summary>Machine and builds</summary>{table}</details>"


def _section(name: str, shown: _Shown) -> str:
    any_result = next(iter(shown.values()))[1]
    parts = [f'<h2 id="{escape(name)}">{escape(name)}</h2>']
    for label, (_, one) in shown.items():
        kind = "bad" if one.failed else "good"
        parts.append(f'<p>{escape(label)}: <span class="{kind}">{escape(one.verdict)}</span></p>')
        parts += [
            f"<pre>{escape(check.name)}: {escape(check.found)}</pre>"
            for check in one.checks
            if not check.passed
        ]
        parts += [f"<pre>{escape(text)}</pre>" for text in one.evidence]
    parts.append(f'<p class="soft">{escape(any_result.description)}</p>')
    cap = max(run.cap for run, _ in shown.values()) / MIB
    if len(shown) > 1:
        parts.append(_legend(list(shown)))
    plots = [
        _plot(
            shown,
            "Blocks, in counted rounds, from the first one on",
            counted_blocks,
            marks={f"band {BAND}": BAND},
        ),
        _plot(
            shown,
            "Memory, MiB: resident, and (dashed) data",
            _readings("resident", MIB),
            _readings("data", MIB),
            marks={f"cap {cap:.0f}": cap},
        ),
        _plot(shown, "Objects of the library's classes", _readings("objects")),
        _plot(shown, "Threads", _readings("threads")),
    ]
    parts.append(f'<div class="plots">{"".join(plots)}</div>')
    parts.append(_checks(shown))
    return f"<section>{''.join(parts)}</section>"


def _checks(shown: _Shown) -> str:
    rows = [
        [label, check.name, "holds" if check.passed else "FAILED", check.found]
        for label, (_, one) in shown.items()
        for check in one.checks
    ]
    table = text_table(["", "assertion", "", "found"], rows, "facts")
    return f"<details><summary>Assertions</summary>{table}</details>"


def _readings(name: str, unit: float = 1.0) -> _Curve:
    """Return what takes a column of the readings, in a unit."""

    def of(one: ScenarioResult) -> tuple[Sequence[float], list[float]]:
        return one.series.seconds, [value / unit for value in getattr(one.series, name)]

    return of


def _plot(
    shown: _Shown, title: str, *curves: _Curve, marks: Mapping[str, float] | None = None
) -> str:
    drawn = []
    for dash, of in enumerate(curves):
        for colour, (label, (_, one)) in enumerate(shown.items()):
            if points := curve(*of(one)):
                drawn.append(Line(label, colour % 4, dash, points))
    if not drawn:
        return ""
    plot = lines(
        title, "", "seconds", drawn, width=_WIDTH, height=_HEIGHT, linear=True, marks=marks
    )
    return f"<figure><h4>{escape(title)}</h4>{plot}</figure>"


def _legend(labels: Sequence[str]) -> str:
    entries = "".join(
        '<span><svg viewBox="0 0 28 12"><line x1="0" y1="6" x2="28" y2="6"'
        f' class="line c{place % 4}"></line></svg>{escape(label)}</span>'
        for place, label in enumerate(labels)
    )
    return f'<div class="legend">{entries}</div>'
