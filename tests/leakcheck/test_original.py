"""The original's workload counts on no worker to have ended as soon as its result is there."""

import time

import pytest

import threadpool_mb as mb
from leakcheck.scenarios import original


def test_the_next_repetition_begins_when_the_workers_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    function = original._Counters.function

    def ending_late(
        self: original._Counters, key: int, mailbox: mb.Mailbox[original.Message]
    ) -> None:
        function(self, key, mailbox)
        time.sleep(0.02)  # the race: its result is there, and it still has the key

    monkeypatch.setattr(original._Counters, "function", ending_late)

    with original.original_functions(0.1) as work:
        work()
        work()
