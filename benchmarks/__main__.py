"""How fast the library is beside its peers: `python -m benchmarks [WORKLOAD …]`.

Prints tables, and writes a JSON and a page with plots. `python -m benchmarks page A.json B.json`
makes one page of several runs, of several interpreters for instance.
"""

import argparse
import os
import sys
import time
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from benchmarks import machine, tables
from benchmarks.catalog import WORKLOADS, description
from benchmarks.peers import installed
from benchmarks.report.page import page
from benchmarks.results import Run, WorkloadResult, load

OUTPUT: Final = Path(".benchmarks")


def main(words: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    if words[:1] == ["page"]:
        return _merge(words[1:])
    return _run(words)


def _merge(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks page")
    parser.add_argument("runs", nargs="+", type=Path, metavar="JSON", help="what a run wrote")
    _add_output(parser)
    arguments = parser.parse_args(words)
    try:
        runs = load(arguments.runs, Run.from_json)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    _write(arguments.output / "benchmarks.html", page(runs))
    return 0


def _run(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds (5)")
    parser.add_argument("--scale", type=float, default=1.0, help="more or less work (1.0)")
    parser.add_argument("--cores", type=int, help="run on so many cores, and no more (all)")
    _add_output(parser)
    arguments = parser.parse_args(words)
    unknown = [name for name in arguments.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"no such workload: {', '.join(unknown)} (there are: {', '.join(WORKLOADS)})")
    if arguments.rounds < 1 or arguments.scale <= 0:
        parser.error("there must be a round at least, and something to do")

    if arguments.cores is not None and not 1 <= arguments.cores <= machine.cores():
        parser.error(f"--cores: there are {machine.cores()}")

    facts = _facts(arguments.cores)
    print("\n".join(f"{name}: {value}" for name, value in facts.items()))
    results, failed = _measure(
        arguments.workloads or list(WORKLOADS), arguments.rounds, arguments.scale
    )
    run = Run(facts, arguments.rounds, arguments.scale, tuple(results))
    print()
    _write(arguments.output / f"{run.build}.json", run.to_json())
    _write(arguments.output / f"{run.build}.html", page([run]))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _facts(cores: int | None) -> dict[str, str]:
    """Return what is to be known of the run; with `cores`, hold the process to so many first."""
    if cores is None:
        return machine.facts("threadpool_mb", "pykka") | installed.facts()
    # The processes and threads that it starts inherit this.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    facts = machine.facts("threadpool_mb", "pykka") | installed.facts()
    return facts | {"Build": f"{facts['Build']}-{cores}core{'s' * (cores > 1)}"}


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, metavar="DIR", help=f"where to write ({OUTPUT})"
    )


def _measure(
    names: Iterable[str], rounds: int, scale: float
) -> tuple[list[WorkloadResult], list[str]]:
    """Run workloads and print their tables; one that fails does not cost the others' figures."""
    results: list[WorkloadResult] = []
    failed: list[str] = []
    for name in names:
        print(f"\n== {name}")
        start = time.perf_counter()
        comparisons = []
        try:
            for comparison in WORKLOADS[name](rounds, scale):
                print(tables.table(comparison), flush=True)
                comparisons.append(comparison)
        except Exception:  # noqa: BLE001 - printed, and told by the exit status
            traceback.print_exc()
            failed.append(name)
        print(f"\n({time.perf_counter() - start:.0f} s)", flush=True)
        results.append(WorkloadResult(name, description(WORKLOADS[name]), tuple(comparisons)))
    return results, failed


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
