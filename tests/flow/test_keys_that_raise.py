"""Keys whose methods raise in the midst of a pool with a rate, or a bound."""

import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.helpers import DEADLINE, until
from tests.insides import dispatcher_of, worker_of
from tests.pool.doubles import Boom, EvilKey
from threadpool_mb import DeadLetter, Full, KeyedExecutor, Pool, Rate
from threadpool_mb.keyed import pacing
from threadpool_mb.pool.flows import PoolFlow
from threadpool_mb.pool.pausing import pause, resume


def worker(_key: object) -> Generator[None, Any]:
    """Call each message."""
    while True:
        (yield)()


def lane_of(pool: Pool[Any, Any], key: object) -> Any:  # noqa: ANN401 - of some kind
    """Return the lane of a key's worker."""
    return worker_of(pool, key)


def test_a_throttled_worker_whose_key_raises_loses_no_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = EvilKey("evil")
    handled, letters = list[int](), list[DeadLetter[EvilKey, Any]]()

    with Pool(worker, start="on_demand", rate=Rate(1e6), on_dead_letter=letters.append) as pool:
        pool.dispatch(key, lambda: handled.append(1))
        assert pool.flush(timeout=DEADLINE)
        lane = lane_of(pool, key)
        assert pause(lane)
        for number in (2, 3):
            pool.dispatch(key, lambda number=number: handled.append(number))  # type: ignore[misc]
        key.hash_raises = True
        assert resume(lane)
        until(lambda: len(handled) == 3)
        key.hash_raises = False

    assert (handled, letters) == ([1, 2, 3], [])
    assert {each.levelname for each in caplog.records} == {"ERROR"}


def test_a_key_that_raises_keeps_no_other_time_from_being_forgotten() -> None:
    flow = PoolFlow("p", Rate(1), None, None, wait=True)
    evil = EvilKey("evil")
    flow.remember(evil, due=0.0, now=0.0)
    evil.hash_raises = True

    for number in range(5000):
        flow.remember(number, due=number + 1.0, now=float(number))

    assert len(flow._due) <= 2 * 1024
    assert flow.due_before(4999) == 5000.0


def test_what_is_known_of_a_key_that_raises_is_nothing() -> None:
    flow = PoolFlow("p", Rate(1), None, None, wait=True)
    evil = EvilKey("evil")
    evil.hash_raises = True

    assert flow.due_before(evil) is None


def end_first_turns(pool: Pool[Any, Any]) -> None:
    """Have the pool's one thread end the turns that it was given: these go on as workers pause."""
    pool.dispatch("behind them", int)
    assert pool.flush(timeout=DEADLINE)


class RaisesAsItEnters:
    """A key that raises where a worker enters."""

    raises = False

    def __hash__(self) -> int:
        """Return the hash of all keys."""
        return 7

    def __eq__(self, other: object) -> bool:
        """Be no other key."""
        if self.raises and sys._getframe(1).f_code.co_name == "enter":
            raise Boom
        return self is other


@pytest.mark.parametrize(
    "send",
    [lambda pool, key: pool.dispatch(key, int), lambda pool, key: pool.initialize(key, int)],
    ids=["dispatch", "initialize"],
)
@pytest.mark.parametrize("flow", [{}, {"message_ttl": 60.0}], ids=["bound", "bound and ttl"])
def test_the_room_of_a_message_comes_back_whose_key_raises_as_its_worker_enters(
    send: Callable[[Pool[Any, Any], object], object],
    flow: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key, other = RaisesAsItEnters(), RaisesAsItEnters()
    letters = list[DeadLetter[Any, Any]]()

    with Pool(
        worker,
        start="on_demand",
        max_threads=1,
        max_waiting=2,
        when_full="raise",
        message_ttl=flow.get("message_ttl"),
        on_dead_letter=letters.append,
    ) as pool:
        pool.initialize(other)
        end_first_turns(pool)
        monkeypatch.setattr(RaisesAsItEnters, "raises", True)
        for _ in range(5):
            with pytest.raises(Boom):
                send(pool, key)
        assert pause(lane_of(pool, other))
        # There is room for as many as there was, and for no more.
        for _ in range(2):
            pool.dispatch(other, int)
        with pytest.raises(Full):
            pool.dispatch(other, int)

    assert letters == []


def test_nor_does_a_late_message_keep_its_room(monkeypatch: pytest.MonkeyPatch) -> None:
    key, other = RaisesAsItEnters(), RaisesAsItEnters()

    with Pool(worker, start="on_demand", max_threads=1, max_waiting=2, when_full="raise") as pool:
        keeping = dispatcher_of(pool).keeping
        assert keeping is not None
        pool.initialize(other)
        end_first_turns(pool)
        monkeypatch.setattr(RaisesAsItEnters, "raises", True)
        for _ in range(5):
            assert not keeping.redeliver(key, int)
        assert pause(lane_of(pool, other))
        for _ in range(2):
            pool.dispatch(other, int)
        with pytest.raises(Full):
            pool.dispatch(other, int)


def test_nor_of_an_executor_with_a_rate() -> None:
    evil, handled = EvilKey("evil", number=16), list[int]()

    with KeyedExecutor(rate=Rate(1e6)) as executor:
        executor.submit_keyed(evil, int).result(DEADLINE)
        pace: Any = executor._flow._pace
        stripe = 16 % pacing._STRIPES
        pace._due[stripe][evil] = 0.0
        evil.hash_raises = True
        for number in range(1, 5 * pacing._FEW):
            pace._due[stripe][number * pacing._STRIPES] = 0.0
        executor.submit_keyed(0, handled.append, 1).result(DEADLINE)

        assert handled == [1]
        # Times are forgotten as the key's line ends, after its task.
        until(lambda: len(pace._due[stripe]) <= 2)
        evil.hash_raises = False
