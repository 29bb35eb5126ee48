"""What a run found, and its way into JSON and back."""

import dataclasses
import json
from typing import Any, Final, Self

FORMAT: Final = 1
"""Number of the JSON's format; a reader refuses another one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """What was read after each round, the rounds of the warm-up included; memory in bytes."""

    seconds: tuple[float, ...]
    """Since the first round began."""
    blocks: tuple[int, ...]
    """`sys.getallocatedblocks()`."""
    objects: tuple[int, ...]
    """Objects of the library's own classes."""
    threads: tuple[int, ...]
    files: tuple[int, ...]
    """Open file descriptors."""
    resident: tuple[int, ...]
    data: tuple[int, ...]
    """What the cap limits: private memory that can be written to."""


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One assertion, and what it found."""

    name: str
    passed: bool
    found: str


@dataclasses.dataclass(frozen=True, slots=True)
class Growth:
    """A class of which there were more objects after a counted round than after the warm-up."""

    name: str
    before: int
    after: int


@dataclasses.dataclass(frozen=True, slots=True)
class ScenarioResult:
    """What came of one scenario."""

    name: str
    description: str
    warm_up: int
    """How many of the rounds were not counted."""
    series: Series
    checks: tuple[Check, ...]
    slope: float
    """Blocks by which a counted round adds to those before it."""
    peak_resident: int
    growth: tuple[Growth, ...] = ()
    evidence: tuple[str, ...] = ()
    """On failure: what has grown and what holds it, one text for each finding."""

    @property
    def counted(self) -> int:
        """How many rounds were counted."""
        return max(0, len(self.series.blocks) - self.warm_up)

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the assertions that did not hold."""
        return tuple(check.name for check in self.checks if not check.passed)

    @property
    def verdict(self) -> str:
        """`clean`, or which assertions did not hold."""
        return f"FAILED: {', '.join(self.failed)}" if self.failed else "clean"


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """The scenarios on one interpreter."""

    facts: dict[str, str]
    """Machine, build and versions, by what they are called on the page; `Build` is among them."""
    cap: int
    """The most data a scenario's process may have, in bytes."""
    seconds: float
    """How long all scenarios together were to take."""
    scale: float
    scenarios: tuple[ScenarioResult, ...]

    @property
    def build(self) -> str:
        """Which interpreter it was, such as `3.14.4t`."""
        return self.facts["Build"]

    def to_json(self) -> str:
        """Return the run as JSON."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: if it is no run, or of another format.
        """
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError(f"not a run of the leak check in format {FORMAT}")
        del data["format"]
        scenarios = tuple(scenario_result(each) for each in data.pop("scenarios"))
        return cls(**data, scenarios=scenarios)


def scenario_result(data: dict[str, Any]) -> ScenarioResult:
    """Return a scenario's result from what `dataclasses.asdict` made of it."""
    return ScenarioResult(
        **{
            **data,
            "series": Series(**{name: tuple(values) for name, values in data["series"].items()}),
            "checks": tuple(Check(**each) for each in data["checks"]),
            "growth": tuple(Growth(**each) for each in data["growth"]),
            "evidence": tuple(data["evidence"]),
        }
    )
