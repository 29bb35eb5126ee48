"""The arithmetic of ratios, and the way into JSON and back."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.results import Comparison, Figures, Role, Run, Spread, load
from tests.benchmarks.samples import IDEAL, OURS, PEER, comparison, nothing, run

values = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=9)


def test_a_spread_is_the_median_and_the_extremes() -> None:
    assert Spread.of([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0)


def test_a_ratio_is_taken_round_by_round() -> None:
    one = Comparison(
        "noise",
        "ms",
        (Figures("a", Role.OURS, (1.0, 10.0, 3.0)), Figures("b", Role.PEER, (2.0, 20.0, 6.0))),
    )

    assert one.ratios("a", "b") == Spread(2.0, 2.0, 2.0)


def test_less_is_better_unless_more_is() -> None:
    less, more = comparison(), comparison(higher_is_better=True)

    assert less.ratios(OURS.name, PEER.name) == Spread(5.0, 2.5, 10.0)
    assert more.ratios(OURS.name, PEER.name) == Spread(0.2, 0.1, 0.4)


@given(values)
def test_a_contender_is_exactly_as_good_as_itself(some: list[float]) -> None:
    one = Comparison("", "", (Figures("a", Role.OURS, tuple(some)),))

    assert one.ratios("a", "a") == Spread(1.0, 1.0, 1.0)


@given(st.lists(st.tuples(st.floats(0.001, 1e6), st.floats(0.001, 1e6)), min_size=1))
def test_the_lowest_ratio_one_way_is_the_highest_the_other_way(
    pairs: list[tuple[float, float]],
) -> None:
    ones, others = zip(*pairs, strict=True)
    one = Comparison("", "", (Figures("a", Role.OURS, ones), Figures("b", Role.PEER, others)))

    there, back = one.ratios("a", "b"), one.ratios("b", "a")

    assert there is not None
    assert back is not None
    assert there.lowest * back.highest == pytest.approx(1.0)
    assert there.lowest <= there.median <= there.highest


def test_the_best_of_a_role_is_the_one_with_the_best_median() -> None:
    assert comparison().best(Role.PEER) == PEER
    assert comparison(higher_is_better=True).best(Role.PEER) == comparison().figures[0]
    assert comparison().best(Role.IDEAL) == IDEAL
    assert nothing().best(Role.IDEAL) is None


def test_a_published_figure_is_held_against_each_round() -> None:
    one = comparison(published=8.0)

    assert one.published_ratios(OURS.name) == Spread(4.0, 2.0, 8.0)
    assert comparison().published_ratios(OURS.name) is None


def test_there_is_no_ratio_to_nothing() -> None:
    assert nothing().ratios("zero", "none") is None


def test_a_run_comes_back_from_json_as_it_was() -> None:
    assert Run.from_json(run().to_json()) == run()


def test_runs_are_loaded_from_files(tmp_path: Path) -> None:
    for build in ("3.13.5t", "3.14.4t"):
        (tmp_path / f"{build}.json").write_text(run(build).to_json(), encoding="utf-8")

    runs = load(sorted(tmp_path.iterdir()), Run.from_json)

    assert [one.build for one in runs] == ["3.13.5t", "3.14.4t"]


@pytest.mark.parametrize("text", ["{}", "[]", "nonsense", '{"format": 0}'])
def test_what_is_no_run_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own one or ours
        Run.from_json(text)


def test_the_json_has_every_round() -> None:
    data = json.loads(run().to_json())

    figures = data["workloads"][0]["comparisons"][0]["figures"]
    assert [one["values"] for one in figures][3] == [1.0, 2.0, 4.0]
