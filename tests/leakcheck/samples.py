"""Results that are made up."""

from collections.abc import Sequence

from leakcheck.results import Check, Growth, Run, ScenarioResult, Series

MIB = 2**20


def series(blocks: Sequence[int], threads: Sequence[int] = ()) -> Series:
    count = len(blocks)
    return Series(
        seconds=tuple(float(number) for number in range(count)),
        blocks=tuple(blocks),
        objects=(7,) * count,
        threads=tuple(threads) or (2,) * count,
        files=(5,) * count,
        resident=(30 * MIB,) * count,
        data=(40 * MIB,) * count,
    )


CLEAN = ScenarioResult(
    name="clean",
    description="Does <this> & that.",
    warm_up=2,
    series=series([90, 100, 101, 100, 101]),
    checks=(
        Check("ran", passed=True, found="to the end"),
        Check("blocks", passed=True, found="+0.0"),
    ),
    slope=0.0,
    peak_resident=31 * MIB,
)
LEAKY = ScenarioResult(
    name="leaky",
    description="Keeps things.",
    warm_up=1,
    series=series([10, 50, 100, 150]),
    checks=(
        Check("ran", passed=True, found="to the end"),
        Check("objects", passed=False, found="Box 0 → 9"),
    ),
    slope=50.0,
    peak_resident=64 * MIB,
    growth=(Growth("Box", 0, 9),),
    evidence=("Box is held by\nmodule.kept: list[9]",),
)
DEAD = ScenarioResult(
    name="dead",
    description="Does not come far.",
    warm_up=0,
    series=series([]),
    checks=(Check("ran", passed=False, found="the process ended with status -9"),),
    slope=0.0,
    peak_resident=0,
)


def run(build: str = "3.14.4t", *scenarios: ScenarioResult) -> Run:
    facts = {"Build": build, "GIL": "off", "Date": "today", "Machine": "<x86_64>"}
    return Run(facts, 384 * MIB, 600.0, 1.0, scenarios or (CLEAN, LEAKY, DEAD))
