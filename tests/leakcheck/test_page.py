"""The page is well-formed, stands alone, and shows what was found."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest

from leakcheck.report.curves import curve
from leakcheck.report.page import page
from leakcheck.report.picture import picture
from leakcheck.results import Run
from tests.leakcheck.samples import CLEAN, run

RUNS = {
    "one": [run()],
    "two": [run("3.13.5t"), run("3.14.4t", CLEAN)],
    "the same build twice": [run(), run()],
}


def _parse(runs: Sequence[Run]) -> ET.Element:
    return ET.fromstring(page(runs))  # noqa: S314 - our own


def _texts(element: ET.Element) -> list[str]:
    return ["".join(one.itertext()) for one in element.iter()]


@pytest.mark.parametrize("runs", RUNS.values(), ids=RUNS)
def test_the_page_is_well_formed_and_loads_nothing(runs: list[Run]) -> None:
    root = _parse(runs)

    tags = {element.tag for element in root.iter()}
    assert root.tag == "html"
    assert not re.search(r"https?:|//|url\(|@import", page(runs))
    assert not tags & {"script", "link", "img", "iframe", "object", "use", "image"}


def test_links_on_the_page_lead_somewhere() -> None:
    root = _parse(RUNS["two"])

    targets = {element.get("href", "")[1:] for element in root.iter("a")}
    assert targets == {"clean", "leaky", "dead"}
    assert targets <= {element.get("id") for element in root.iter()}


def test_the_page_says_how_many_have_failed() -> None:
    assert "2 of 3 failed" in _texts(_parse([run()]))
    assert "all 1 clean" in _texts(_parse([run("3.14.4t", CLEAN)]))


def test_the_overview_has_slope_peak_and_verdict_of_each_scenario_and_build() -> None:
    rows = [_texts(row)[1:] for row in _parse(RUNS["two"]).iter("tr")]

    assert ["clean", "3.13.5t", "clean", "3", "+0.000", "+0.0", "31 MiB", "40 MiB"] in rows
    assert ["", "3.14.4t", "clean", "3", "+0.000", "+0.0", "31 MiB", "40 MiB"] in rows
    leaky = ["FAILED: objects", "3", "+50.000", "+100.0", "64 MiB", "40 MiB"]
    assert ["leaky", "3.13.5t", *leaky] in rows


def test_a_failure_shows_what_has_grown_and_what_holds_it() -> None:
    texts = [text for element in _parse([run()]).iter("pre") for text in _texts(element)]

    assert "objects: Box 0 → 9" in texts
    assert "Box is held by\nmodule.kept: list[9]" in texts


def test_blocks_are_drawn_from_the_first_counted_round_on_beside_the_band() -> None:
    svg = next(
        one for one in _parse([run()]).iter("svg") if "Blocks" in (one.get("aria-label") or "")
    )

    assert len(list(svg.iter("circle"))) == CLEAN.counted
    assert any(line.get("class") == "mark" for line in svg.iter("line"))


def test_memory_is_drawn_beside_the_cap() -> None:
    svg = next(
        one for one in _parse([run()]).iter("svg") if "Memory" in (one.get("aria-label") or "")
    )

    assert "cap 384" in _texts(svg)


def test_all_coordinates_are_numbers_within_the_plot() -> None:
    for svg in _parse(RUNS["two"]).iter("svg"):
        _, _, width, height = map(float, svg.get("viewBox", "").split())
        for element in svg.iter():
            for name, limit in (("x1", width), ("cx", width), ("y1", height), ("cy", height)):
                if name in element.attrib:
                    assert 0 <= float(element.attrib[name]) <= limit


def test_the_picture_has_a_line_for_each_build_that_has_the_scenario() -> None:
    root = ET.fromstring(picture(RUNS["two"], "clean"))  # noqa: S314 - our own

    texts = _texts(root)
    assert {"3.13.5t", "3.14.4t", "more than 24 would fail"} <= set(texts)
    assert "leaky" not in "".join(texts)


def test_a_picture_of_a_scenario_that_did_not_run_is_empty() -> None:
    root = ET.fromstring(picture(RUNS["one"], "what"))  # noqa: S314 - our own

    assert [one.tag for one in root.iter() if one.tag.endswith("circle")] == []


def test_a_curve_has_few_points_and_keeps_the_extremes() -> None:
    values = [0.0] * 1000
    values[500] = 9.0

    points = curve(list(range(1000)), values, most=10)

    assert len(points) == 10
    assert max(spread.highest for _, spread in points) == 9.0
    assert {spread.median for _, spread in points} == {0.0}
