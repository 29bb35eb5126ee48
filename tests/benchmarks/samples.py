"""Runs that are made up."""

from benchmarks.results import Comparison, Figures, Role, Run, WorkloadResult

OURS = Figures("Pool <ours>", Role.OURS, (1.0, 2.0, 4.0))
SLOW_PEER = Figures("slow & steady", Role.PEER, (20.0, 20.0, 20.0))
PEER = Figures("peer", Role.PEER, (10.0, 10.0, 10.0))
IDEAL = Figures("ideal", Role.IDEAL, (1.0, 1.0, 1.0))
DESIGN = Figures("not kept", Role.DESIGN, (3.0, 3.0, 3.0))
EVERYONE = (SLOW_PEER, PEER, IDEAL, OURS, DESIGN)


def comparison(title: str = "10 × 5", **options: object) -> Comparison:
    return Comparison(title, "ms", EVERYONE, **options)  # type: ignore[arg-type]


def growth(title: str, x: float) -> Comparison:
    return comparison(title, series="growth", x=x, x_label="keys", higher_is_better=True)


def nothing() -> Comparison:
    zero = Figures("zero", Role.OURS, (0.0, 0.0, 0.0))
    return Comparison("all is nothing", "%", (zero, Figures("none", Role.PEER, (0.0, 0.0, 0.0))))


def run(build: str = "3.14.4t", *extra: Comparison) -> Run:
    workload = WorkloadResult(
        "original",
        "Sends <messages> & waits.",
        (
            comparison(published=65.0, published_name="Haskell original"),
            growth("at 1", 1),
            growth("at 1000", 1000),
            nothing(),
            *extra,
        ),
    )
    facts = {"Build": build, "GIL": "off", "Cores": "2", "Date": "today", "Machine": "<x86_64>"}
    return Run(facts, 3, 1.0, (workload,))
