"""What is to be seen while scenarios run, and the plain log of it."""

import sys
import time
from pathlib import Path
from typing import Final, final

from leakcheck.results import ScenarioResult

_EVERY: Final = 15.0
"""Seconds between two lines about one scenario where the output is no terminal."""
_MIB: Final = 2**20


@final
class Progress:
    """Prints where the run is; on a terminal the line of the scenario that runs is kept up to date.

    What is to stay goes into the log, too.
    """

    def __init__(self, log: Path) -> None:
        """Begin a log."""
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("", encoding="utf-8")
        self._log: Final = log
        self._terminal: Final = sys.stdout.isatty()
        self._last = 0.0

    def say(self, text: str) -> None:
        """Print a text, and log it."""
        self._clear()
        print(text, flush=True)
        self.log(text)

    def log(self, text: str) -> None:
        """Log a text, and do not print it."""
        with self._log.open("a", encoding="utf-8") as log:
            log.write(text + "\n")

    def begin(self, name: str, number: int, count: int, seconds: float) -> None:
        """Say that a scenario begins."""
        self._last = time.monotonic()
        self._show(f"[{number}/{count}] {name}: up to {seconds:.0f} s or some rounds more …")

    def tick(self, name: str, rounds: int, seconds: float) -> None:
        """Say how far a scenario is, if it is time to."""
        now = time.monotonic()
        if self._terminal or now > self._last + _EVERY:
            self._last = now
            self._show(f"      {name}: {rounds} rounds, {seconds:.0f} s")

    def end(self, result: ScenarioResult) -> None:
        """Say what came of a scenario."""
        peak = max(result.series.data, default=0)
        self.say(
            f"{result.name:<20} {result.counted:>5} rounds, slope {result.slope:+.3f} blocks,"
            f" peak {result.peak_resident / _MIB:.0f} MiB (data {peak / _MIB:.0f}):"
            f" {result.verdict}"
        )
        for check in result.checks:
            text = f"    {'ok  ' if check.passed else 'FAIL'} {check.name}: {check.found}"
            self.log(text) if check.passed else self.say(text)
        for text in result.evidence:
            self.say("    " + text.replace("\n", "\n    "))

    def _show(self, text: str) -> None:
        self._clear()
        print(text, end="" if self._terminal else "\n", flush=True)

    def _clear(self) -> None:
        if self._terminal:
            print("\r\x1b[2K", end="")
