"""Every workload runs, small as can be, and checks what it did; its figures mean nothing here."""

import math
import types

import pytest

from benchmarks import measuring, memory
from benchmarks.catalog import WORKLOADS, description
from benchmarks.growth import life
from benchmarks.growth.flooding import Flood
from benchmarks.machine import facts
from benchmarks.memory import KINDS, Usage
from benchmarks.results import Role
from benchmarks.workloads import confluent, growth, million, original
from benchmarks.workloads.isolation import Latencies

SCALE = 0.002


@pytest.fixture
def _in_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes long: new processes, long curves, and the garbage of all tests."""
    monkeypatch.setattr(million, "in_process", lambda kind, count: KINDS[kind](count))
    monkeypatch.setattr(growth, "live_in_process", lambda kind, n: life.live(life.KINDS[kind], n))
    monkeypatch.setattr(growth, "flood_in_process", Flood.run)
    for places in ("LIVING", "SENDERS", "KEYS", "THREADS"):
        monkeypatch.setattr(growth, places, getattr(growth, places)[:2])
    nothing = types.SimpleNamespace(collect=int)
    monkeypatch.setattr(measuring, "gc", nothing)
    monkeypatch.setattr(memory, "gc", nothing)
    monkeypatch.setattr(life, "gc", nothing)


@pytest.mark.usefixtures("_in_short")
@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_runs_and_has_a_figure_of_each_contender_in_each_round(name: str) -> None:
    comparisons = list(WORKLOADS[name](1, SCALE))

    assert comparisons
    for one in comparisons:
        assert {len(figures.values) for figures in one.figures} == {2 if name == "dispatch" else 1}
        assert all(math.isfinite(value) for figures in one.figures for value in figures.values)
        assert one.best(Role.OURS) is not None
        assert one.best(Role.PEER) is not None or one.best(Role.IDEAL) is not None
    titles = [one.title for one in comparisons]
    assert len(set(titles)) == len(titles), "the page tells comparisons apart by their titles"


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_says_what_it_does(name: str) -> None:
    assert len(description(WORKLOADS[name])) > 50
    assert "\n" not in description(WORKLOADS[name])


def test_a_million_keys_are_made_in_a_process_of_its_own() -> None:
    usage = million.in_process("submit", 10)

    assert isinstance(usage, Usage)
    assert usage.during >= usage.before > 0


def test_keys_live_in_a_process_of_their_own() -> None:
    lived = growth.live_in_process("pool", 10)

    assert lived.idle > 0
    assert min(lived.start, lived.dispatch, lived.stats or 0, lived.end) > 0


def test_a_flood_is_in_a_process_of_its_own() -> None:
    assert growth.flood_in_process(Flood("pool", 3, 10, senders=2)) > 0


def test_the_original_s_messages_have_its_shape() -> None:
    number, (text, large, more, (first, second, even, big)) = original.make_message(49)

    assert (number, large, even, big) == (
        49,
        "large",
        False,
        123423421111111111111111111123234 * 49,
    )
    assert text.endswith(" 1127")
    assert all(110 <= len(one) <= 140 for one in (text, more, first, second))


@pytest.mark.parametrize(("scale", "published"), [(1.0, 65.0), (0.5, None)])
def test_the_original_s_published_figures_are_shown_for_its_own_sizes_only(
    scale: float, published: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(original, "PUBLISHED", {(2, 10): 65.0})

    assert [one.published for one in original.original(1, scale)] == [published]


def test_waiting_is_the_same_in_every_run() -> None:
    jobs = confluent.draw(10, 100)

    assert jobs == confluent.draw(10, 100)
    assert len({key for key, _ in jobs}) == 10
    assert all(0 <= seconds <= confluent.LONGEST for _, seconds in jobs)


@pytest.mark.parametrize(("percent", "expected"), [(50, 0.050), (99, 0.099), (100, 0.100)])
def test_a_percentile_is_what_so_many_do_not_exceed(percent: float, expected: float) -> None:
    latencies = Latencies(tuple(number / 1000 for number in range(100, 0, -1)))

    assert latencies.percentile(percent) == expected


def test_held_up_is_what_took_longer_than_a_tenth_of_a_second() -> None:
    assert Latencies((0.01, 0.1, 0.2, 0.3)).held_up() == 50.0


def test_the_facts_name_machine_build_load_and_versions() -> None:
    known = facts("pykka")

    assert {"Build", "GIL", "Machine", "Cores", "Load average", "Date", "pykka"} <= set(known)
    assert all(known.values())
