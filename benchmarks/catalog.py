"""All workloads, by name."""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Final

from benchmarks.results import Comparison
from benchmarks.workloads.commands import commands
from benchmarks.workloads.confluent import confluent
from benchmarks.workloads.cpu import cpu
from benchmarks.workloads.crowded import crowded
from benchmarks.workloads.dispatching import dispatch
from benchmarks.workloads.executor import executor
from benchmarks.workloads.growth import growth
from benchmarks.workloads.isolation import isolation
from benchmarks.workloads.lifecycle import lifecycle
from benchmarks.workloads.mailboxes import mailboxes
from benchmarks.workloads.million import million
from benchmarks.workloads.original import original
from benchmarks.workloads.producers import producers
from benchmarks.workloads.threads import threads

type Workload = Callable[[int, float], Iterator[Comparison]]
"""Takes the number of counted rounds and a scale; its docstring is its description."""

WORKLOADS: Final[dict[str, Workload]] = {
    workload.__name__: workload
    for workload in (
        original,
        lifecycle,
        mailboxes,
        confluent,
        isolation,
        million,
        cpu,
        producers,
        executor,
        commands,
        crowded,
        dispatch,
        threads,
        growth,
    )
}


def description(workload: Workload) -> str:
    """Return a workload's docstring as one paragraph of plain text."""
    return re.sub(r"\s+", " ", inspect.getdoc(workload) or "").replace("`", "")
