"""What a run found survives its way into JSON and back."""

from pathlib import Path

import pytest

from benchmarks.results import load
from leakcheck.results import Run
from tests.leakcheck.samples import CLEAN, DEAD, LEAKY, run


def test_a_run_comes_back_as_it_was() -> None:
    assert Run.from_json(run().to_json()) == run()


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 99}'])
def test_what_is_no_run_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a run of the leak check in format \d+$"):
        Run.from_json(text)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        Run.from_json("no JSON")


def test_a_file_that_is_no_run_is_named(tmp_path: Path) -> None:
    path = tmp_path / "what.json"
    path.write_text("{}", encoding="utf-8")

    with pytest.raises(ValueError, match=r"what\.json"):
        load([path], Run.from_json)


def test_the_verdict_names_the_assertions_that_did_not_hold() -> None:
    assert [one.verdict for one in (CLEAN, LEAKY, DEAD)] == [
        "clean",
        "FAILED: objects",
        "FAILED: ran",
    ]
    assert [one.counted for one in (CLEAN, LEAKY, DEAD)] == [3, 3, 0]
