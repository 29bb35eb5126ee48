"""Try what the library guarantees, again and again, and keep what came of it.

    python -m reliability hammers --count 10000     each test marked `racing`, so many times
    python -m reliability hammers [FILE …]          those in some files
    python -m reliability soak --minutes 60         millions of messages, each key's order checked
    python -m reliability suite [--dev] [FOLDER …]  the tests once, with `-X dev` perhaps
    python -m reliability page                      the tables of docs/reliability.md

What ran is kept in reliability/results, a file for each build, and is of the interpreter that runs
this: a debug build, or one with ThreadSanitizer, is another build. `--minutes` ends a run early;
what is kept is what was run. `--add` adds a run to the one that is kept: a long one in parts; of
the suite, the folders that have not run yet. The exit status is 1 if something failed.
"""

import argparse
import dataclasses
import datetime as dt
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from typing import Final

from benchmarks import machine, soak
from reliability import page
from reliability.passes import (
    ROOT,
    Tally,
    folder_of,
    hammer_functions,
    run_pytest,
    suite_parts,
)
from reliability.results import Failure, Folder, Run, kept, load, save

MESSAGES: Final = 2_000_000
KEYS: Final = 10_000
"""Of one round of the soak."""

PART_SECONDS: Final = 3 * 3600
"""A folder of tests that takes longer is stuck."""


def main(words: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m reliability",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, dest="command")
    hammers = commands.add_parser("hammers")
    hammers.add_argument("--count", type=int, default=10_000, help="runs of each case (10,000)")
    hammers.add_argument("--chunk", type=int, default=10, help="of these, in a process (10)")
    hammers.add_argument("--minutes", type=float, default=float("inf"), help="end after these")
    hammers.add_argument("--add", action="store_true", help="to what is kept of them")
    hammers.add_argument("places", nargs="*", metavar="FILE", help="those in there, not all")
    soaking = commands.add_parser("soak")
    soaking.add_argument("--minutes", type=float, default=60.0, help="go on for these (60)")
    soaking.add_argument("--add", action="store_true", help="to what is kept of it")
    suite = commands.add_parser("suite")
    suite.add_argument("--dev", action="store_true", help="with -X dev")
    suite.add_argument("--timeout", type=float, default=600.0, help="of a test, in seconds (600)")
    suite.add_argument(
        "--minutes", type=float, default=240.0, help="begin no folder after these (240)"
    )
    suite.add_argument("--add", action="store_true", help="the folders that have not run")
    suite.add_argument("folders", nargs="*", metavar="FOLDER", help="instead of all, or of those")
    commands.add_parser("page")
    arguments = parser.parse_args(words)
    if arguments.command == "page":
        page.PAGE.write_text(page.rendered(page.PAGE.read_text("utf-8"), load()), "utf-8")
        return 0
    run = RUNS[arguments.command](arguments)
    print(f"{facts()['Build']}, {run.what}: {run.runs or run.messages:,} in {run.seconds:.0f} s,")
    print(f"{len(run.failures)} failures")
    for failure in run.failures[:10]:
        print(f"--- {failure.test}\n{failure.text}")
    return 1 if run.failures else 0


def _hammers(arguments: argparse.Namespace) -> Run:
    """Run each hammer; what was run is kept after each chunk."""
    functions, tally, done = hammer_functions(arguments.places), Tally(), 0
    before = _before("hammers", add=arguments.add)
    where = f", of {', '.join(arguments.places)}" if arguments.places else ""
    run = _begun("hammers", f"{arguments.count:,} times each{where}")
    ending = time.monotonic() + arguments.minutes * 60
    start = time.monotonic()
    while done < arguments.count and time.monotonic() < ending:
        count = min(arguments.chunk, arguments.count - done)
        repeat = [f"--count={count}", "--timeout=600"]
        run_pytest(tally, ["-m", "racing", *repeat, *functions], seconds=1800 * count)
        done += count
        run = _kept(run, tally, start, before)
    return run


def _suite(arguments: argparse.Namespace) -> Run:
    """Run the tests once, a folder of them in a process; what was run is kept after each."""
    options = ["-X", "dev"] if arguments.dev else []
    what = f"suite{' -X dev' * arguments.dev}"
    before = _before(what, add=arguments.add)
    ran = before.folders if before and not arguments.folders else {}
    parts = {folder_of(part): part for part in suite_parts()}
    chosen = [name.rstrip("/") for name in arguments.folders] or [
        name for name in parts if name not in ran
    ]
    run, start = _begun(what, f"{len(parts)} folders"), time.monotonic()
    for name in chosen:
        if time.monotonic() - start > arguments.minutes * 60:
            break
        tally, begun = Tally(), time.monotonic()
        words = [f"--timeout={arguments.timeout:g}", *parts.get(name, [name])]
        run_pytest(tally, words, options=options, seconds=PART_SECONDS)
        run = _with_folder(run, name, tally, time.monotonic() - begun)
        save(facts(), run.after(before) if before else run)
        print(f"{name}: {run.folders[name].tests} in {run.folders[name].seconds:.0f} s", flush=True)
    return run


def _with_folder(run: Run, name: str, tally: Tally, seconds: float) -> Run:
    """Return a run of the suite with one folder more, or that folder anew."""
    ran = Folder(
        tests=tally.runs.total(),
        failures=len(tally.failures),
        seconds=round(seconds, 1),
        commit=run.commit,
        stride=int(os.environ.get("TESTS_STRIDE", "1")),
    )
    return dataclasses.replace(
        run,
        seconds=round(run.seconds + seconds, 1),
        runs=run.runs + ran.tests,
        folders={**run.folders, name: ran},
        failures=run.failures + tuple(tally.failures),
    )


def _soak(arguments: argparse.Namespace) -> Run:
    """Soak round after round, each with a pool of its own, until the time is over."""
    before = _before("soak", add=arguments.add)
    run = _begun("soak", f"{arguments.minutes:g} minutes")
    start, messages, failures = time.monotonic(), 0, list[Failure]()
    while time.monotonic() - start < arguments.minutes * 60:
        sent, _, faults = soak.soak(MESSAGES, KEYS)
        messages += sent
        failures += [Failure("soak", fault) for fault in faults]
        run = dataclasses.replace(
            run,
            seconds=round(time.monotonic() - start, 1),
            messages=messages,
            failures=tuple(failures),
        )
        save(facts(), run.after(before) if before else run)
    return run


RUNS: Final = {"hammers": _hammers, "soak": _soak, "suite": _suite}


def _begun(what: str, asked: str) -> Run:
    return Run(
        what=what,
        date=dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=_commit(),
        load=round(os.getloadavg()[0], 2),
        seconds=0.0,
        asked=asked,
    )


def _before(what: str, *, add: bool) -> Run | None:
    return kept(facts()).get(what) if add else None


def _kept(run: Run, tally: Tally, start: float, before: Run | None) -> Run:
    """Return and save the run of hammers with what the tally has by now."""
    hammers = tally.hammers()
    run = dataclasses.replace(
        run,
        seconds=round(time.monotonic() - start, 1),
        tests=sum(each.cases for each in hammers.values()),
        runs=sum(hammer.runs for hammer in hammers.values()),
        hammers=hammers,
        failures=tuple(tally.failures),
    )
    save(facts(), run.after(before) if before else run)
    return run


def facts() -> dict[str, str]:
    """Return which build this is, and on which machine."""
    kinds = {
        "debug": bool(sysconfig.get_config_var("Py_DEBUG")),
        "tsan": "thread-sanitizer" in (sysconfig.get_config_var("CONFIG_ARGS") or ""),
    }
    known = machine.facts()
    return {
        "Build": " ".join([known["Build"], *(kind for kind, there in kinds.items() if there)]),
        **{name: known[name] for name in ("Machine", "Cores", "Memory", "System")},
    }


def _commit() -> str:
    """Return the last commit of the library, `+` behind it if there are changes beside it."""
    changed = _git("status", "--porcelain", "--", "src")
    return f"{_git('log', '-1', '--format=%h', '--', 'src') or 'unknown'}{'+' * bool(changed)}"


def _git(*words: str) -> str:
    """Return what git says, or nothing where there is no git, or no repository."""
    if shutil.which("git") is None:
        return ""
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
