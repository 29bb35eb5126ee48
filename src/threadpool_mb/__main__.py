"""The command line: `python -m threadpool_mb demo` and `python -m threadpool_mb info`."""

import argparse
import functools
import importlib.metadata
import io
import itertools
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from threadpool_mb.demo import report
from threadpool_mb.demo.report import Progress
from threadpool_mb.demo.run import Job, cores, run_in_pool, run_on_one_thread, warm_up
from threadpool_mb.demo.tally import TEST_SUITE, Sources, find_sources, standard_library
from threadpool_mb.demo.watched import run_watched

__all__ = ["main"]

_LAST_PORT: Final = 65_535
_FAILED: Final = 1
_BAD_ARGUMENTS: Final = 2
_INTERRUPTED: Final = 130  # as a shell reports a program that SIGINT ended
_PIPE_CLOSED: Final = 141  # as a shell reports a program that SIGPIPE ended


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(_BAD_ARGUMENTS, f"{self.prog}: {' '.join(message.split())}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    Raises:
        SystemExit: with status 2 if the arguments are bad, with 0 after `--help`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may be in any script
    try:
        try:
            return _run(arguments)
        finally:
            _flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # What is still in the buffer has no reader; at exit it must go somewhere.
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return _PIPE_CLOSED


def _run(arguments: Sequence[str] | None) -> int:
    parser = _Parser(
        prog="python -m threadpool_mb",
        description="Keyed worker pools for free-threaded Python.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{demo,info}")
    demo = commands.add_parser(
        "demo",
        help="tally source files by package, in a pool and on one thread",
        description="Tally the .py files of the standard library by top-level package: each"
        " package is a key, its files are the messages, a worker parses and counts them. Then the"
        " same on one thread. Nesting is the most blocks around one statement: functions, classes,"
        " if, loops, with, try and match.",
    )
    demo.add_argument(
        "--path", type=Path, metavar="DIR", help="another tree; all of its .py files are read"
    )
    demo.add_argument(
        "--top", type=_at_least_one, default=15, metavar="N", help="rows of the table (default: 15)"
    )
    demo.add_argument(
        "--with-tests",
        action="store_true",
        help="also read the standard library's own test suite, the package `test`: it is"
        " three quarters of the whole and one key, so no more than 1.3 times as fast in a pool",
    )
    demo.add_argument(
        "--verbose", action="store_true", help="list all files that could not be read, not only ten"
    )
    demo.add_argument(
        "--dashboard",
        type=_port,
        nargs="?",
        const=0,
        metavar="PORT",
        help="tally again and again in one pool, until Ctrl-C, and serve a page that shows it",
    )
    commands.add_parser("info", help="print version, interpreter, GIL state and cores")
    options = parser.parse_args(arguments)
    if options.command == "info":
        _info()
        return 0
    root: Path = standard_library() if options.path is None else options.path
    if not root.is_dir():
        demo.error(f"{str(root)!r} is not a directory")
    leave_out = () if options.path is not None or options.with_tests else (TEST_SUITE,)
    sources = find_sources(root, without=leave_out)
    if not sources.files:
        demo.error(f"no .py file in {str(root)!r}")
    # What the parser warns of concerns the files, not this program. Set once, before any thread
    # starts: the filters are the whole process's, and `catch_warnings` in a thread would change
    # those of the other threads.
    for category in (SyntaxWarning, DeprecationWarning):
        warnings.simplefilter("ignore", category)
    if options.dashboard is not None:
        return _watched(sources, port=options.dashboard, parser=demo)
    return _demo(sources, top=options.top, verbose=options.verbose)


def _watched(sources: Sources, *, port: int, parser: _Parser) -> int:
    try:
        run_watched(Job.of(sources.files), port, functools.partial(print, flush=True))
    except KeyboardInterrupt:
        return 0  # that is how it is meant to end
    except OSError as error:
        parser.error(f"the dashboard cannot be served: {error}")


def _demo(sources: Sources, *, top: int, verbose: bool) -> int:
    files = len(sources.files)
    job, job_alone = Job.of(sources.files), Job.of(sources.files)
    warm_up(job)
    with Progress(sys.stderr, "in a pool    ", files, job.seen):
        seconds = run_in_pool(job)
    with Progress(sys.stderr, "on one thread", files, job_alone.seen):
        seconds_alone = run_on_one_thread(job_alone)

    print(report.table(job.tallies, top))
    print()
    unread = itertools.chain(sources.unread, *(tally.unread for tally in job.tallies.values()))
    print(report.unread_list(unread, everything=verbose))
    print()
    print(
        report.figures(
            messages=files,
            workers=len(job.packages),
            cores=cores(),
            pool_seconds=seconds,
            one_thread_seconds=seconds_alone,
        )
    )
    if job.tallies != job_alone.tallies:
        _flush()
        print("the tallies of the pool and of the one thread differ", file=sys.stderr)
        return _FAILED
    return 0


def _flush() -> None:
    if sys.stdout is not None:  # it is `None` where the program was started without a stdout
        sys.stdout.flush()


def _info() -> None:
    try:
        version = importlib.metadata.version("threadpool_mb")
    except importlib.metadata.PackageNotFoundError:
        version = "(not installed)"
    print(f"threadpool_mb {version}")
    print(report.interpreter())
    print(f"GIL {report.gil_state()}")
    print(f"cores {cores()}")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 <= int(text) <= _LAST_PORT:
        raise argparse.ArgumentTypeError(f"must be a port, 0 to {_LAST_PORT}, not {text!r}")
    return int(text)


def _at_least_one(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return number


if __name__ == "__main__":
    status: int = main()
    # After Ctrl-C, twice: the interpreter still waits for the file that each worker has in hand.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(status)
