"""The monitor: each device is polled to its end, or given up when its restarts are used up."""

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import threadpool_mb as mb
from examples.heartbeats import Device, Monitor, Outcome, show

SETTINGS = settings(max_examples=10, deadline=None)

RESTART = mb.Restart(max_restarts=2, delay=0.0)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="threadpool_mb")


def polled(script: list[int | None]) -> tuple[list[int], int, bool]:
    """Return the readings of a device, its connections, and whether it is given up."""
    readings: list[int] = []
    connections = 1
    for each in script:
        if each is not None:
            readings.append(each)
        elif connections == 1 + RESTART.max_restarts:
            return readings, connections, True
        else:
            connections += 1
    return readings, connections, False


@SETTINGS
@given(
    scripts=st.dictionaries(
        st.sampled_from("abcdef"), st.lists(st.none() | st.integers(0, 9), max_size=8), min_size=1
    )
)
def test_each_device_is_polled_to_its_end_or_given_up(
    scripts: dict[str, list[int | None]],
) -> None:
    errors = {
        name: [
            OSError(f"{name} {place}") if each is None else each for place, each in enumerate(it)
        ]
        for name, it in scripts.items()
    }
    devices = {name: Device(script) for name, script in errors.items()}

    outcomes = Monitor(devices, interval=0.0005, restart=RESTART).run()

    assert outcomes.keys() == scripts.keys()
    for name, script in scripts.items():
        readings, connections, given_up = polled(script)
        assert outcomes[name].readings == tuple(readings)
        assert devices[name].connections == connections
        assert (outcomes[name].error is not None) == given_up
        if given_up:
            assert outcomes[name].error in errors[name]


def test_a_device_that_fails_for_good_is_reported_with_its_last_error() -> None:
    errors = [OSError("first"), OSError("second"), OSError("third"), OSError("fourth")]
    devices = {"dead": Device([1, *errors]), "good": Device([1, 2, 3])}

    outcomes = Monitor(devices, interval=0.0005, restart=RESTART).run()

    assert outcomes == {
        "dead": Outcome((1,), errors[2]),
        "good": Outcome((1, 2, 3), None),
    }
    assert list(show(outcomes, devices)) == [
        "dead: 1 readings, 3 connections, given up: third",
        "good: 3 readings, 1 connections, complete",
    ]


def test_a_device_that_cannot_be_connected_is_given_up() -> None:
    class Unplugged(Device):
        def connect(self) -> None:
            super().connect()
            raise OSError("unplugged")

    devices = {"dead": Unplugged([1]), "good": Device([1])}

    outcomes = Monitor(devices, interval=0.0005, restart=RESTART).run()

    assert outcomes["good"] == Outcome((1,), None)
    assert outcomes["dead"].readings == ()
    assert repr(outcomes["dead"].error) == "OSError('unplugged')"
    assert devices["dead"].connections == 3


def test_no_tick_is_left_when_all_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[mb.Timer] = []
    every = mb.Pool[str, None].dispatch_every

    def dispatch_every(
        pool: mb.Pool[str, None], interval: float, key: str, message: None, /
    ) -> mb.Timer:
        timers.append(every(pool, interval, key, message))
        return timers[-1]

    monkeypatch.setattr(mb.Pool, "dispatch_every", dispatch_every)
    Monitor(
        {"a": Device([1]), "b": Device([OSError()] * 9)}, interval=0.0005, restart=RESTART
    ).run()

    assert len(timers) == 2
    assert all(timer.cancelled for timer in timers)
