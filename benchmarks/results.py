"""What a run found: figures of contenders in comparisons of workloads, and their arithmetic.

Raw values are kept for each counted round, so that every ratio can be taken round by round.
"""

import dataclasses
import enum
import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Self

FORMAT: Final = 1
"""Number of the JSON's format; a reader refuses another one."""


class Role(enum.StrEnum):
    """What a contender is to the comparison."""

    OURS = "ours"
    PEER = "peer"
    """What one would use instead; the best of them is what the others are held against."""
    IDEAL = "ideal"
    """Written by hand for this workload alone: what could be reached at best."""
    DESIGN = "design"
    """One of ours that was tried and not kept."""


@dataclasses.dataclass(frozen=True, slots=True)
class Spread:
    """A median with what lies farthest from it."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Return the spread of some values, one at least."""
        known = sorted(values)
        return cls(statistics.median(known), known[0], known[-1])


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """One contender's figures in one comparison."""

    name: str
    role: Role
    values: tuple[float, ...]
    """One for each counted round, in the comparison's unit."""

    @property
    def spread(self) -> Spread:
        """The median over the rounds, and the extremes."""
        return Spread.of(self.values)


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """Contenders that did the same work in the same rounds."""

    title: str
    unit: str
    figures: tuple[Figures, ...]
    higher_is_better: bool = False
    series: str = ""
    """Comparisons of one series are the points of one line plot; empty: it stands alone."""
    x: float = 0.0
    """Where in its series it stands."""
    x_label: str = ""
    published: float | None = None
    """A figure of another program on another machine, in the same unit."""
    published_name: str = ""

    def ratios(self, name: str, base: str) -> Spread | None:
        """Return how many times as good a contender is as another: above 1 is better.

        Taken round by round: what ran a moment apart met the same noise. `None` if a figure is 0.
        """
        return self._ratios(self._of(name).values, self._of(base).values)

    def published_ratios(self, name: str) -> Spread | None:
        """Return how many times as good a contender is as the published figure, if there is one."""
        if self.published is None:
            return None
        values = self._of(name).values
        return self._ratios(values, [self.published] * len(values))

    def _ratios(self, values: Sequence[float], base: Sequence[float]) -> Spread | None:
        if min(*values, *base) <= 0:
            return None
        pairs = zip(values, base, strict=True)
        better = self.higher_is_better
        return Spread.of(one / other if better else other / one for one, other in pairs)

    def best(self, role: Role) -> Figures | None:
        """Return the contender of a role whose median is best, if there is one."""
        some = [figures for figures in self.figures if figures.role is role]
        if not some:
            return None
        pick: Callable[..., Figures] = max if self.higher_is_better else min
        return pick(some, key=lambda figures: figures.spread.median)

    def _of(self, name: str) -> Figures:
        return next(figures for figures in self.figures if figures.name == name)


@dataclasses.dataclass(frozen=True, slots=True)
class WorkloadResult:
    """The comparisons of one workload."""

    name: str
    description: str
    comparisons: tuple[Comparison, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """One run of the benchmarks on one interpreter."""

    facts: dict[str, str]
    """Machine, build and versions, by what they are called on the page; `Build` is among them."""
    rounds: int
    scale: float
    workloads: tuple[WorkloadResult, ...]

    @property
    def build(self) -> str:
        """Which interpreter it was, such as `3.14.4t`."""
        return self.facts["Build"]

    def to_json(self) -> str:
        """Return the run as JSON."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: if it is no run, or of another format.
        """
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError(f"not a run of the benchmarks in format {FORMAT}")
        return cls(
            facts=data["facts"],
            rounds=data["rounds"],
            scale=data["scale"],
            workloads=tuple(_workload(workload) for workload in data["workloads"]),
        )


def load[T](paths: Sequence[Path], from_json: Callable[[str], T]) -> list[T]:
    """Read runs from files, each by `from_json`.

    Raises:
        OSError: if a file cannot be read.
        ValueError: if it is no run; the file is named.
    """
    runs = []
    for path in paths:
        try:
            runs.append(from_json(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return runs


def _workload(data: dict[str, Any]) -> WorkloadResult:
    comparisons = tuple(
        Comparison(
            **{
                **comparison,
                "figures": tuple(
                    Figures(f["name"], Role(f["role"]), tuple(f["values"]))
                    for f in comparison["figures"]
                ),
            }
        )
        for comparison in data["comparisons"]
    )
    return WorkloadResult(data["name"], data["description"], comparisons)
