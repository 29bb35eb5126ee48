"""Running the scenarios of `patched.py`, each in an interpreter of its own."""

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parent / "patched.py"

SCENARIOS = [
    "messages",
    "senders",
    "calls",
    "a_call_that_times_out",
    "bounds_and_rates",
    "tasks",
    "a_thread_that_sleeps_holds_nobody_up",
    "mailboxes_by_hand",
    "a_broker",
]


def run(library: str, scenario: str) -> "subprocess.CompletedProcess[str]":
    """Run a scenario where the library has patched all that it patches."""
    return subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, str(PROGRAM), library, scenario],
        capture_output=True,
        text=True,
        check=False,
    )
