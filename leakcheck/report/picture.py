"""One plot that stands alone, for docs/leakcheck.md: the blocks of one scenario, on each build."""

from collections.abc import Sequence
from html import escape
from typing import Final

from benchmarks.report.html import run_labels
from benchmarks.report.plots import Line, lines
from leakcheck.judging import BAND
from leakcheck.report.curves import counted_blocks, curve
from leakcheck.results import Run

_WIDTH: Final = 640
_HEIGHT: Final = 200
_POINTS: Final = 32
_TOP: Final = 34
"""Pixels for the heading and the legend."""
_COLOURS: Final = ("#2a78d6", "#8a4fc9", "#7d7b74", "#cf5c1f")
_STYLE: Final = """\
text { font: 12px system-ui, sans-serif; fill: #7d7b74; }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.grid { stroke: #96948c; stroke-opacity: .25; } .axis { stroke: #96948c; }
.mark { stroke: #cf5c1f; stroke-width: 1.5; stroke-dasharray: 5 4; }
.line { stroke-width: 2; } .thin { stroke-width: 1; opacity: .6; }
""" + "".join(
    f".c{number} {{ stroke: {colour}; fill: {colour}; }}\n"
    for number, colour in enumerate(_COLOURS)
)


def picture(runs: Sequence[Run], scenario: str) -> str:
    """Return SVG; it has no lines if no run has the scenario."""
    found = [
        Line(label, number % 4, 0, curve(*counted_blocks(one), most=_POINTS))
        for number, (label, run) in enumerate(
            zip(run_labels([run.build for run in runs]), runs, strict=True)
        )
        for one in run.scenarios
        if one.name == scenario and one.counted
    ]
    title = f"{scenario}: memory blocks after each counted round, from the first one on"
    plot = (
        lines(
            title,
            "",
            "seconds",
            found,
            width=_WIDTH,
            height=_HEIGHT,
            linear=True,
            marks={f"more than {BAND} would fail": BAND},
        )
        if found
        else ""
    )
    legend = "".join(
        f'<circle cx="{8 + 90 * place}" cy="26" r="4" class="c{line.colour}"></circle>'
        f'<text x="{16 + 90 * place}" y="30">{escape(line.label)}</text>'
        for place, line in enumerate(found)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_TOP + _HEIGHT}"'
        f' width="{_WIDTH}" height="{_TOP + _HEIGHT}" role="img" aria-label="{escape(title)}">'
        f'<style>{_STYLE}</style><text x="2" y="12">{escape(title)}</text>{legend}'
        f'<g transform="translate(0 {_TOP})">'
        + plot.replace("<svg ", f'<svg width="{_WIDTH}" height="{_HEIGHT}" ', 1)
        + "</g></svg>\n"
    )
