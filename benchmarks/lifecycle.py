"""The edges of a process's life, in real processes: `benchmarks.lifecycle`.

Each cell of the table is a process that is brought into a state (its main thread waits in a call,
say) and then to an end (a second Ctrl-C, say). Told of each: whether it has exited in time, and
whether each message that was accepted is accounted for: handled, or a dead letter. The same is done
with a `ThreadPoolExecutor`. `docs/lifecycle.md` says what the table showed.

Accounts are kept outside of the process, which may die at any moment: each step is one write to a
file that is opened for appending.
"""

import argparse
import concurrent.futures
import contextlib
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.lifecycle_cell import ENDS, STATES, WORK_SECONDS

_PATIENCE: Final = 5.0
"""Seconds beyond the user code's own time after which a process is held to hang."""
_SETTLE: Final = 0.3
"""Seconds from a state's being announced to its end."""


class Outcome(NamedTuple):
    """What became of one cell."""

    state: str
    end: str
    verdict: str
    """`ok`; `lost`, if accepted messages were neither handled nor dead letters; `hang`; or what a
    child that was forked did."""
    seconds: float
    """From the end to the exit."""
    output: str
    """What the process has printed."""

    def __str__(self) -> str:
        return f"{self.verdict} {self.seconds:.1f}"


def run_cell(state: str, end: str) -> Outcome:
    """Run one cell."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "ledger"
        ledger.touch()
        process = subprocess.Popen(  # noqa: S603 - the interpreter that runs this
            [sys.executable, "-m", "benchmarks.lifecycle_cell", state, end, str(ledger)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            _wait_for(ledger, "ready", process)
            time.sleep(_SETTLE)
            for number, name in enumerate(ENDS[end]):
                time.sleep(0.5 if number else 0)
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(name)
            began = time.monotonic()
            try:
                output, _ = process.communicate(timeout=5 * WORK_SECONDS + _PATIENCE)
                hung = False
            except subprocess.TimeoutExpired:
                hung = True
                process.kill()
                output, _ = process.communicate()
            seconds = time.monotonic() - began
        finally:
            process.kill()
            process.wait()
        return Outcome(state, end, _verdict(ledger, hung=hung), seconds, output)


def _wait_for(ledger: Path, line: str, process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + 30
    while line not in ledger.read_text().split():
        if time.monotonic() > until or process.poll() is not None:
            process.kill()
            raise RuntimeError(f"the state was not reached: {process.communicate()[0]}")
        time.sleep(0.02)


def _verdict(ledger: Path, *, hung: bool) -> str:
    lines = ledger.read_text().split()
    child = [line for line in lines if line.startswith("child-")]
    if hung:
        return "hang"
    if child and child != ["child-fine"]:
        return child[0]
    accepted = lines.count("accepted")
    accounted = lines.count("handled") + lines.count("dead")
    return "ok" if accounted >= accepted else f"lost {accepted - accounted}"


def run_all(states: list[str], ends: list[str], processes: int) -> Iterator[Outcome]:
    """Run cells, some at once, since nearly all they do is wait."""
    with concurrent.futures.ThreadPoolExecutor(processes) as executor:
        futures = [executor.submit(run_cell, state, end) for state in states for end in ends]
        for future in futures:
            yield future.result()


def main() -> None:
    """Run the cells that the command line names, and print the table; fail if one is worse."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--state", action="append", choices=STATES)
    parser.add_argument("--end", action="append", choices=ENDS)
    parser.add_argument("--processes", type=int, default=os.process_cpu_count() or 1)
    options = parser.parse_args()
    states, ends = options.state or list(STATES), options.end or list(ENDS)
    build = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    outcomes = list(run_all(states, ends, options.processes))
    print(f"{sys.version.split()[0]}{build}")
    print("| state |", " | ".join(ends), "|")
    print("|---" * (len(ends) + 1) + "|")
    for state in states:
        cells = [str(each) for each in outcomes if each.state == state]
        print(f"| {state} |", " | ".join(cells), "|")
    worse = list(_worse_than_standard(outcomes))
    for outcome in worse:
        print(f"\n{outcome.state} × {outcome.end}: {outcome.verdict}\n{outcome.output}")
    sys.exit(bool(worse))


def _worse_than_standard(outcomes: list[Outcome]) -> Iterator[Outcome]:
    """Yield what hung, or lost, where no cell of the standard executor with that end did."""
    standard = {
        (outcome.end, outcome.verdict.split()[0])
        for outcome in outcomes
        if outcome.state.startswith("tpe")
    }
    for outcome in outcomes:
        kind = outcome.verdict.split()[0]
        if kind != "ok" and (outcome.end, kind) not in standard:
            yield outcome


if __name__ == "__main__":
    main()
