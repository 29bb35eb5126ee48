"""Print how fast the library is beside what one would write by hand: `python -m benchmarks`."""

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterable
from typing import Final

from benchmarks import mailboxes, pools, threads
from benchmarks.measuring import Result

WORKLOADS: Final[dict[str, Callable[[int, float], Iterable[tuple[str, list[Result]]]]]] = {
    "unlimited": mailboxes.unlimited,
    "bounded": mailboxes.bounded,
    "dispatch": pools.dispatching,
    "threads": threads.reusing,
}


def main() -> None:
    """Run the workloads that were asked for, and print a table of each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds (7)")
    parser.add_argument("--scale", type=float, default=1.0, help="more or fewer messages (1.0)")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"no such workload: {', '.join(unknown)} (there are: {', '.join(WORKLOADS)})")

    print(
        f"{platform.python_implementation()} {platform.python_version()},"
        f" GIL {'on' if sys._is_gil_enabled() else 'off'},"  # noqa: SLF001 - the documented way
        f" {os.process_cpu_count()} cores, {platform.machine()},"
        f" load {os.getloadavg()[0]:.1f}, {arguments.rounds} rounds"
    )
    for name in arguments.workloads or WORKLOADS:
        for title, results in WORKLOADS[name](arguments.rounds, arguments.scale):
            print(f"\n{title}")
            print(f"  {'':40} {'ns each':>10}  {'speed, relative':>15}  {'lowest … highest':>18}")
            for result in results:
                print(
                    f"  {result.name:40} {result.nanoseconds:10,.0f}  {result.ratio:15.2f}"
                    f"  {result.lowest:8.2f} … {result.highest:.2f}"
                )


if __name__ == "__main__":
    main()
