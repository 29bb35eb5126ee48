"""A process may take so long for a round; for all of them, what the machine gives."""

import subprocess
import threading
from typing import Any, cast

import pytest

from leakcheck import child
from leakcheck.readings import Readings
from leakcheck.spec import Spec
from leakcheck.supervising import _killed_if_silent
from tests.helpers import until

PATIENCE = 7.0
SPEC = Spec(
    scenario="",
    seconds=0.0,
    scale=1.0,
    cap=0,
    patience=PATIENCE,
    output="",
    label="",
    result="",
)


class Process:
    """A process that can be killed, and does nothing else."""

    def __init__(self) -> None:
        self.killed = threading.Event()
        self.kill = self.killed.set


def _process() -> tuple[Process, subprocess.Popen[str]]:
    process = Process()
    return process, cast("subprocess.Popen[str]", process)


def test_each_round_has_the_patience_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def armed(*arguments: object, **options: object) -> None:
        told.append((arguments, options))

    monkeypatch.setattr(child.faulthandler, "dump_traceback_later", armed)

    child._rounds(SPEC, Readings(), lambda: told.append("round"), counted=3)

    assert told == [((PATIENCE,), {"exit": True}), "round"] * 3


def test_a_process_that_is_not_heard_of_is_killed() -> None:
    process, popen = _process()

    with _killed_if_silent(popen, 0.0):
        until(process.killed.is_set)


def test_a_process_that_is_heard_of_is_given_its_time_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float | None] = []

    class Heard(threading.Event):
        """Notes how long it is waited for."""

        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            return super().wait(timeout)

    monkeypatch.setattr(threading, "Event", Heard)
    process, popen = _process()

    with _killed_if_silent(popen, 100.0) as heard:
        until(lambda: waits.count(100.0) == 1)
        heard()
        until(lambda: waits.count(100.0) == 2)

    assert not process.killed.is_set()


def test_a_process_that_has_ended_is_not_killed() -> None:
    process, popen = _process()
    watching = threading.active_count()

    with _killed_if_silent(popen, 100.0) as heard:
        heard()

    assert threading.active_count() == watching
    assert not process.killed.is_set()
