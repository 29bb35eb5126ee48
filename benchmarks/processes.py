"""Parts of a benchmark that run in a process of their own."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

CHECKOUT: Final = Path(__file__).parents[1]
LONGEST: Final = 600.0
"""Seconds after which a process is held to be stuck."""


def checkout_of(text: str) -> Path:
    """Return the absolute path of a checkout of the library; the type of a command's argument.

    Raises:
        argparse.ArgumentTypeError: if it has no library.
    """
    path = Path(text)
    if not (path / "src" / "threadpool_mb").is_dir():
        raise argparse.ArgumentTypeError(f"there is no src/threadpool_mb in {path}")
    return path.absolute()


def run_module(module: str, *words: str, library: Path | None = None) -> Any:  # noqa: ANN401 - what the module prints
    """Run a module of the benchmarks in a new process, and return the JSON that it prints.

    `library`: the checkout whose library it measures; `None`: the one that is found here.
    """
    env = None
    if library is not None:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(library / "src"), str(CHECKOUT)])}
    ended = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-m", module, *words],
        cwd=CHECKOUT,
        env=env,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=LONGEST,
    )
    return json.loads(ended.stdout)
