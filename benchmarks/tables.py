"""The figures as text."""

from typing import Final

from benchmarks.results import Comparison, Figures, Role, Spread

BASES: Final = {Role.PEER: "best peer", Role.IDEAL: "ideal"}
"""What contenders are held against: of each role the best."""


def number(value: float) -> str:
    """Return a figure with three digits that count, thousands separated."""
    for decimals, limit in enumerate((100, 10, 1, 0.1)):
        if abs(value) >= limit:
            return f"{value:,.{decimals}f}"
    return f"{value:#.2g}" if value else "0"


def spread(value: Spread | None) -> str:
    """Return a median with its extremes, or a dash."""
    if value is None:
        return "–"
    return f"{number(value.median)} ({number(value.lowest)} … {number(value.highest)})"


def columns(comparison: Comparison) -> list[str]:
    """Return what the columns of a comparison's table are called, but for the contenders'."""
    names = [comparison.unit]
    names += [f"× {base}" for role, base in BASES.items() if comparison.best(role)]
    if comparison.published is not None:
        names.append(f"× {comparison.published_name} ({number(comparison.published)})")
    return names


def cells(comparison: Comparison, figures: Figures) -> list[str]:
    """Return a contender's row: the figure, and how many times as good as what it is."""
    row = [spread(figures.spread)]
    for role in BASES:
        if base := comparison.best(role):
            ratio = comparison.ratios(figures.name, base.name)
            row.append("1" if base is figures and ratio else spread(ratio))
    if comparison.published is not None:
        row.append(spread(comparison.published_ratios(figures.name)))
    return row


def table(comparison: Comparison) -> str:
    """Return a comparison as a table of text."""
    head = ["", *columns(comparison)]
    lines = [head, *([one.name, *cells(comparison, one)] for one in comparison.figures)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    text = [f"\n{comparison.title}"]
    for line in lines:
        padded = [line[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        text.append("  " + "  ".join(padded))
    return "\n".join(text)
