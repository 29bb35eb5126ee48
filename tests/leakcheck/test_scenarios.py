"""The short run passes, each planted leak is found, and a process that does not end is ended."""

from pathlib import Path

import pytest

from leakcheck.__main__ import CAP, SHORT_SCALE
from leakcheck.catalog import SCENARIOS
from leakcheck.results import ScenarioResult
from leakcheck.seeds import SEEDS
from leakcheck.spec import COUNTED
from leakcheck.supervising import Limits, run

MIB = 2**20
SECONDS = 0.5
"""Of a scenario; the rounds that have to be take a few more."""

LEAKS = {
    # The scenario, the assertions that have to fail, and what has to be named.
    "worker-record": ("original", {"objects", "blocks"}, "GeneratorLane is held by"),
    "mailbox": ("mailboxes", {"objects", "blocks"}, "QueueMailbox is held by"),
    "thread": ("pools", {"threads"}, "× left-behind"),
    "reply-box": ("calls", {"objects", "blocks"}, "ReplyBox is held by"),
    "pool-dict": ("original", {"blocks"}, "._leaving dict["),
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(100)]


def _run(
    name: str, tmp_path: Path, *, seed: str = "", cap: int = CAP
) -> tuple[ScenarioResult, str]:
    # A leak that is planted is seen sooner than none is.
    counted = 10 if seed else COUNTED
    limits = Limits(SECONDS, SHORT_SCALE, cap * MIB, patience=60.0, counted=counted)
    return run(name, limits, tmp_path, "test", seed=seed)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_clean(name: str, tmp_path: Path) -> None:
    result, told = _run(name, tmp_path)

    found = [f"{check.name}: {check.found}" for check in result.checks]
    blocks = f"blocks: {result.series.blocks}"
    assert result.verdict == "clean", "\n".join([*found, blocks, *result.evidence, told])
    assert [check.name for check in result.checks] == [
        "ran",
        "objects",
        "blocks",
        "threads",
        "files",
    ]
    assert result.counted >= COUNTED
    assert max(result.series.data) < CAP * MIB


def test_every_seed_is_tried() -> None:
    assert LEAKS.keys() == SEEDS.keys()


@pytest.mark.parametrize("seed", LEAKS)
def test_a_planted_leak_is_caught_and_named(seed: str, tmp_path: Path) -> None:
    name, failing, named = LEAKS[seed]

    result, told = _run(name, tmp_path, seed=seed)

    assert failing <= set(result.failed), (result.checks, told)
    assert "ran" not in result.failed, told
    assert any(named in text for text in result.evidence), result.evidence


def test_a_process_that_takes_too_long_shows_its_stacks_and_ends(tmp_path: Path) -> None:
    # A round that outlasts the limit, on one thread: `faulthandler` takes no lock, and where a
    # thread ends at that moment it writes `<freed thread state>` in the place of the stacks.
    limits = Limits(60.0, 100.0, CAP * MIB, patience=1.0)

    result, told = run("mailboxes", limits, tmp_path, "test")

    assert result.failed == ("ran",)
    assert "Timeout" in told
    assert "most recent call first" in told


def test_a_process_that_gets_no_memory_under_its_cap_has_failed(tmp_path: Path) -> None:
    result, told = _run("mailboxes", tmp_path, cap=1)

    assert result.failed == ("ran",)
    assert "status" in result.checks[0].found
    assert told
