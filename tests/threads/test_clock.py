"""The thread that has things done at their times."""

import threading

import pytest

from tests.helpers import DEADLINE, until
from threadpool_mb.arguments import Deadline
from threadpool_mb.threads.clock import Clock


def clocks() -> int:
    """Return how many threads of the clock there are."""
    return sum(each.name == "a-clock" for each in threading.enumerate())


@pytest.mark.parametrize("first", ["late", "next"])
def test_a_clock_whose_start_was_interrupted_has_one_thread(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system has the thread already, but it does not run yet."""
    late = list[threading.Thread]()

    def interrupted(thread: threading.Thread) -> None:
        late.append(thread)
        raise KeyboardInterrupt

    clock = Clock("a")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            clock.start()
    if first == "late":
        late[0].start()
        until(lambda: clock.started)
        clock.start()
    else:
        clock.start()
        late[0].start()
        late[0].join(DEADLINE)

    until(lambda: clocks() == 1)
    clock.close()
    assert clock.join(Deadline(DEADLINE))
    assert not clocks()
