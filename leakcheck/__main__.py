"""Whether anything is kept that should go: `python -m leakcheck [SCENARIO …]`.

Runs each scenario round after round in a process of its own, under a cap, and writes a log, a JSON
and a page with plots. `python -m leakcheck page A.json B.json` makes one page, and a picture of one
scenario, of several runs: of several interpreters, for instance.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.machine import build, facts
from benchmarks.results import load
from leakcheck.catalog import SCENARIOS, description
from leakcheck.progress import Progress
from leakcheck.report.page import page
from leakcheck.report.picture import picture
from leakcheck.results import Run
from leakcheck.seeds import SEEDS
from leakcheck.supervising import ENVIRONMENT, Limits, run

OUTPUT: Final = Path(".leakcheck")
LONG: Final = 600.0
SHORT: Final = 55.0
"""Seconds for all scenarios."""
SHORT_SCALE: Final = 0.03
CAP: Final = 384
"""MiB."""
_PICTURED: Final = "original"
_MIB: Final = 2**20
_PATIENCE: Final = 90.0
"""Seconds that a round may take, or the search for culprits. A round of full size takes a few."""


def main(words: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    if words[:1] == ["page"]:
        return _merge(words[1:])
    return _run(words)


def _merge(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m leakcheck page")
    parser.add_argument("runs", nargs="+", type=Path, metavar="JSON", help="what a run wrote")
    _add_output(parser)
    arguments = parser.parse_args(words)
    try:
        runs = load(arguments.runs, Run.from_json)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    write(arguments.out / "leakcheck.html", page(runs))
    write(arguments.out / "leakcheck.svg", picture(runs, _PICTURED))
    print(f"wrote leakcheck.html and leakcheck.svg in {arguments.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m leakcheck",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--short", action="store_true", help=f"smaller rounds, for {SHORT:.0f} s in all"
    )
    length.add_argument(
        "--seconds", type=float, default=LONG, help=f"for all of them together ({LONG:.0f})"
    )
    parser.add_argument("--cap", type=int, default=CAP, metavar="MIB", help=f"memory ({CAP})")
    parser.add_argument("--list", action="store_true", help="say what the scenarios are, and end")
    # A leak that is planted, to see that it is found; tests/leakcheck.
    parser.add_argument("--seed", choices=SEEDS, default="", help=argparse.SUPPRESS)
    _add_output(parser)
    return parser


def _run(words: Sequence[str]) -> int:
    parser = _parser()
    arguments = parser.parse_args(words)
    unknown = [name for name in arguments.scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)} (there are: {', '.join(SCENARIOS)})")
    if arguments.seconds <= 0 or arguments.cap <= 0:
        parser.error("there must be some time, and some memory")
    if arguments.list:
        print("\n".join(f"{name}: {description(one)}" for name, one in SCENARIOS.items()))
        return 0
    if not Path("/proc/self/statm").exists():
        parser.error("it reads /proc, and so runs on Linux only")
    names = arguments.scenarios or list(SCENARIOS)
    seconds = SHORT if arguments.short else arguments.seconds
    scale = SHORT_SCALE if arguments.short else 1.0
    limits = Limits(seconds / len(names), scale, arguments.cap * _MIB, _PATIENCE)
    return _check(names, limits, arguments.out, arguments.seed, seconds)


def _check(names: Sequence[str], limits: Limits, out: Path, seed: str, seconds: float) -> int:
    label = build()
    progress = Progress(out / f"{label}.log")
    told = facts("threadpool_mb", "objgraph") | {
        "Environment": ", ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
    }
    for name, value in told.items():
        progress.say(f"{name}: {value}")
    progress.say(f"Cap: {limits.cap // _MIB} MiB of data, for {seconds:.0f} s in all\n")
    results = []
    for number, name in enumerate(names, 1):
        progress.begin(name, number, len(names), limits.seconds)
        result, errors = run(
            name,
            limits,
            out,
            label,
            seed=seed,
            progress=lambda rounds, so_far, name=name: progress.tick(name, rounds, so_far),
        )
        progress.end(result)
        if errors:
            say = progress.say if result.failed else progress.log
            say(f"    stderr:\n{errors.rstrip()}")
        results.append(result)
        # Each time, so that a run that is stopped leaves what it has found.
        made = Run(told, limits.cap, seconds, limits.scale, tuple(results))
        write(out / f"{label}.json", made.to_json())
        write(out / f"{label}.html", page([made]))
    progress.say(f"\nwrote {label}.json, .html and .log in {out}")
    failed = [result.name for result in results if result.failed]
    progress.say(f"failed: {', '.join(failed)}" if failed else f"{len(results)} scenarios clean")
    return 1 if failed else 0


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=OUTPUT, metavar="DIR", help=f"where to write ({OUTPUT})"
    )


def write(path: Path, text: str) -> None:
    """Write a file, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
