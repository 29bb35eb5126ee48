"""The table, the figures, and the list of what could not be read."""

import sys
from pathlib import Path

from threadpool_mb.demo import report
from threadpool_mb.demo.tally import Function, Tally, Unread

TALLIES = {
    "small": Tally(1, 10, 2, 0, 1, Function(4, "f"), []),
    "large": Tally(20, 12345, 300, 40, 9, Function(120, "C.m"), []),
    "twin": Tally(1, 10, 0, 0, 0, None, []),
    "middle": Tally(3, 500, 20, 1, 12, Function(99, "g"), []),
}


def unread(count: int) -> list[Unread]:
    return [Unread(Path(f"f{number:02}.py"), "why") for number in reversed(range(count))]


def test_the_table_is_largest_first_and_ends_with_the_totals() -> None:
    assert report.table(TALLIES, top=4).splitlines() == [
        "package  files   lines  functions  classes  nesting  longest function",
        "-------  -----  ------  ---------  -------  -------  ----------------",
        "large       20  12,345        300       40        9  C.m (120)",
        "middle       3     500         20        1       12  g (99)",
        "small        1      10          2        0        1  f (4)",
        "twin         1      10          0        0        0",
        "-------  -----  ------  ---------  -------  -------  ----------------",
        "total       25  12,865        322       41       12  C.m (120)",
    ]


def test_the_packages_below_the_top_ones_share_a_row_and_stay_in_the_totals() -> None:
    lines = report.table(TALLIES, top=1).splitlines()

    assert [line.split() for line in lines[2:4]] == [
        ["large", "20", "12,345", "300", "40", "9", "C.m", "(120)"],
        ["(3", "more)", "5", "520", "22", "1", "12", "g", "(99)"],
    ]
    assert lines[-1].split()[:3] == ["total", "25", "12,865"]


def test_nothing_unread_is_said_in_a_line() -> None:
    assert report.unread_list([], everything=False) == "not read: 0 files"


def test_unread_files_are_listed_by_path_with_their_reasons() -> None:
    assert report.unread_list(unread(2), everything=False).splitlines() == [
        "not read: 2 files",
        "  f00.py: why",
        "  f01.py: why",
    ]


def test_ten_unread_files_are_all_listed() -> None:
    lines = report.unread_list(unread(10), everything=False).splitlines()

    assert lines[-1] == "  f09.py: why"


def test_more_than_ten_unread_files_are_shortened_to_ten_and_a_count() -> None:
    lines = report.unread_list(unread(13), everything=False).splitlines()

    assert lines[0] == "not read: 13 files"
    assert lines[10:] == ["  f09.py: why", "  and 3 more; --verbose lists them"]


def test_all_unread_files_are_listed_on_demand() -> None:
    lines = report.unread_list(unread(13), everything=True).splitlines()

    assert lines[-1] == "  f12.py: why"


def test_the_figures_are_one_to_a_line_and_the_speed_up_is_one_thread_over_pool() -> None:
    lines = report.figures(
        messages=1234, workers=7, cores=2, pool_seconds=2.0, one_thread_seconds=3.5
    ).splitlines()

    assert lines == [
        "messages       1,234",
        "workers        7",
        "seconds        2.00",
        "on one thread  3.50",
        "speed-up       1.75",
        f"GIL            {'on' if sys._is_gil_enabled() else 'off'}",
        f"interpreter    {report.interpreter()}",
        "cores          2",
    ]
