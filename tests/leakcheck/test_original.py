"""The original's workload counts on no worker to have ended as soon as its result is there."""

import threading

import pytest

import threadpool_mb as mb
from leakcheck.scenarios import original


def test_the_next_repetition_begins_when_the_workers_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    function, until_idle = original._Counters.function, original.until_idle
    waited_for = threading.Event()

    def ending_late(
        self: original._Counters, key: int, mailbox: mb.Mailbox[original.Message]
    ) -> None:
        function(self, key, mailbox)
        waited_for.wait()  # its result is there, and it still has the key

    def waiting(pool: mb.Pool[int, original.Message]) -> None:
        waited_for.set()
        until_idle(pool)
        waited_for.clear()

    monkeypatch.setattr(original._Counters, "function", ending_late)
    monkeypatch.setattr(original, "until_idle", waiting)

    with original.original_functions(0.1) as work:
        work()
