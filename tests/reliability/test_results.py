"""What was run is kept in a file for each build, and read again as it was."""

from pathlib import Path

import pytest

from reliability.results import Build, Folder, load, save
from tests.reliability.samples import build, run


def test_what_is_written_is_read_again() -> None:
    folders = {"tests/pool": Folder(1700, 1, 60.0, "abc1234", stride=5)}
    written = build(
        "3.14.4t",
        run(),
        run("soak", messages=5, runs=0, tests=0),
        run("suite", tests=0, runs=1700, folders=folders),
    )

    assert Build.from_json(written.to_json()) == written


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 0}', "null"])
def test_what_is_no_result_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="format 1"):
        Build.from_json(text)


def test_a_run_takes_the_place_of_one_of_its_kind_and_leaves_the_others(tmp_path: Path) -> None:
    facts = {"Build": "3.14.4t debug"}

    save(facts, run("hammers", runs=1), tmp_path)
    save(facts, run("soak", messages=7), tmp_path)
    path = save(facts, run("hammers", runs=2), tmp_path)

    (kept,) = load(tmp_path)
    assert path.name == "3.14.4t-debug.json"
    assert {what: each.runs for what, each in kept.runs.items()} == {"hammers": 2, "soak": 3000}


def test_builds_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("3.14.4t", "3.13.9t", "3.14.4t debug"):
        save({"Build": name}, run(), tmp_path)

    assert [each.name for each in load(tmp_path)] == ["3.13.9t", "3.14.4t", "3.14.4t debug"]
