"""Running an example as a user does."""

import os
import subprocess
import sys
from pathlib import Path

import threadpool_mb


def what_is_printed(path: Path) -> tuple[str, str, int]:
    """Run an example with warnings as errors; return its output, its errors, and its status."""
    package = str(Path(threadpool_mb.__file__).parents[1])
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-W", "error", str(path)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": package},
    )
    return done.stdout, done.stderr, done.returncode
