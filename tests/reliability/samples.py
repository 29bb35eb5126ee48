"""Runs that nobody ran."""

from reliability.results import Build, Failure, Hammer, Run

HAMMERS = {
    "tests/racing/test_a.py::test_one": Hammer(cases=2, runs=2000, failures=0, seconds=3.5),
    "tests/racing/test_b.py::test_two": Hammer(cases=1, runs=1000, failures=3, seconds=1.0),
}


def run(what: str = "hammers", **others: object) -> Run:
    """Return a run of a kind."""
    known: dict[str, object] = {
        "what": what,
        "date": "2026-01-02 03:04 UTC",
        "commit": "abc1234",
        "load": 1.25,
        "seconds": 600.0,
        "asked": "1,000 times each",
        "tests": 3,
        "runs": 3000,
        "hammers": HAMMERS if what == "hammers" else {},
        "failures": (Failure("test_two", "assert 1 == 2"),),
    }
    return Run(**(known | others))  # type: ignore[arg-type]


def build(name: str = "3.14.4t", *runs: Run) -> Build:
    """Return a build on which these runs ran."""
    facts = {"Build": name, "Machine": "a machine", "Cores": "2"}
    return Build(facts, {each.what: each for each in runs or (run(),)})
