"""A rise of the blocks that ends is no leak; one that goes on is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from leakcheck import child
from leakcheck.readings import CAPACITY
from leakcheck.spec import COUNTED, WINDOWS
from leakcheck.supervising import ENVIRONMENT, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(100)]

RISING = """
import contextlib, sys
from leakcheck import child

child.CAPACITY = int(sys.argv.pop())
last, rounds, kept = int(sys.argv.pop()), 0, []

@contextlib.contextmanager
def rising(scale):
    def work():
        global rounds
        rounds += 1
        if rounds < last:
            kept.extend([object(), object(), object()])
    yield work

child.SCENARIOS["rising"] = rising
child.main()
"""


def _verdict(last: int, folder: Path, capacity: int = CAPACITY) -> tuple[int, dict[str, bool]]:
    """Return how many rounds were not counted, and what held, of blocks that rise up to a round."""
    result = folder / "result.json"
    spec = {
        "scenario": "rising",
        "seconds": 0.1,
        "scale": 1.0,
        "cap": 384 * 2**20,
        "patience": 90.0,
        "output": str(folder),
        "label": "test",
        "result": str(result),
    }
    subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", RISING, json.dumps(spec), str(last), str(capacity)],
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    found = json.loads(result.read_text(encoding="utf-8"))
    return found["warm_up"], {check["name"]: check["passed"] for check in found["checks"]}


def test_a_rise_that_ends_is_no_leak(tmp_path: Path) -> None:
    first = child._WARM_UP + child._SETTLING

    warm_up, held = _verdict(first + COUNTED, tmp_path)

    assert warm_up == first + COUNTED
    assert all(held.values())


def test_a_rise_that_goes_on_is_one(tmp_path: Path) -> None:
    first = child._WARM_UP + child._SETTLING

    warm_up, held = _verdict(10_000, tmp_path)

    assert warm_up == first + (WINDOWS - 1) * COUNTED
    assert [name for name, passed in held.items() if not passed] == ["blocks"]


def test_where_no_more_rounds_can_be_kept_those_that_are_there_are_judged(tmp_path: Path) -> None:
    first = child._WARM_UP + child._SETTLING

    warm_up, held = _verdict(10_000, tmp_path, capacity=first + COUNTED)

    assert warm_up == first
    assert [name for name, passed in held.items() if not passed] == ["blocks"]
