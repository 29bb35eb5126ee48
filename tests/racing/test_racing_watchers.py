"""A worker keeps no reply that has its answer, whenever that came: staged."""

import threading
from collections.abc import Callable

from threadpool_mb.calls.answer import Answer
from threadpool_mb.threads.here import Awaited


class Stopping(dict[Awaited, None]):
    """Watchers of a worker, before the first of which something else is done by another thread."""

    def __init__(self, before_first: Callable[[], object]) -> None:
        super().__init__()
        self._before: Callable[[], object] | None = before_first

    def __setitem__(self, reply: Awaited, value: None) -> None:
        then, self._before = self._before, None
        if then is not None:
            thread = threading.Thread(target=then)
            thread.start()
            thread.join()
        super().__setitem__(reply, value)


class Worker:
    """Who has a call."""

    title = end_reason = "a worker"
    key = "key"
    end_error = None
    home = None

    def __init__(self) -> None:
        self.gone = False
        self.watchers: dict[Awaited, None] | None = None
        self.waits_for: Awaited | None = None
        self.predecessor: Worker | None = None

    def nudge(self) -> None:
        pass


def test_not_if_it_came_after_its_caller_began_to_watch_and_before_it_waited() -> None:
    worker = Worker()
    answer = Answer[int]()
    answer.holder = worker
    answer.watch()
    watched = list(worker.watchers or ())

    answer.settle(1, None, from_box=True)

    assert watched == [answer]
    assert list(worker.watchers or ()) == []


def test_not_if_it_came_while_its_caller_began_to_watch() -> None:
    worker = Worker()
    answer = Answer[int]()
    answer.holder = worker
    worker.watchers = Stopping(lambda: answer.settle(1, None, from_box=True))

    answer.watch()

    assert list(worker.watchers) == []


def test_not_if_the_call_was_handed_on_before_it_came() -> None:
    first, second = Worker(), Worker()
    answer = Answer[int]()
    answer.holder = first
    answer.watch()
    answer.holder = second
    answer.handed_on(None)
    watched = [list(worker.watchers or ()) for worker in (first, second)]

    answer.settle(1, None, from_box=True)

    assert watched == [[], [answer]]
    assert [list(worker.watchers or ()) for worker in (first, second)] == [[], []]
