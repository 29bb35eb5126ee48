"""Plots as inline SVG: horizontal bars with whiskers, and lines over a number.

Colours come from classes, so that the page's style says what they are in light and in dark.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Final

from benchmarks.results import Role, Spread
from benchmarks.tables import number

WIDTH: Final = 860
NARROW: Final = 400
"""Pixels of a plot on a phone: about as many as there are, so that its text stays readable."""
LABELS: Final = 320
"""Pixels for the names at the left of bars."""
RUNS: Final = 100
"""Pixels for the runs at the left of bars, whose names are above them."""
NAME: Final = 18
"""Pixels for a name above bars."""
VALUES: Final = 130
"""Pixels for the figures at the right of bars."""
BAR: Final = 15
ROW: Final = 21
DIGIT: Final = 8
"""Pixels for a digit of a tick, and what is between two of them."""
LINES_HEIGHT: Final = 340
LEFT: Final = 80
"""Pixels for the figures at the left of lines."""
WIDE: Final = 16.0
"""From this ratio of the largest to the smallest on, a scale is logarithmic."""
MANY: Final = 12
"""Places of points; if there are more, ticks stand at round numbers, and points are small."""


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """One bar: a contender in one run."""

    label: str
    """Empty if the bar above has the same."""
    run: str
    """Which run, if there are several."""
    role: Role
    spread: Spread
    note: str
    """Stands behind the figure."""


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One line: a contender in one run, with a spread at each place."""

    label: str
    colour: int
    """Number of the class."""
    dash: int
    """Number of the class."""
    points: tuple[tuple[float, Spread], ...]


def ticks(highest: float) -> list[float]:
    """Return a few round numbers from 0 to about `highest`."""
    power = 10.0 ** math.floor(math.log10(highest / 4))
    step = next(power * by for by in (1, 2, 2.5, 5, 10) if power * by * 4 >= highest * 0.999)
    return [step * count for count in range(int(highest / step) + 1)]


def _log_ticks(lowest: float, highest: float) -> list[float]:
    first, last = math.floor(math.log10(lowest)), math.ceil(math.log10(highest))
    return [10.0**power for power in range(first, last + 1)]


def _round(tick: float) -> str:
    """Return a round number in full: a million is no 1e+06."""
    return f"{tick:,.9g}"


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'


def _stroke(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"></line>'


def _rectangle(x: float, y: float, width: float, kind: str) -> str:
    size = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BAR}"'
    return f'<rect {size} rx="2" class="{kind}"></rect>'


def _dot(x: float, y: float, kind: str, tip: str, *, small: bool) -> str:
    circle = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2 if small else 4}" class="{kind}">'
    return f"{circle}<title>{escape(tip)}</title></circle>"


def _svg(height: float, title: str, parts: Sequence[str], width: int = WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def bars(
    title: str,
    unit: str,
    some: Sequence[Bar],
    *,
    mark: float | None = None,
    mark_name: str = "",
    width: int = WIDTH,
) -> str:
    """Draw bars from 0 on, each with a whisker from its lowest to its highest value.

    Names stand at the left; above the bars if each has several, or if there is no room.

    Args:
        title: read out for those who do not see the plot.
        unit: of the axis.
        some: the bars, from the top.
        mark: where a line is drawn across all bars.
        mark_name: what the line is.
        width: pixels.
    """
    highest = max(*(bar.spread.highest for bar in some), mark or 0.0) or 1.0
    several = any(bar.run for bar in some)
    above = several or width < WIDTH
    left = (RUNS if several else 1) if above else LABELS
    room = width - left - VALUES

    def place(value: float) -> float:
        return left + room * value / highest

    top = 20.0 if mark is not None else 4.0
    y = top
    drawn: list[str] = []
    for bar in some:
        if not above:
            drawn.append(_text(left - 8, y + BAR / 2 + 4, bar.label, f"label end {bar.role}"))
        elif bar.label:
            drawn.append(_text(0, y + NAME - 4, bar.label, f"label {bar.role}"))
            y += NAME
        drawn.append(_bar(bar, y, place))
        y += ROW
    grid = []
    marks = ticks(highest)
    crowded = room * marks[1] / highest < len(_round(marks[-1])) * DIGIT
    for number_of, tick in enumerate(marks):
        kind = "axis" if tick == 0 else "grid"
        grid.append(_stroke(place(tick), top, place(tick), y, kind))
        if not crowded or number_of % 2 == 0:
            grid.append(_text(place(tick), y + 14, _round(tick), "tick middle"))
    grid.append(_text(left, y + 29, unit, "tick"))
    if mark is not None:
        grid.append(_stroke(place(mark), top - 4, place(mark), y, "mark"))
        side = "end" if mark > highest / 2 else ""
        grid.append(_text(place(mark), top - 8, f"{mark_name} {number(mark)}", f"tick {side}"))
    return _svg(y + 34, title, [*grid, *drawn], width)


def _bar(bar: Bar, y: float, place: Callable[[float], float]) -> str:
    spread = bar.spread
    middle = y + BAR / 2
    left, end, right = place(0), place(spread.median), place(spread.highest)
    tip = f"{number(spread.median)} ({number(spread.lowest)} … {number(spread.highest)})"
    return "".join(
        [
            "<g>",
            f"<title>{escape(f'{bar.label} {bar.run}: {tip}')}</title>",
            _text(left - 6, middle + 4, bar.run, "tick end") if bar.run else "",
            _rectangle(left, y, max(end - left, 1), f"bar {bar.role}"),
            _stroke(place(spread.lowest), middle, right, middle, "whisker"),
            _stroke(place(spread.lowest), middle - 4, place(spread.lowest), middle + 4, "whisker"),
            _stroke(right, middle - 4, right, middle + 4, "whisker"),
            _text(max(right, end) + 6, middle + 4, number(spread.median) + bar.note, "value"),
            "</g>",
        ]
    )


class Place:
    """Turns values of one axis into pixels; logarithmic if the values lie far apart.

    A logarithmic axis goes from one power of 10 to another, or is `exact`: as far as the values do.
    """

    def __init__(
        self,
        values: Sequence[float],
        first: float,
        last: float,
        *,
        linear: bool = False,
        exact: bool = False,
    ) -> None:
        lowest, highest = min(values), max(values)
        self.logarithmic: Final = not linear and lowest > 0 and highest / lowest >= WIDE
        if self.logarithmic:
            self.ticks = _log_ticks(lowest, highest)
            ends = (lowest, highest) if exact else (self.ticks[0], self.ticks[-1])
            self._from, self._to = map(math.log10, ends)
            self.ticks = [tick for tick in self.ticks if ends[0] <= tick <= ends[1]]
        else:
            self.ticks = ticks(max(highest, -lowest) or 1.0)
            self._from, self._to = min(lowest, 0.0), max(highest, 0.0)
            self.ticks += [-tick for tick in self.ticks[1:]]
            self.ticks = [tick for tick in self.ticks if self._from <= tick <= self._to]
            if self._from == self._to:
                self._to = 1.0
        self._first, self._last = first, last

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        shown = math.log10(value) if self.logarithmic else value
        part = (shown - self._from) / (self._to - self._from)
        return self._first + part * (self._last - self._first)


def lines(
    title: str,
    unit: str,
    x_label: str,
    some: Sequence[Line],
    *,
    width: int = WIDTH,
    height: int = LINES_HEIGHT,
    linear: bool = False,
    span: Sequence[float] = (),
    marks: Mapping[str, float] | None = None,
) -> str:
    """Draw lines through medians, with a whisker at each point.

    Args:
        title: read out for those who do not see the plot.
        unit: of the axis upwards.
        x_label: stands at the axis across.
        some: the lines.
        width: pixels.
        height: pixels.
        linear: whether both scales are to be, however far apart the values lie.
        span: values that the scale upwards has room for beside those of the lines.
        marks: where lines are drawn across all of the plot, by what they are called.
    """
    marks = marks or {}
    points = [point for line in some for point in line.points]
    places = sorted({x for x, _ in points})
    many = len(places) > MANY
    across = Place(places, LEFT, width - 30, linear=linear, exact=True)
    up = Place(
        [
            *(v for _, spread in points for v in (spread.lowest, spread.highest)),
            *marks.values(),
            *span,
        ],
        height - 44,
        26,
        linear=linear,
    )
    parts = [_text(0, 12, unit + (", logarithmic" if up.logarithmic else ""), "tick")]
    for tick in up.ticks:
        parts.append(_stroke(LEFT, up(tick), width - 20, up(tick), "grid"))
        parts.append(_text(LEFT - 8, up(tick) + 4, _round(tick), "tick end"))
    for x in across.ticks if many else places:
        parts.append(_stroke(across(x), height - 44, across(x), height - 39, "axis"))
        parts.append(_text(across(x), height - 25, f"{x:,.0f}", "tick middle"))
    scale = ", logarithmic" if across.logarithmic else ""
    parts.append(_text(width - 30, height - 6, x_label + scale, "tick end"))
    for name, value in marks.items():
        parts.append(_stroke(LEFT, up(value), width - 20, up(value), "mark"))
        parts.append(_text(width - 22, up(value) + 13, name, "tick end"))
    parts.extend(_line(line, across, up, small=many) for line in some)
    return _svg(height, title, parts, width)


def _line(line: Line, across: Place, up: Place, *, small: bool) -> str:
    kind = f"line c{line.colour}"
    parts = [
        _stroke(across(x1), up(one.median), across(x2), up(other.median), f"{kind} d{line.dash}")
        for (x1, one), (x2, other) in itertools.pairwise(line.points)
    ]
    for x, spread in line.points:
        tip = f"{line.label}, {x:,.0f}: {number(spread.median)}"
        tip += f" ({number(spread.lowest)} … {number(spread.highest)})"
        if spread.lowest < spread.highest:
            whisker = (across(x), up(spread.lowest), across(x), up(spread.highest))
            parts.append(_stroke(*whisker, f"{kind} thin"))
        parts.append(_dot(across(x), up(spread.median), f"c{line.colour}", tip, small=small))
    return "".join(parts)
