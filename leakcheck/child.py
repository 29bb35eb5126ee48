"""The process of one scenario: `python -m leakcheck.child SPEC`, with the spec as JSON.

Prints a line of JSON now and then, to say how far it is; what has come out goes into a file.
"""

import collections
import dataclasses
import faulthandler
import json
import logging
import os
import resource
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final

from leakcheck import culprits
from leakcheck.catalog import SCENARIOS, description
from leakcheck.judging import judge
from leakcheck.readings import CAPACITY, Readings
from leakcheck.results import Check, ScenarioResult
from leakcheck.seeds import SEEDS
from leakcheck.spec import WINDOWS, Spec

_WARM_UP: Final = 20
"""Rounds that are not counted, at least. A pool counts some twenty things, and a number above 256
is a block of its own: by then the counters of pools that live over all rounds are there."""
_SETTLING: Final = 8
"""... and those after what is counted from was noted, which makes objects of its own."""
_WARM_UP_PART: Final = 0.15
"""Of the time, that is not counted, at least; or a quarter of the rounds that can be kept."""
_MORE: Final = 3
"""Rounds that are done once more when containers are looked for that grow."""
_STACK: Final = 512 * 1024
"""Bytes of a thread's stack: all of it counts against the cap."""
_EVERY: Final = 0.25
"""Seconds between two lines of progress."""


def main() -> None:
    """Run the scenario that the argument says, and write the result."""
    spec = Spec(**json.loads(sys.argv[1]))
    _prepare(spec)
    result = _run(spec)
    Path(spec.result).write_text(json.dumps(dataclasses.asdict(result)), encoding="utf-8")
    sys.stdout.flush()
    # Leaked threads must not keep the process.
    os._exit(0)


def _prepare(spec: Spec) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (spec.cap, spec.cap))
    threading.stack_size(_STACK)
    _watch(spec)
    warnings.simplefilter("ignore", ResourceWarning)  # some scenarios leave things unclosed
    # All that the library logs is formatted, and goes nowhere.
    logging.basicConfig(
        stream=Path(os.devnull).open("w", encoding="utf-8"),  # noqa: SIM115 - for good
        level=logging.DEBUG,
    )
    if spec.seed:
        SEEDS[spec.seed]()


def _watch(spec: Spec) -> None:
    """Give the process its patience anew.

    For each round: how many there are is bounded. What is stuck comes to the end of none; a process
    that a busy machine holds up comes to it late.
    """
    faulthandler.dump_traceback_later(spec.patience, exit=True)


def _run(spec: Spec) -> ScenarioResult:
    scenario = SCENARIOS[spec.scenario]
    failure = ""
    evidence: list[str] = []
    readings: Readings | None = None
    warm_up = 0
    slope, checks = 0.0, ()
    try:
        with scenario(spec.scale) as work:
            readings = Readings()
            warm_up = _warm_up(spec, readings, work)
            _rounds(spec, readings, work, spec.counted)
            for window in range(WINDOWS):
                if window:
                    counted = readings.count - warm_up
                    if readings.count + counted > CAPACITY:
                        break
                    warm_up = readings.count
                    _rounds(spec, readings, work, counted)
                slope, checks = judge(
                    readings.series(), warm_up, list(readings.growth.values()), readings.expected
                )
                if _failed(checks) != {"blocks"}:
                    break
            _watch(spec)
            evidence = _evidence(spec, readings, checks, work)
    except BaseException as error:  # noqa: BLE001 - it is the result
        failure = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    if readings is None:
        readings = Readings()
    return ScenarioResult(
        name=spec.scenario,
        description=description(scenario),
        warm_up=warm_up,
        series=readings.series(),
        checks=(Check("ran", not failure, failure or "to the end"), *checks),
        slope=slope,
        peak_resident=readings.peak(),
        growth=tuple(readings.growth.values()),
        evidence=tuple(evidence),
    )


def _warm_up(spec: Spec, readings: Readings, work: Callable[[], object]) -> int:
    """Do the rounds that are not counted; return how many there were."""
    while readings.count < _WARM_UP or (
        readings.elapsed < _WARM_UP_PART * spec.seconds and readings.count < CAPACITY // 4
    ):
        _round(spec, readings, work)
    readings.begin_to_count()
    for _ in range(_SETTLING):
        _round(spec, readings, work)
    return readings.count


def _rounds(spec: Spec, readings: Readings, work: Callable[[], object], counted: int) -> None:
    """Do so many rounds that are counted, and more while there is time."""
    last = min(readings.count + counted, CAPACITY)
    while readings.count < last or (readings.elapsed < spec.seconds and readings.count < CAPACITY):
        _round(spec, readings, work)


def _round(spec: Spec, readings: Readings, work: Callable[[], object]) -> None:
    _watch(spec)
    before = readings.elapsed // _EVERY
    work()
    readings.take()
    if readings.elapsed // _EVERY > before:
        print(json.dumps({"rounds": readings.count, "seconds": readings.elapsed}), flush=True)


def _failed(checks: tuple[Check, ...]) -> set[str]:
    return {check.name for check in checks if not check.passed}


def _evidence(
    spec: Spec, readings: Readings, checks: tuple[Check, ...], work: Callable[[], object]
) -> list[str]:
    failed = _failed(checks)
    path = Path(spec.output) / f"{spec.label}-{spec.scenario}"
    texts: list[str] = []
    if "objects" in failed:
        texts += culprits.of_classes(readings.newest(), path)
    elif "blocks" in failed and "threads" not in failed:
        texts += culprits.of_containers(lambda: [work() for _ in range(_MORE)], path)
    if "threads" in failed:
        names = collections.Counter(thread.name for thread in threading.enumerate())
        texts.append("threads: " + ", ".join(f"{count} × {name}" for name, count in names.items()))
    if "files" in failed:
        texts.append("files: " + ", ".join(sorted(map(_link, Path("/proc/self/fd").iterdir()))))
    return texts


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:  # that of the listing itself
        return "gone"


if __name__ == "__main__":
    main()
