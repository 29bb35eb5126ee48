"""An interrupt in the middle of what ends a broker."""

import pytest

from tests.broker.doubles import Callbacks, outcome
from tests.points import interrupted_at_each_point
from threadpool_mb import Cancelled, Initialize
from threadpool_mb.broker.broker import Broker


def prepare() -> Broker[object, object, object, object]:
    """Return a broker that runs."""
    broker = Broker(Callbacks().config())
    broker.input.deliver(Initialize("key"))
    return broker


@pytest.mark.parametrize(("end", "error"), [("close", type(None)), ("cancel", Cancelled)])
def test_an_end_that_was_interrupted_is_finished_by_the_next_one(end: str, error: type) -> None:
    for broker in interrupted_at_each_point(prepare, lambda broker: getattr(broker, end)()):
        getattr(broker, end)()

        assert isinstance(outcome(broker), error)


def test_wherever_leaving_the_block_is_interrupted_the_broker_ends() -> None:
    scenes = interrupted_at_each_point(prepare, lambda broker: broker.__exit__(None, None, None))
    for number, broker in enumerate(scenes):
        if number == 0:
            broker.cancel()  # the first point is before its `__exit__` has begun

        # Cancelled, unless it had been drained by then.
        assert isinstance(outcome(broker), Cancelled | None)
