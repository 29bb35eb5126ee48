"""Runs each scenario in a process of its own, under a cap and a limit of patience.

**The cap** is `RLIMIT_DATA`: private memory that can be written to. `RLIMIT_AS` would make
free-threaded builds hang, because their allocator reserves a gigabyte of addresses for a start. It
is told to reserve little, and to ask for memory only when it is needed: otherwise it would take
40 MB of the cap for each thread, though it uses one or two.

**The limit of patience.** A process that does not come to the end of a round shows all its stacks
and ends; if it does not even do that, it is killed once nothing has been heard of it for longer.
The limit is of one round, not of all of them: a process that is stuck ends no round, while one that
other work holds up ends each one late. However many others there are, it gets its share.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from leakcheck.catalog import SCENARIOS, description
from leakcheck.results import Check, ScenarioResult, Series, scenario_result
from leakcheck.spec import COUNTED, Spec

ROOT: Final = Path(__file__).parents[1]
ENVIRONMENT: Final = {
    "MIMALLOC_ARENA_RESERVE": "32768",  # KiB
    "MIMALLOC_ARENA_EAGER_COMMIT": "0",
    "MIMALLOC_EAGER_COMMIT": "0",
    "MALLOC_ARENA_MAX": "1",
    "PYTHON_TLBC": "0",
}
"""How little the allocators are to hold back. And no bytecode for each thread (TLBC): 3.14t makes
it when a thread first runs a function, and it counts as blocks: hundreds, until all have run all.
"""

_EXTRA: Final = 15.0
"""Seconds from the limit to the kill."""


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What all scenarios have to keep to."""

    seconds: float
    """How long one is to go on."""
    scale: float
    cap: int
    """Bytes."""
    patience: float
    """Seconds that a round of it may take, or what comes before the first or after the last one."""
    counted: int = COUNTED
    """Rounds of it that are counted, at least."""


def run(
    name: str,
    limits: Limits,
    output: Path,
    label: str,
    *,
    seed: str = "",
    progress: Callable[[int, float], object] = lambda _rounds, _seconds: None,
) -> tuple[ScenarioResult, str]:
    """Run one scenario; return its result, and what it has written to stderr.

    Args:
        name: of the scenario.
        limits: how long, and how large.
        output: where what is found goes.
        label: what files there begin with.
        seed: leak that is planted, if any.
        progress: called now and then with the rounds and the seconds so far.
    """
    with tempfile.TemporaryDirectory() as folder:
        spec = Spec(
            scenario=name,
            seconds=limits.seconds,
            scale=limits.scale,
            cap=limits.cap,
            patience=limits.patience,
            output=str(output),
            label=label,
            result=str(Path(folder) / "result.json"),
            counted=limits.counted,
            seed=seed,
        )
        output.mkdir(parents=True, exist_ok=True)
        with (Path(folder) / "stderr").open("w+", encoding="utf-8") as errors:
            status = _process(spec, errors.fileno(), progress)
            errors.seek(0)
            told = errors.read()
        try:
            result = scenario_result(json.loads(Path(spec.result).read_text("utf-8")))
        except OSError:
            result = _nothing(name, f"the process ended with status {status}")
    return result, told


def _process(spec: Spec, errors: int, progress: Callable[[int, float], object]) -> int:
    environment = os.environ | ENVIRONMENT
    paths = [str(ROOT), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    command = [sys.executable, "-m", "leakcheck.child", json.dumps(dataclasses.asdict(spec))]
    with subprocess.Popen(  # noqa: S603 - this very interpreter
        command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
    ) as process:
        try:
            with _killed_if_silent(process, spec.patience + _EXTRA) as heard:
                for line in process.stdout or ():
                    heard()
                    said = json.loads(line)
                    progress(said["rounds"], said["seconds"])
                return process.wait()
        except BaseException:
            process.kill()
            raise


@contextlib.contextmanager
def _killed_if_silent(
    process: subprocess.Popen[str], seconds: float
) -> Iterator[Callable[[], None]]:
    """Kill the process once it has not been heard of for so long."""
    heard, over = threading.Event(), False

    def watch() -> None:
        while heard.wait(seconds):
            heard.clear()
            if over:  # was set before it was told: it is seen after it was forgotten again
                return
        process.kill()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield heard.set
    finally:
        over = True
        heard.set()
        watcher.join()


def _nothing(name: str, why: str) -> ScenarioResult:
    return ScenarioResult(
        name=name,
        description=description(SCENARIOS[name]),
        warm_up=0,
        series=Series((), (), (), (), (), (), ()),
        checks=(Check("ran", passed=False, found=why),),
        slope=0.0,
        peak_resident=0,
    )
