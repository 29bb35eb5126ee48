"""The page is well-formed, stands alone, and shows what it was given."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest

from benchmarks.report.page import page
from benchmarks.report.plots import ticks
from benchmarks.results import Comparison, Run
from tests.benchmarks.samples import OURS, PEER, comparison, run

RUNS = {
    "one": [run()],
    "two": [run("3.13.5t"), run("3.14.4t", comparison("only here"))],
    "the same build twice": [run(), run()],
}


def _parse(runs: Sequence[Run]) -> ET.Element:
    return ET.fromstring(page(runs))  # noqa: S314 - our own


def _texts(element: ET.Element) -> list[str]:
    return ["".join(one.itertext()) for one in element.iter()]


@pytest.mark.parametrize("runs", RUNS.values(), ids=RUNS)
def test_the_page_is_well_formed(runs: list[Run]) -> None:
    root = _parse(runs)

    assert root.tag == "html"
    assert [child.tag for child in root] == ["head", "body"]


@pytest.mark.parametrize("runs", RUNS.values(), ids=RUNS)
def test_the_page_loads_nothing(runs: list[Run]) -> None:
    text = page(runs)
    root = _parse(runs)

    tags = {element.tag for element in root.iter()}
    links = [element.get("href", "") for element in root.iter() if "href" in element.attrib]
    assert not re.search(r"https?:|//|url\(|@import", text)
    assert not tags & {"script", "link", "img", "iframe", "object", "use", "image"}
    assert all(link.startswith("#") for link in links)
    assert not any("src" in element.attrib for element in root.iter())


def test_links_on_the_page_lead_somewhere() -> None:
    root = _parse(RUNS["two"])

    targets = [element.get("href", "")[1:] for element in root.iter("a")]
    assert targets
    assert set(targets) <= {element.get("id") for element in root.iter()}


def test_the_page_says_where_the_run_was() -> None:
    cells = _texts(_parse([run()]))

    assert {"3.14.4t", "off", "2", "today", "<x86_64>"} <= set(cells)


def test_a_comparison_is_drawn_with_a_bar_and_a_whisker_for_each_contender() -> None:
    root = _parse([run()])

    svg = next(one for one in root.iter("svg") if one.get("aria-label") == "10 × 5")
    assert len(list(svg.iter("rect"))) == 5
    assert sum(one.get("class") == "whisker" for one in svg.iter("line")) == 3 * 5
    assert any("Haskell original 65" in text for text in _texts(svg))
    assert any("Pool <ours>" in text for text in _texts(svg))


def test_the_points_of_a_series_are_drawn_as_lines() -> None:
    root = _parse(RUNS["two"])

    for label in ("3.13.5t", "3.14.4t"):
        svg = next(one for one in root.iter("svg") if one.get("aria-label") == f"growth, {label}")
        assert len(list(svg.iter("circle"))) == 5 * 2


def test_what_a_line_plot_shows_stands_in_a_table_below() -> None:
    rows = [[cell.text for cell in row] for row in _parse([run()]).iter("tr")]

    assert ["ms, by keys", "1", "1,000"] in rows
    assert ["Pool <ours>", "2.00", "2.00"] in rows
    assert ["ideal", "1.00", "1.00"] in rows


def test_where_there_are_few_lines_the_runs_share_a_plot() -> None:
    root = _parse([_few("3.13.5t"), _few("3.14.4t")])

    svg = next(one for one in root.iter("svg") if one.get("aria-label") == "few")
    assert len(list(svg.iter("circle"))) == 2 * 2 * 2
    assert ["Pool <ours>, 3.14.4t", "2.00", "2.00"] in [
        [cell.text for cell in row] for row in root.iter("tr")
    ]


def _few(build: str) -> Run:
    points = [
        Comparison(f"few at {x}", "ms", (OURS, PEER), series="few", x=x, x_label="keys")
        for x in (1, 10)
    ]
    return run(build, *points)


def test_the_overview_names_the_best_peer() -> None:
    assert "5.00 (2.50 … 10.0), peer" in _texts(_parse([run()]))


def test_several_runs_stand_side_by_side_with_the_ratios_of_the_builds() -> None:
    root = _parse(RUNS["two"])

    heads = [text for element in root.iter("th") for text in _texts(element)]
    assert "3.14.4t, × 3.13.5t" in heads
    assert "ms, 3.13.5t" in heads
    assert "only here" in _texts(root)


def test_runs_of_one_build_are_numbered() -> None:
    heads = [
        text
        for element in _parse(RUNS["the same build twice"]).iter("th")
        for text in _texts(element)
    ]

    assert {"3.14.4t", "3.14.4t (2)"} <= set(heads)


def test_all_coordinates_are_numbers() -> None:
    for element in _parse(RUNS["two"]).iter():
        for name in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height"):
            if name in element.attrib and element.tag != "svg":
                assert float(element.attrib[name]) >= 0


@pytest.mark.parametrize(
    ("highest", "expected"),
    [(1.0, [0, 0.25, 0.5, 0.75, 1.0]), (7.2, [0, 2, 4, 6]), (100.0, [0, 25, 50, 75, 100])],
)
def test_ticks_are_round_numbers(highest: float, expected: list[float]) -> None:
    assert ticks(highest) == expected
