"""The page's tables show what was run, failures above all."""

import pytest

from reliability.page import duration, hammers_table, rendered, runs_table
from tests.reliability.samples import HAMMERS, build, run

PAGE = """before
<!-- runs: made -->
old
<!-- end of runs -->
between
<!-- hammers: made -->
<!-- end of hammers -->
behind
"""


def test_the_tables_stand_between_the_marks_and_the_rest_stays() -> None:
    builds = [build()]

    text = rendered(PAGE, builds)

    assert text.replace(runs_table(builds), "").replace(hammers_table(builds), "") == (
        PAGE.replace("old\n", "\n\n").replace(
            "<!-- hammers: made -->\n", "<!-- hammers: made -->\n\n\n"
        )
    )
    assert rendered(text, builds) == text


@pytest.mark.parametrize("mark", ["<!-- runs: made -->", "<!-- end of hammers -->"])
def test_a_page_that_lacks_a_mark_is_refused(mark: str) -> None:
    with pytest.raises(ValueError, match="0 places"):
        rendered(PAGE.replace(mark, ""), [build()])


def test_a_row_shows_how_much_was_run_and_how_much_failed() -> None:
    soak = run("soak", messages=4_000_000, tests=0, failures=())

    rows = runs_table([build("3.14.4t", run(), soak)]).splitlines()[2:]

    begun = "10 min | 1.2 | 2026-01-02 03:04 UTC | `abc1234` |"
    assert rows == [
        f"| 3.14.4t | hammers | 1,000 times each | 3 | 3,000, 1,000 of each | 1 | {begun}",
        f"| 3.14.4t | soak | 1,000 times each |  | 4,000,000 messages | 0 | {begun}",
    ]


def test_a_hammer_shows_its_runs_on_each_build_and_its_failures() -> None:
    one = dict(list(HAMMERS.items())[:1])
    builds = [build("3.13.9t"), build("3.14.4t", run(hammers=one)), build("3.14.4", run("suite"))]

    lines = hammers_table(builds).splitlines()

    assert lines == [
        "| hammer | cases | runs on 3.13.9t | runs on 3.14.4t |",
        "|---|---|---|---|",
        "| `racing/test_a.py`: `test_one` | 2 | 2,000 | 2,000 |",
        "| `racing/test_b.py`: `test_two` | 1 | 1,000, 3 FAILED | not run |",
    ]


def test_times_are_said_as_a_reader_says_them() -> None:
    assert [duration(seconds) for seconds in (4.4, 89, 100, 3600)] == [
        "4 s",
        "89 s",
        "2 min",
        "60 min",
    ]
