"""`benchmarks.lifecycle`, a few of its cells and how they are judged; and `benchmarks.forks`."""

import concurrent.futures
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import lifecycle
from benchmarks.lifecycle import Outcome, run_cell
from benchmarks.lifecycle_cell import ENDS, STATES

CELLS = [
    ("generator, busy", "exit"),
    ("function, busy", "exception"),
    ("in call", "Ctrl-C"),
    ("in deliver", "SIGTERM"),
    ("in join", "fork"),
    ("in with", "fork"),
    ("in aio.call", "Ctrl-C"),
    ("broker, in drain", "fork"),
    ("keyed, idle", "fork"),
    ("keyed, busy", "finalizer"),
    ("broker, busy", "subinterpreter"),
]


@pytest.mark.timeout(60)
def test_processes_exit_and_account_for_each_message_in_cells_of_all_ends_but_the_deadly_one() -> (
    None
):
    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        outcomes = list(executor.map(run_cell, *zip(*CELLS, strict=True)))

    assert {end for _, end in CELLS} == ENDS.keys() - {"Ctrl-C twice"}
    assert [(each.state, each.end, each.verdict) for each in outcomes] == [
        (state, end, "ok") for state, end in CELLS
    ], [each.output for each in outcomes if each.verdict != "ok"]


@pytest.mark.parametrize(
    ("lines", "hung", "verdict"),
    [
        ("ready accepted handled", False, "ok"),
        ("ready accepted accepted handled dead", False, "ok"),
        ("ready accepted accepted accepted handled", False, "lost 2"),
        ("ready", True, "hang"),
        ("ready accepted child-hangs handled", False, "child-hangs"),
        ("ready child-fine", False, "ok"),
        ("ready child-exit-1", False, "child-exit-1"),
    ],
)
def test_a_verdict_is_what_the_ledger_says(
    lines: str, verdict: str, tmp_path: Path, *, hung: bool
) -> None:
    ledger = tmp_path / "ledger"
    ledger.write_text(lines.replace(" ", "\n"))

    assert lifecycle._verdict(ledger, hung=hung) == verdict


def test_what_the_standard_executor_does_too_is_not_worse() -> None:
    def outcome(state: str, verdict: str) -> Outcome:
        return Outcome(state, "fork", verdict, 1.0, "")

    outcomes = [
        outcome("tpe, busy", "lost 3"),
        outcome("keyed, busy", "lost 4"),
        worse := outcome("keyed, idle", "child-hangs"),
        outcome("in call", "ok"),
    ]

    assert list(lifecycle._worse_than_standard(outcomes)) == [worse]


def test_a_cell_whose_process_dies_before_it_is_ready_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(STATES, "unknown to the process", STATES["in call"])

    with pytest.raises(RuntimeError, match="the state was not reached"):
        run_cell("unknown to the process", "exit")


def test_children_that_are_forked_beside_busy_threads_end_well() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.forks", "--forks", "11"],
        check=False,
        capture_output=True,
        text=True,
        timeout=18,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert ": 11 fine, in " in done.stdout
