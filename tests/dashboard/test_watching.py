"""What watching costs a pool, and what is kept of it."""

import gc
import itertools
import threading
import weakref
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.dashboard.doubles import Plain, Record, Source
from tests.helpers import in_thread, until
from threadpool_mb.dashboard import watching
from threadpool_mb.dashboard.watching import Sampler, Watch


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which the test sets; by the monotonic clock and the other one."""
    now = [1000.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], time=lambda: now[0])
    monkeypatch.setattr(watching, "time", clock)
    return now


def look(watch: Watch, now: list[float], times: int = 1, *, looked_at: bool = True) -> None:
    """Take snapshots, a second apart."""
    for _ in range(times):
        now[0] += 1.0
        watch.look(int(now[0]), looked_at=looked_at)


def test_a_pool_whose_page_nobody_has_open_is_not_asked_for_its_hot_keys(
    now: list[float],
) -> None:
    source = Source(Record("bob"))
    watch = Watch(0, source)

    look(watch, now, times=3, looked_at=False)

    assert source.asked == ["stats"] * 3
    assert watch.shot.hot is None


def test_hot_keys_take_a_fiftieth_of_the_time_at_most(now: list[float]) -> None:
    source = Source(Record("bob"))
    watch = Watch(0, source)

    def take_two_seconds(what: str) -> None:
        now[0] += 2.0 if what == "hot" else 0.0

    source.before = take_two_seconds
    asked_at = []
    for number in range(300):
        before = source.asked.count("hot")
        watch.look(number, looked_at=True)
        if source.asked.count("hot") > before:
            asked_at.append(now[0])
        now[0] += 1.0

    assert len(asked_at) == 3
    assert all(later - earlier >= 100 for earlier, later in itertools.pairwise(asked_at))
    assert source.asked.count("stats") == 300
    assert watch.shot.hot is not None
    assert watch.shot.hot.seconds == 2.0


@pytest.mark.parametrize(("looked_at", "times"), [(False, 2), (True, 10)])
def test_a_snapshot_that_takes_long_is_taken_as_seldom(
    now: list[float], *, looked_at: bool, times: int
) -> None:
    source = Source()
    watch = Watch(0, source)

    def take_a_second(what: str) -> None:
        now[0] += 1.0 if what == "stats" else 0.0

    source.before = take_a_second
    for number in range(100):
        watch.look(number, looked_at=looked_at)
        now[0] += 1.0

    assert source.asked.count("stats") == times


def test_the_points_that_are_kept_are_bounded(now: list[float]) -> None:
    source = Source()
    watch = Watch(0, source)

    look(watch, now, times=1000)

    assert [point.number for point in watch.shot.points] == list(range(1701, 2001))


def test_a_pool_that_has_ended_stays_as_it_was_and_is_not_asked_again(now: list[float]) -> None:
    source = Source(Record("bob"), handled=7)
    watch = Watch(0, source)
    look(watch, now)

    source.figures |= {"state": "ended", "handled": 8}
    look(watch, now, times=7)

    assert watch.over
    assert source.asked == ["stats", "hot", "stats"]
    assert watch.shot.figures.numbers == {"handled": 8}
    assert watch.shot.hot is None
    assert not watch.shot.gone


def test_watching_keeps_no_pool_alive_and_one_that_is_gone_is_shown_as_ended() -> None:
    source = Source(Record("bob"), handled=7)
    alive = weakref.ref(source)
    watch = Watch(0, source)
    watch.look(1, looked_at=True)

    del source
    gc.collect()
    assert alive() is None
    watch.look(2, looked_at=True)

    assert (watch.shot.gone, watch.shot.figures.state) == (True, "ended")
    assert watch.shot.figures.numbers == {"handled": 7}
    assert watch.shot.hot is None


def test_what_cannot_be_referred_to_weakly_is_kept() -> None:
    watch = Watch(0, Plain())
    gc.collect()

    watch.look(1, looked_at=False)

    assert not watch.shot.gone


@pytest.mark.parametrize("what", ["stats", "hot"])
def test_what_a_pool_raises_is_shown_until_it_answers_again(what: str, now: list[float]) -> None:
    source = Source(Record("bob"), handled=7)
    watch = Watch(0, source)
    look(watch, now)

    def fail(asked: str) -> None:
        if asked == what:
            raise ValueError("<b>")

    source.before = fail
    look(watch, now)
    assert watch.shot.error == "ValueError('<b>')"
    assert watch.shot.figures.numbers == {"handled": 7}

    source.before = lambda _: None
    look(watch, now)
    assert watch.shot.error is None


def test_only_so_many_hot_keys_are_shown_whatever_a_source_returns() -> None:
    source = Plain(*(Record(number) for number in range(1000)))
    watch = Watch(0, source)

    watch.look(1, looked_at=True)

    assert watch.shot.hot is not None
    assert [key.key for key in watch.shot.hot.keys] == list(range(20))


def test_a_page_that_is_opened_is_shown_hot_keys_at_once() -> None:
    source = Source(Record("bob"))
    sampler = Sampler([source], interval=1000.0)

    with in_thread(sampler.run):
        until(lambda: sampler.number == 1)
        assert source.asked == ["stats"]
        sampler.asked()
        until(lambda: sampler.watches[0].shot.hot)
        sampler.stop()

    assert source.asked == ["stats", "hot"]


def test_a_page_that_was_closed_is_not_looked_for_any_more(now: list[float]) -> None:
    source = Source(Record("bob"))
    sampler = Sampler([source], interval=1.0)
    sampler.asked()

    sampler._look()
    now[0] += 9.0
    sampler._look()
    now[0] += 2.0
    sampler._look()

    assert source.asked == ["stats", "hot", "stats", "hot", "stats"]


@pytest.fixture
def stuck() -> Iterator[tuple[Source, threading.Event]]:
    source, leave = Source(), threading.Event()
    source.before = lambda _: leave.wait(15)
    yield source, leave
    leave.set()


def test_a_sampler_that_was_stopped_looks_at_nothing_more(
    stuck: tuple[Source, threading.Event],
) -> None:
    first, leave = stuck
    second = Source()
    sampler = Sampler([first, second], interval=0.001)

    with in_thread(sampler.run):
        until(lambda: first.asked)
        sampler.stop()
        leave.set()

    assert (first.asked, second.asked) == (["stats"], [])
