"""The parts of the reports: of each the commands that make it, and what they make.

Where another tool makes the page, the part is its command line.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.machine import build

FREE: Final = "3.14t"
GIL: Final = "3.14"
COVERED: Final = 97
"""Per cent that must be covered: of lines and branches together, and of branches alone."""
STRIDE: Final = "5"
"""See tests/strides.py. What is done after an interrupt is covered by those tests alone."""
DEADLINE: Final = "100"
"""After so many seconds a test is stuck: it counts what it covers, beside another run."""
SCALE: Final = "0.1"
"""Of the benchmarks."""
SPEEDSCOPE: Final = "1.25.0"
WORKLOADS: Final = ("dispatch", "executor", "commands", "mailboxes")


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One command; of Python's, what follows the interpreter."""

    words: Sequence[str]
    on: str = FREE
    """Which interpreter runs it; empty: the command is no interpreter's."""
    env: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """A part of the reports."""

    name: str
    title: str
    about: str
    """HTML."""
    steps: Callable[[Path], list[Step]]
    """Given its own folder."""
    links: Sequence[tuple[str, str]]
    """What is called how, from its own folder; each has to be there when it is made."""
    at_once: int = 1
    """How many of its steps run at the same time; if several, they need nothing of each other."""


def _api(out: Path) -> list[Step]:
    return [
        Step(["make", "docs"], on=""),
        Step(["cp", "-r", ".docs/html/.", str(out / "html")], on=""),
    ]


def _graph(out: Path) -> list[Step]:
    return [Step(["-m", "reports.graph", "--all", str(out)])]


def _benchmarks(out: Path) -> list[Step]:
    run = ["-m", "benchmarks", *WORKLOADS, "--rounds", "3", "--scale", SCALE, "--output", str(out)]
    runs = [f"{out}/{build()}-1core.json", f"{out}/{build()}.json"]
    return [
        Step([*run, "--cores", "1"]),
        Step(run),
        Step(["-m", "benchmarks", "page", *runs, "--output", str(out)]),
    ]


def _tests(out: Path) -> list[Step]:
    own = ["--timeout", "120", "tests"]
    # By themselves: pytest 9 leaves out an argument that is inside another one (`findings/`), and
    # from `tests` it does not go into this folder (`norecursedirs`).
    observers = ["--timeout", "120", "tests/observers"]
    # With the options of `make cluster`, whose tests wait for processes.
    cluster = ["--timeout", "300", "-o", "timeout_func_only=true", "tests/cluster"]
    once = ["-m", "not same_everywhere"]
    return [
        _covered(out, version, page, words)
        for page, words in (("", own), ("-observers", observers), ("-cluster", cluster))
        for version, words in ((FREE, [*words, *once]), (GIL, words))
    ]


def _covered(out: Path, version: str, page: str, words: Sequence[str]) -> Step:
    """Return a run of pytest that makes a page, and counts what it covers."""
    env = {
        "TESTS_STRIDE": STRIDE,
        "TESTS_DEADLINE": DEADLINE,
        "COVERAGE_FILE": f"{out.parent.absolute()}/coverage/{version}",
    }
    html = ["--html", f"{out}/{version}{page}.html", "--self-contained-html"]
    command = ["-W", "error", "-m", "coverage", "run", "-m", "pytest", "-q", *words, *html]
    return Step(command, version, env)


def _coverage(out: Path) -> list[Step]:
    data, told = f"{out}/all", f"{out}/coverage.json"
    parts = [str(path) for path in out.glob("3.14*.*")]
    each = ["-m", "coverage"]
    return [
        Step([*each, "combine", "--keep", "-q", f"--data-file={data}", *parts]),
        Step([*each, "html", "-q", f"--data-file={data}", "-d", f"{out}/html"]),
        Step([*each, "json", "-q", f"--data-file={data}", "-o", told]),
        Step(["-m", "reports.exclusions", told, f"{out}/exclusions.html"]),
        Step(["-m", "reports.covered", told, f"{out}/modules.html", str(COVERED)]),
    ]


def _memory(out: Path) -> list[Step]:
    steps = []
    for program, count in (("key", 5000), ("message", 50000), ("call", 3000)):
        data = f"{out}/{program}.bin"
        steps += [
            Step(["-m", "reports.profiled", program, str(count), data]),
            Step(["-m", "memray", "flamegraph", "--no-web", "-o", f"{out}/{program}.html", data]),
            Step(["-m", "memray", "stats", "-n", "15", data]),
        ]
    return steps


def _time(out: Path) -> list[Step]:
    viewer = f"speedscope@{SPEEDSCOPE}"
    return [
        Step(["npm", "pack", "--silent", "--pack-destination", str(out), viewer], on=""),
        Step(["-m", "reports.flame", "5", str(out), f"{out}/speedscope-{SPEEDSCOPE}.tgz"]),
    ]


def _leakcheck(out: Path) -> list[Step]:
    return [
        Step(["-m", "leakcheck", "--short", "--out", str(out)]),
        Step(["-m", "leakcheck", "page", f"{out}/{build()}.json", "--out", str(out)]),
    ]


PARTS: Final = (
    Part(
        "api",
        "Documentation, with the API's reference",
        "What <code>make docs</code> makes.",
        _api,
        [("the documentation", "html/index.html")],
    ),
    Part(
        "graph",
        "The graph of the modules",
        "Drawn from the imports, in the layers of docs/architecture.md. Each name is a link.",
        _graph,
        [("all folders", "index.html")],
    ),
    Part(
        "tests",
        "Test results",
        "With and without the GIL, while coverage counts branches. Tests that stop at each place do"
        f" so at each {STRIDE}th; those that say the same everywhere run on {GIL} alone.",
        _tests,
        [
            (f"{which}on {version}", f"{version}{page}.html")
            for which, page in (
                ("", ""),
                ("of observers, ", "-observers"),
                ("on a Dask cluster, ", "-cluster"),
            )
            for version in (FREE, GIL)
        ],
        at_once=2,  # as in `make test`: most tests keep one core busy, or wait
    ),
    Part(
        "coverage",
        "Branch coverage",
        f"Of both runs of the tests together; {COVERED} % at least, also of branches alone, or this"
        " part has failed.",
        _coverage,
        [
            ("each module, in figures", "modules.html"),
            ("by file, function and class", "html/index.html"),
            ("what is left out", "exclusions.html"),
        ],
    ),
    Part(
        "benchmarks",
        "Benchmarks, on one core and on all",
        f"Some of them, in little: {', '.join(WORKLOADS)}. The figures to go by are those of"
        " <code>make bench</code>, in docs/performance.md.",
        _benchmarks,
        [("side by side", "benchmarks.html")],
    ),
    Part(
        "memory",
        "Memory profile",
        "Which lines allocate, by memray: what is there at the peak as flame graphs; the lines that"
        " allocate most, what is freed at once included, in the log.",
        _memory,
        [
            ("5,000 live keys", "key.html"),
            ("50,000 waiting messages", "message.html"),
            ("3,000 calls, one after the other", "call.html"),
        ],
    ),
    Part(
        "time",
        "Time profile",
        "Where time on the core is spent, by perf: functions of Python, and below them those of C."
        " Each thread is a tower.",
        _time,
        [
            ("dispatch, to function workers", "dispatch.html"),
            ("turns of generator workers", "turn.html"),
            ("calls, from two threads", "calls.html"),
        ],
    ),
    Part(
        "leakcheck",
        "Leak check",
        "In little: <code>make leakcheck</code> takes its time. How to read it: docs/leakcheck.md.",
        _leakcheck,
        [
            ("all scenarios", "leakcheck.html"),
            ("the picture", "leakcheck.svg"),
            ("the log", f"{build()}.log"),
        ],
    ),
)
NEEDS: Final = {"coverage": "tests"}
"""What is made before, if it is not asked for."""
