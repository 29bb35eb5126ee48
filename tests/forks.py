"""Programs that fork, each in a process of its own."""

import os
import subprocess
import sys
import textwrap
from typing import Final

from tests import helpers

PRELUDE: Final = """
import asyncio, contextlib, itertools, os, signal, sys, threading, traceback, warnings
import threadpool_mb as mb
from tests.helpers import DEADLINE, Running, until

warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads

def counting():
    \"\"\"Hold what counts lines, if anything does: a child needs its lock (coverage 7.17).\"\"\"
    coverage = sys.modules.get("coverage")
    counts = coverage and coverage.Coverage.current()
    held = contextlib.ExitStack()
    for tracer in counts._collector.tracers if counts else ():
        if type(tracer.lock) is not type(threading.RLock()):
            tracer.lock = threading.RLock()  # what runs at a fork is counted, too
        held.enter_context(tracer.lock)
    return held

def fork():
    \"\"\"Fork; a child that hangs is killed.\"\"\"
    sys.stdout.flush()
    sys.stderr.flush()
    with counting():
        pid = os.fork()
    if not pid:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(round(DEADLINE * 2 / 3))
    return pid

def status(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def in_child(function):
    \"\"\"Run a function in a child, and return the child's exit code.\"\"\"
    pid = fork()
    if pid:
        return status(pid)
    try:
        function()
    except BaseException:
        traceback.print_exc()
        os._exit(70)
    sys.stdout.flush()
    os._exit(0)

def told(function, *arguments, **keywords):
    \"\"\"Print what a function returns, or raises.\"\"\"
    try:
        print("returned", function(*arguments, **keywords), flush=True)
    except BaseException as error:
        print(type(error).__name__, "made before os.fork()" in str(error), flush=True)

class Ask(mb.Command[str]):
    pass
"""


def run(program: str, *options: str, returncode: int = 0, stderr: str = "") -> list[str]:
    """Run a program and return the lines that it prints; fail if it hangs."""
    # Without a buffer `print` writes a line in two parts, and those of two processes get mixed.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(  # noqa: S603 - the interpreter that runs this test
        [sys.executable, *options, "-c", PRELUDE + textwrap.dedent(program)],
        check=False,
        capture_output=True,
        text=True,
        timeout=helpers.DEADLINE + 3,
        env=buffered,
    )
    assert (done.returncode, done.stderr) == (returncode, stderr), done.stdout + done.stderr
    return done.stdout.splitlines()
