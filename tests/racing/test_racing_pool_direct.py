"""Staged races of `dispatch` where the mailbox has no limit: the sender delivers in its own frame.

It is stopped between reading the mailbox's `put` and putting, and between putting and looking
whether the mailbox is done, while its worker ends.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers import Running, until
from tests.mailbox.staging import Stage
from tests.pool.witness import ENDS, Witness, finish
from threadpool_mb import Pool

CANCEL = (lambda pool: pool.cancel(), "pool closed")
EACH_END = pytest.mark.parametrize(
    ("end", "reason"), [*ENDS.values(), CANCEL], ids=[*ENDS, "cancel"]
)


@EACH_END
def test_a_message_that_is_put_after_its_worker_has_ended_is_one_dead_letter(
    end: Callable[[Pool[Any, Any]], object], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness, stage = Witness(), Stage(monkeypatch)
    before_put = stage.stop("before put 'late'")
    with witness.pool() as pool:
        witness.start(pool, "a")
        sender = Running(lambda: pool.dispatch("a", "late"))
        before_put.wait()

        end(pool)
        until(lambda: len(witness.exits) > 0 and not list(pool.workers()))
        before_put.go()

        assert sender.result() is True
        finish(pool)

    assert witness.handled == []
    assert witness.dead == [("a", "late", reason)]


@EACH_END
def test_a_message_that_is_put_before_its_worker_ends_is_handled_or_dead_once(
    end: Callable[[Pool[Any, Any]], object], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness, stage = Witness(), Stage(monkeypatch)
    after_put = stage.stop("after put 'late'")
    with witness.pool() as pool:
        held = witness.hold(pool, "a")
        sender = Running(lambda: pool.dispatch("a", "late"))
        after_put.wait()

        end(pool)
        held.open()
        until(lambda: len(witness.exits) > 0 and not list(pool.workers()))
        after_put.go()

        assert sender.result() is True
        finish(pool)

    cancelled = (end, reason) in (ENDS["remove"], CANCEL)
    assert witness.handled == ([] if cancelled else [("a", "late")])
    assert witness.dead == ([("a", "late", reason)] if cancelled else [])
