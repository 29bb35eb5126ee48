"""Run pytest in a process of its own, and count by its report what ran and what failed."""

import collections
import dataclasses
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from reliability.results import Failure, Hammer

ROOT: Final = Path(__file__).parents[1]
TEXT: Final = 6000
"""So many characters of a failure's text are kept, the last ones."""
ENVIRONMENT: Final = {"TESTS_DEADLINE": "200"}
"""What takes so long is stuck, on a busy machine too: `tests/helpers.py`."""


@dataclasses.dataclass(slots=True)
class Tally:
    """What ran so far, by test function."""

    cases: dict[str, set[str]] = dataclasses.field(
        default_factory=lambda: collections.defaultdict[str, set[str]](set)
    )
    runs: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter[str])
    seconds: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter[str])
    failed: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter[str])
    failures: list[Failure] = dataclasses.field(default_factory=list[Failure])

    def add(self, report: Path) -> None:
        """Count what a report of pytest has (JUnit's format)."""
        for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - our own
            name, parameters = _name(case)
            self.cases[name].add(parameters)
            self.runs[name] += 1
            self.seconds[name] += float(case.get("time", 0))
            for trouble in (*case.iter("failure"), *case.iter("error")):
                self.failed[name] += 1
                text = trouble.text or trouble.get("message", "")
                self.failures.append(Failure(f"{name}{parameters}", text[-TEXT:]))

    def hammers(self) -> dict[str, Hammer]:
        """Return the figures of each function."""
        return {
            name: Hammer(
                len(self.cases[name]), runs, self.failed[name], round(self.seconds[name], 2)
            )
            for name, runs in sorted(self.runs.items())
        }


def _name(case: ET.Element) -> tuple[str, str]:
    """Return a test's file and function, and its parameters without the repetition's number."""
    function, bracket, parameters = case.get("name", "").partition("[")
    parameters = re.sub(r"(^|-)\d+-\d+\]$", "]", parameters) if bracket else ""
    return f"{case.get('classname', '').replace('.', '/')}.py::{function}", bracket + parameters


def run_pytest(
    tally: Tally, arguments: Sequence[str], *, options: Sequence[str] = (), seconds: float
) -> None:
    """Run pytest once; a process that leaves no report counts as a failure.

    `options` are the interpreter's.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            *(sys.executable, *options, "-W", "error", "-m", "pytest", "-q", "-p"),
            *("no:cacheprovider", f"--junitxml={report}", *arguments),
        ]
        ended, printed = _end_of(command, seconds)
        if report.exists():
            before = len(tally.failures)
            tally.add(report)
            if ended == "0" or len(tally.failures) > before:
                return
        tally.failures.append(Failure("the process", f"ended with {ended}\n{printed[-TEXT:]}"))


def _end_of(command: Sequence[str], seconds: float) -> tuple[str, str]:
    """Run a command; return its exit status, or that it was killed, and what it printed."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return f"nothing within {seconds:.0f} s", str(late.output or "")
    return str(done.returncode), done.stdout


def hammer_functions(places: Sequence[str] = ()) -> list[str]:
    """Return the tests that are marked `racing`, as pytest names them, without parameters.

    All of them, or those in some files or folders.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["--collect-only", "-m", "racing", *(places or ["tests"])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return list(dict.fromkeys(_functions(done.stdout)))


def _functions(printed: str) -> Iterator[str]:
    for line in printed.splitlines():
        if "::" in line:
            yield line.partition("[")[0]


def suite_parts() -> list[list[str]]:
    """Return what plain `pytest` runs: each folder of tests, and the files beside them."""
    options = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]
    excluded = options["ini_options"]["norecursedirs"]
    tests = ROOT / "tests"
    folders = [
        folder.name
        for folder in sorted(tests.iterdir())
        if folder.name not in excluded and any(folder.glob("**/test_*.py"))
    ]
    files = [f"tests/{file.name}" for file in sorted(tests.glob("test_*.py"))]
    return [*([f"tests/{name}"] for name in folders), files]


def folder_of(part: Sequence[str]) -> str:
    """Return what a part of the suite is called: by its folder, or that of its files."""
    return part[0] if len(part) == 1 else f"{part[0].rpartition('/')[0]}/*.py"
