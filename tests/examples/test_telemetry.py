"""Telemetry: each reading counts once and in order, whenever the device's worker ends."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import telemetry
from examples.telemetry import Reading, Station, Summary, in_rounds
from tests.examples.seeding import seeded_pools
from tests.helpers import until
from threadpool_mb.testing import SeededPool

SETTINGS = settings(max_examples=15, deadline=None)


@SETTINGS
@given(
    devices=st.lists(st.integers(0, 30), max_size=200),
    max_keys=st.integers(1, 40),
    idle_timeout=st.sampled_from([0.0001, 10.0]),
)
def test_each_reading_counts_once_and_in_order(
    devices: list[int], max_keys: int, idle_timeout: float
) -> None:
    sent: Counter[int] = Counter()
    readings: list[tuple[int, Reading]] = []
    for device in devices:
        readings.append((device, Reading(sent[device], float(sent[device]))))
        sent[device] += 1
    station = Station(max_keys=max_keys, idle_timeout=idle_timeout)

    station.take(readings)

    assert station.archive == {
        device: Summary(count, 0.0, count - 1.0, 0) for device, count in sent.items()
    }
    assert set(station.ends) <= {"evicted", "idle", "drained"}
    assert station.ends.total() >= len(sent)


def test_a_device_that_was_evicted_goes_on_where_it_was() -> None:
    station = Station(max_keys=1, idle_timeout=10.0)

    station.take(in_rounds(devices=3, rounds=4))

    assert station.archive == {device: Summary(4, device, device + 1.5, 0) for device in range(3)}
    assert station.ends["evicted"] == station.ends.total() - station.ends["drained"] > 0


def test_a_device_that_was_quiet_goes_on_where_it_was() -> None:
    station = Station(max_keys=10, idle_timeout=0.001)
    with station.pool as pool:
        pool.dispatch(7, Reading(0, 20.0))
        until(lambda: station.archive == {7: Summary(1, 20.0, 20.0, 0)} and 7 not in pool)
        pool.dispatch(7, Reading(1, 30.0))

    assert station.archive == {7: Summary(2, 20.0, 30.0, 0)}


@pytest.mark.parametrize(
    ("numbers", "out_of_order"), [([0, 1, 2], 0), ([0, 2, 1], 2), ([0, 0, 1], 2), ([5], 1)]
)
def test_a_summary_tells_what_came_out_of_order(numbers: list[int], out_of_order: int) -> None:
    summary = Summary()
    for number in numbers:
        summary.add(Reading(number, 1.0))

    assert summary == Summary(len(numbers), 1.0, 1.0, out_of_order)


def test_the_scale_is_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.main(20)

    assert capsys.readouterr().out.startswith("20 devices, 60 readings\n0 out of order\n")


def test_a_device_that_is_quiet_for_ten_minutes_has_its_summary_stored() -> None:
    with seeded_pools():
        station = Station(max_keys=10, idle_timeout=600.0)
    with station.pool as pool:
        assert isinstance(pool, SeededPool)
        pool.dispatch(7, Reading(0, 20.0))
        pool.advance(500)
        pool.dispatch(7, Reading(1, 30.0))
        pool.advance(599)
        assert (station.archive, 7 in pool) == ({}, True)
        pool.advance(200)  # it is looked at four times in ten minutes
        assert station.archive == {7: Summary(2, 20.0, 30.0, 0)}
        assert 7 not in pool


def test_whichever_device_is_evicted_when_it_goes_on_where_it_was() -> None:
    def take(_: int) -> None:
        with seeded_pools():
            station = Station(max_keys=2, idle_timeout=10.0)
        station.take(in_rounds(devices=4, rounds=3))
        assert station.archive == {n: Summary(3, n, n + 1.0, 0) for n in range(4)}

    SeededPool.explore(take, n=100)
