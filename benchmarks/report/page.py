"""One page of one or several runs: self-contained, well-formed, light and dark."""

import dataclasses
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Final

from benchmarks.report.html import document, run_labels, text_table
from benchmarks.report.plots import NARROW, WIDTH, Bar, Line, bars, lines
from benchmarks.results import Comparison, Figures, Role, Run, WorkloadResult
from benchmarks.tables import cells, columns, number, spread

ROLES: Final = {
    Role.OURS: "threadpool_mb",
    Role.PEER: "peer",
    Role.IDEAL: "ideal, by hand",
    Role.DESIGN: "design that was not kept",
}
HOW_TO_READ: Final = """\
Contenders of a comparison ran in turn within each round, in an order that changes from round to
round. A bar is the median over the rounds; its whisker goes from the lowest to the highest. Ratios
are taken round by round, and 2 × is always twice as good; those in the plots are to the best peer.
Every run checked that each message was handled once, and in order where order is promised."""

COLOURS: Final = {
    Role.OURS: (0, 1),
    Role.PEER: (2, 3, 5, 7, 8, 9, 6),
    Role.IDEAL: (4,),
    Role.DESIGN: (2,),
}
"""Numbers of the classes of lines, in turn."""
CROWDED: Final = 8
"""Lines from which on each run has a plot of its own."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Shown:
    """A comparison as each of the runs has it; the runs are called by their labels."""

    runs: dict[str, Comparison]

    @property
    def any(self) -> Comparison:
        return next(iter(self.runs.values()))

    def names(self) -> list[str]:
        """Return the contenders' names in all runs, in their order."""
        return list(
            dict.fromkeys(figures.name for one in self.runs.values() for figures in one.figures)
        )

    def figures(self, name: str) -> Iterator[tuple[str, Comparison, Figures]]:
        """Yield a contender's figures in the runs that have it."""
        for label, comparison in self.runs.items():
            for figures in comparison.figures:
                if figures.name == name:
                    yield label, comparison, figures


def page(runs: Sequence[Run]) -> str:
    """Return the runs as HTML."""
    labelled = dict(zip(run_labels([run.build for run in runs]), runs, strict=True))
    names = list(dict.fromkeys(one.name for run in runs for one in run.workloads))
    sections = {
        name: {
            label: workload
            for label, run in labelled.items()
            for workload in run.workloads
            if workload.name == name
        }
        for name in names
    }
    links = "".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)
    body = "".join(
        [
            f'<p class="soft">{escape(" · ".join(map(_in_short, labelled.items())))}</p>',
            f"<nav>{links}</nav>",
            f"<p>{HOW_TO_READ}</p>",
            _legend_of_roles(),
            _facts(labelled),
            "<h2>Overview</h2>",
            _overview(sections),
            *(_section(name, workloads) for name, workloads in sections.items()),
        ]
    )
    return document("threadpool_mb: benchmarks", body)


def _in_short(labelled: tuple[str, Run]) -> str:
    label, run = labelled
    return (
        f"Python {label}, GIL {run.facts['GIL']}, {run.facts['Cores']} cores, {run.facts['Date']}"
    )


def _facts(runs: dict[str, Run]) -> str:
    every = dict.fromkeys(name for run in runs.values() for name in run.facts)
    rows = [[name, *(run.facts.get(name, "–") for run in runs.values())] for name in every]
    rows.append(["Counted rounds", *(str(run.rounds) for run in runs.values())])
    rows.append(["Scale", *(f"{run.scale:g}" for run in runs.values())])
    table = text_table(["", *runs], rows, "facts")
    return f'<details open="open"><summary>Machine and builds</summary>{table}</details>'


def _legend_of_roles() -> str:
    entries = "".join(
        f'<span><svg viewBox="0 0 28 12"><rect width="28" height="12" rx="2" class="bar {role}">'
        f"</rect></svg>{escape(name)}</span>"
        for role, name in ROLES.items()
    )
    return f'<div class="legend">{entries}</div>'


def _shown(workloads: dict[str, WorkloadResult]) -> list[_Shown]:
    titles = dict.fromkeys(one.title for work in workloads.values() for one in work.comparisons)
    return [
        _Shown(
            {
                label: comparison
                for label, work in workloads.items()
                for comparison in work.comparisons
                if comparison.title == title
            }
        )
        for title in titles
    ]


def _overview(sections: dict[str, dict[str, WorkloadResult]]) -> str:
    """Show how the best of ours does against the best peer, one line for each comparison."""
    labels = list(dict.fromkeys(label for workloads in sections.values() for label in workloads))
    rows = []
    for name, workloads in sections.items():
        for shown in _shown(workloads):
            ratios = [_best_ratio(shown.runs.get(label)) for label in labels]
            rows.append([name, shown.any.title, *ratios])
    head = ["workload", "best of ours, times as good as the best peer, which is named", *labels]
    return text_table(head, rows, "overview")


def _best_ratio(comparison: Comparison | None) -> str:
    if comparison is None:
        return "–"
    best, other = comparison.best(Role.OURS), comparison.best(Role.PEER)
    if best is None or other is None:
        return "–"
    return f"{spread(comparison.ratios(best.name, other.name))}, {other.name}"


def _section(name: str, workloads: dict[str, WorkloadResult]) -> str:
    parts = [
        f'<h2 id="{escape(name)}">{escape(name)}</h2>',
        f"<p>{escape(next(iter(workloads.values())).description)}</p>",
    ]
    shown = _shown(workloads)
    for series in dict.fromkeys(one.any.series for one in shown):
        some = [one for one in shown if one.any.series == series]
        if series:
            parts.append(f"<h3>{escape(series)}</h3>{_lines(series, some)}")
            tables = "".join(f"<h3>{escape(one.any.title)}</h3>{_figures(one)}" for one in some)
            parts.append(f"<details><summary>Figures</summary>{tables}</details>")
            continue
        for one in some:
            parts.append(f"<h3>{escape(one.any.title)}</h3>{_bars(one)}")
            parts.append(f"<details><summary>Figures</summary>{_figures(one)}</details>")
    return f"<section>{''.join(parts)}</section>"


def _figures(shown: _Shown) -> str:
    """Return a table of all figures, and the ratios of the builds if there are several."""
    labels = list(shown.runs)
    several = len(labels) > 1
    head = [""]
    for label, comparison in shown.runs.items():
        head += [f"{column}, {label}" if several else column for column in columns(comparison)]
    head += [f"{label}, × {labels[0]}" for label in labels[1:]]
    rows = []
    for name in shown.names():
        row = [name]
        found = {label: figures for label, _, figures in shown.figures(name)}
        for label, comparison in shown.runs.items():
            width = len(columns(comparison))
            row += cells(comparison, found[label]) if label in found else ["–"] * width
        row += [_of_builds(shown.any, found, labels[0], label) for label in labels[1:]]
        rows.append(row)
    return text_table(head, rows)


def _of_builds(comparison: Comparison, found: dict[str, Figures], base: str, label: str) -> str:
    """Return how many times as good one build is as another: a ratio of medians."""
    if base not in found or label not in found:
        return "–"
    one, other = statistics.median(found[label].values), statistics.median(found[base].values)
    if min(one, other) <= 0:
        return "–"
    return number(one / other if comparison.higher_is_better else other / one)


def _bars(shown: _Shown) -> str:
    several = len(shown.runs) > 1
    drawn = []
    for name in shown.names():
        for place, (label, comparison, figures) in enumerate(shown.figures(name)):
            drawn.append(
                Bar(
                    label=name if place == 0 else "",
                    run=label if several else "",
                    role=figures.role,
                    spread=figures.spread,
                    note=_note(comparison, figures),
                )
            )
    one = shown.any
    better = "higher is better" if one.higher_is_better else "lower is better"
    unit = f"{one.unit}, {better}"
    mark, mark_name = one.published, one.published_name
    plot = _on_any_screen(
        lambda width: bars(one.title, unit, drawn, mark=mark, mark_name=mark_name, width=width)
    )
    return f'<figure class="plot">{plot}</figure>'


def _on_any_screen(draw: Callable[[int], str]) -> str:
    """Draw a plot of each width; the style shows the one for which there is room."""
    widths = (("broad", WIDTH), ("narrow", NARROW))
    return "".join(f'<div class="{kind}">{draw(width)}</div>' for kind, width in widths)


def _note(comparison: Comparison, figures: Figures) -> str:
    """Return the ratio to the best peer, as it stands behind a bar of ours."""
    base = comparison.best(Role.PEER)
    if base is None or figures.role is Role.PEER:
        return ""
    ratio = comparison.ratios(figures.name, base.name)
    return "" if ratio is None else f"  ({number(ratio.median)} ×)"


def _lines(series: str, some: Sequence[_Shown]) -> str:
    """Draw a series: contenders as lines, with the medians in a table below.

    All runs are in one plot, told apart by dashes, or each has its own, on the same scale.
    """
    names = list(dict.fromkeys(name for shown in some for name in shown.names()))
    labels = list(dict.fromkeys(label for shown in some for label in shown.runs))
    found: dict[tuple[str, str], list[tuple[float, Figures]]] = {}
    for shown in some:
        for name in names:
            for label, comparison, figures in shown.figures(name):
                found.setdefault((name, label), []).append((comparison.x, figures))
    spreads = [figures.spread for points in found.values() for _, figures in points]
    span = (min(one.lowest for one in spreads), max(one.highest for one in spreads))
    apart = len(labels) > 1 and len(found) >= CROWDED
    colours = _colours(found)
    drawn: dict[str, list[Line]] = {}
    for (name, label), points in found.items():
        called = f"{name}, {label}" if len(labels) > 1 and not apart else name
        dash = 0 if apart else labels.index(label) % 4
        line = Line(called, colours[name], dash, tuple((x, one.spread) for x, one in points))
        drawn.setdefault(label if apart else "", []).append(line)
    return "".join(
        _lines_of_one(f"{series}, {label}" if label else series, label, some[0].any, group, span)
        for label, group in drawn.items()
    )


def _lines_of_one(
    title: str, run: str, one: Comparison, drawn: Sequence[Line], span: tuple[float, float]
) -> str:
    """Draw one plot of a series, of one run or of all."""
    better = "higher is better" if one.higher_is_better else "lower is better"
    unit = f"{one.unit}, {better}"
    plot = _on_any_screen(
        lambda width: lines(title, unit, one.x_label, drawn, width=width, span=span)
    )
    legend = "".join(
        '<span><svg viewBox="0 0 28 12"><line x1="0" y1="6" x2="28" y2="6"'
        f' class="line c{line.colour} d{line.dash}"></line></svg>{escape(line.label)}</span>'
        for line in drawn
    )
    places = sorted({x for line in drawn for x, _ in line.points})
    head = [f"{one.unit}, by {one.x_label}", *(f"{x:,.0f}" for x in places)]
    rows = []
    for line in drawn:
        medians = {x: number(found.median) for x, found in line.points}
        rows.append([line.label, *(medians.get(x, "–") for x in places)])
    head_of_run = f'<p class="run soft">{escape(run)}</p>' if run else ""
    figure = f'<figure class="plot">{plot}<figcaption class="legend">{legend}</figcaption></figure>'
    return f"{head_of_run}{figure}{text_table(head, rows)}"


def _colours(found: Mapping[tuple[str, str], Sequence[tuple[float, Figures]]]) -> dict[str, int]:
    """Return the number of each contender's colour, which is the same in all runs."""
    used: dict[Role, int] = dict.fromkeys(Role, 0)
    colours: dict[str, int] = {}
    for (name, _), points in found.items():
        if name not in colours:
            role = points[0][1].role
            colours[name] = COLOURS[role][used[role] % len(COLOURS[role])]
            used[role] += 1
    return colours
