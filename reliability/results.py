"""What was run on one build, and what came of it: a JSON file for each build."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Final, Self

FORMAT: Final = 1
"""Number of the JSON's format; a reader refuses another one."""

FOLDER: Final = Path(__file__).parent / "results"
"""Where the files are that docs/reliability.md shows."""


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """A test that failed, or a process that came to no end of its own."""

    test: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Hammer:
    """A test function, all its cases together."""

    cases: int
    runs: int
    failures: int
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Folder:
    """A folder of tests that ran once, as far as `stride` says."""

    tests: int
    failures: int
    seconds: float
    commit: str
    stride: int = 1
    """Tests that stop a thread at each place stopped at each so many; `tests/strides.py`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """One kind of run on one build."""

    what: str
    """`hammers`, `soak`, `suite`, `suite -X dev`."""
    date: str
    commit: str
    load: float
    """The machine's load average as the run began."""
    seconds: float
    asked: str
    """How much was to be done, in words."""
    tests: int = 0
    """Cases: a function with three sets of parameters counts three times."""
    runs: int = 0
    messages: int = 0
    hammers: dict[str, Hammer] = dataclasses.field(default_factory=dict[str, Hammer])
    folders: dict[str, Folder] = dataclasses.field(default_factory=dict[str, Folder])
    """Of a suite: which of its folders have run."""
    failures: tuple[Failure, ...] = ()

    def after(self, before: Self) -> Self:
        """Return both runs as one: begun as the first one was, with all that both have done."""
        names = sorted({*before.hammers, *self.hammers})
        commits = dict.fromkeys((*before.commit.split(", "), self.commit))
        return dataclasses.replace(
            self,
            date=before.date,
            load=before.load,
            commit=", ".join(commits),
            seconds=round(before.seconds + self.seconds, 1),
            tests=max(before.tests, self.tests),
            runs=before.runs + self.runs,
            messages=before.messages + self.messages,
            hammers={
                name: _sum(before.hammers.get(name), self.hammers.get(name)) for name in names
            },
            folders={**before.folders, **self.folders},
            failures=before.failures + self.failures,
        )


def _sum(*several: Hammer | None) -> Hammer:
    hammers = [hammer for hammer in several if hammer]
    return Hammer(
        max(hammer.cases for hammer in hammers),
        sum(hammer.runs for hammer in hammers),
        sum(hammer.failures for hammer in hammers),
        round(sum(hammer.seconds for hammer in hammers), 2),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Build:
    """All that was run on one build; a run of one kind takes the place of the one before it."""

    facts: dict[str, str]
    runs: dict[str, Run]

    @property
    def name(self) -> str:
        """Which interpreter it is, such as `3.14.7t`, or `3.14.7t debug`."""
        return self.facts["Build"]

    def with_run(self, run: Run) -> Self:
        """Return the same with one more run."""
        return dataclasses.replace(self, runs=dict(sorted({**self.runs, run.what: run}.items())))

    def to_json(self) -> str:
        """Return the build as JSON."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: if it is something else, or of another format.
        """
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError(f"no results in format {FORMAT}")
        return cls(data["facts"], {what: _run(each) for what, each in data["runs"].items()})


def _run(data: dict[str, Any]) -> Run:
    hammers = {name: Hammer(**each) for name, each in data.pop("hammers").items()}
    folders = {name: Folder(**each) for name, each in data.pop("folders", {}).items()}
    failures = tuple(Failure(**each) for each in data.pop("failures"))
    return Run(**data, hammers=hammers, folders=folders, failures=failures)


def load(folder: Path = FOLDER) -> list[Build]:
    """Return what was run on each build, by their names."""
    builds = [Build.from_json(path.read_text("utf-8")) for path in folder.glob("*.json")]
    return sorted(builds, key=lambda build: build.name)


def kept(facts: dict[str, str], folder: Path = FOLDER) -> dict[str, Run]:
    """Return what was run on a build so far."""
    path = _path(facts, folder)
    return Build.from_json(path.read_text("utf-8")).runs if path.exists() else {}


def _path(facts: dict[str, str], folder: Path) -> Path:
    return folder / f"{facts['Build'].replace(' ', '-')}.json"


def save(facts: dict[str, str], run: Run, folder: Path = FOLDER) -> Path:
    """Write a run into its build's file, beside the runs of other kinds."""
    path, before = _path(facts, folder), kept(facts, folder)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(Build(facts, before).with_run(run).to_json(), "utf-8")
    return path
