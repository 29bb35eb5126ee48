"""The page's tables show what was run, failures above all."""

import pytest

from reliability.page import duration, folders_table, hammers_table, rendered, runs_table
from reliability.passes import folder_of, suite_parts
from reliability.results import Folder
from tests.reliability.samples import HAMMERS, build, run

PAGE = """before
<!-- runs: made -->
old
<!-- end of runs -->
between
<!-- folders: made -->
<!-- end of folders -->
<!-- hammers: made -->
<!-- end of hammers -->
behind
"""


def test_the_tables_stand_between_the_marks_and_the_rest_stays() -> None:
    builds = [build()]

    text = rendered(PAGE, builds)

    rest = text
    for table in (runs_table, folders_table, hammers_table):
        rest = rest.replace(table(builds), "")
    assert rest == PAGE.replace("old\n", "").replace("made -->\n", "made -->\n\n\n")
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


def test_a_folder_shows_how_many_of_its_tests_ran_on_which_builds() -> None:
    ran = {
        "tests/pool": Folder(1700, 0, 60.0, "abc1234"),
        "tests/keyed": Folder(900, 2, 60.0, "def5678", stride=5),
    }
    debug = run("suite", tests=0, runs=2600, folders=ran)
    dev = run("suite -X dev", tests=0, runs=1700, folders=dict(list(ran.items())[:1]))
    builds = [build("3.14.4t", run("soak", messages=1), dev), build("3.14.4t debug", debug)]

    head, _, *rows = folders_table(builds).splitlines()

    assert head == "| folder | 3.14.4t -X dev | 3.14.4t debug |"
    assert len(rows) == len(suite_parts())
    assert "| `tests/pool` | 1,700, `abc1234` | 1,700, `abc1234` |" in rows
    assert "| `tests/keyed` | not run | 900, 2 FAILED, stride 5, `def5678` |" in rows
    assert f"| `{folder_of(suite_parts()[-1])}` | not run | not run |" in rows
    assert "| 2,600 in 2 folders |" in runs_table(builds)
