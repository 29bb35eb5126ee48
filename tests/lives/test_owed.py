"""Workers that owe the reply of an `ask` as they could end for being idle."""

from collections.abc import Generator
from typing import Any

import pytest

from tests.helpers import until
from tests.insides import dispatcher_of
from tests.lives.test_on_demand import Get
from tests.pool.doubles import Boom, raising
from threadpool_mb import Call, Pool, ask
from threadpool_mb.line.lane import Lane
from threadpool_mb.pool.keeping import Keeping


@pytest.mark.parametrize("begun", [False, True], ids=["first", "later"])
def test_a_worker_that_is_idle_as_soon_as_it_has_a_call_is_not_evicted_for_that(
    monkeypatch: pytest.MonkeyPatch, *, begun: bool
) -> None:
    boxes = list[Any]()

    def worker(_key: str) -> Generator[None, Any]:
        while True:
            message = yield
            if isinstance(message, Call):
                boxes.append(message.reply_box)

    def evict(*_: object) -> None:
        assert pool.flush("a", timeout=15)
        make_room(0)

    def put(lane: Any, message: Any) -> bool:  # noqa: ANN401 - of any pool
        try:
            return real(lane, message)
        finally:
            evict()

    real: Any = Lane.deliver
    with Pool(worker, start="on_demand", max_keys=1) as pool:
        keeping: Any = dispatcher_of(pool).keeping
        make_room = keeping._make_room
        if begun:
            pool.dispatch("a", "begin")
            assert pool.flush("a", timeout=15)
        with monkeypatch.context() as patch:
            # The thread that asks is held up right behind the delivery.
            patch.setattr(Lane, "deliver", put)
            patch.setattr(Keeping, "entered", evict)
            reply = ask(pool.ref("a"), Get())
        assert pool.stats().keys == 1
        boxes.pop().reply("late")
        assert reply.result(timeout=15) == "late"
        make_room(0)
        assert pool.stats().keys == 0


def test_an_ask_that_raises_keeps_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    def worker(_key: str) -> Generator[None, Any]:
        while True:
            yield

    with Pool(worker, start="on_demand", idle_timeout=1e-3) as pool:
        pool.dispatch("a", 1)
        assert pool.pause("a")  # it is not idle meanwhile
        with monkeypatch.context() as patch:
            patch.setattr(Lane, "deliver", raising(Boom()))
            with pytest.raises(Boom):
                ask(pool.ref("a"), Get())
        pool.resume("a")
        until(lambda: not pool.stats().keys)
