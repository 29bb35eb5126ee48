"""A worker that is in the table for a moment and does not enter: interrupted, or its key raises."""

import contextlib
import functools
import itertools
from collections.abc import Generator
from typing import Any, Literal

import pytest

from tests.helpers import DEADLINE, Running
from tests.insides import roster_of, worker_of
from tests.points import Point
from tests.pool.doubles import Intercepting
from threadpool_mb import Blocking, DeadLetter, Mailbox, MailboxConfig, Pool, Prioritized, Unlimited


class Scene:
    """A pool, and what became of the messages that were sent to "a"."""

    def __init__(
        self,
        kind: Literal["generator", "function"],
        config: MailboxConfig,
        start: Literal["explicit", "on_demand"],
    ) -> None:
        self.handled: list[int] = []
        self.letters: list[DeadLetter[str, int]] = []
        self.taken: list[bool] = []
        worker: Any = self.in_turns if kind == "generator" else self.on_a_thread
        self.pool: Pool[str, int] = Pool(
            worker, mailbox=config, start=start, on_dead_letter=self.letters.append
        )

    def in_turns(self, _key: str) -> Generator[None, int]:
        """Note each message."""
        while True:
            self.handled.append((yield))

    def on_a_thread(self, _key: str, mailbox: Mailbox[int]) -> None:
        """Note each message."""
        self.handled.extend(mailbox)

    def send_and_interrupt(self) -> None:
        """Have another thread send the message 2, if it finds a worker; and be interrupted."""
        if worker_of(self.pool, "a") is not None:
            self.taken.append(Running(functools.partial(self.pool.dispatch, "a", 2)).result())
        raise KeyboardInterrupt

    def end(self) -> list[int]:
        """End the pool; return all messages, as often as they were accounted for."""
        self.pool.close()
        assert self.pool.join(timeout=DEADLINE).finished
        return self.handled + [letter.message for letter in self.letters]


@pytest.mark.parametrize("start", ["explicit", "on_demand"])
@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("generator", Unlimited()),
        ("generator", Blocking(2)),
        ("generator", Prioritized(Unlimited(), lambda message: -message)),
        ("generator", Intercepting()),
        ("function", Unlimited()),
        ("function", Prioritized(Blocking(2), lambda message: -message)),
        ("function", Intercepting()),
    ],
)
@pytest.mark.parametrize("way", ["initialize", "dispatch"])
def test_what_others_have_sent_meanwhile_is_not_lost(
    kind: Literal["generator", "function"],
    config: MailboxConfig,
    start: Literal["explicit", "on_demand"],
    way: Literal["initialize", "dispatch"],
) -> None:
    seen = 0

    for number in itertools.count(1):
        scene = Scene(kind, config, start)
        point = Point(number, scene.send_and_interrupt)
        with contextlib.suppress(KeyboardInterrupt):
            point.run(functools.partial(getattr(scene.pool, way), "a", 1))
        if not point.reached:
            scene.end()
            break
        entered = "a" in scene.pool
        messages = scene.end()

        assert messages.count(2) == len(scene.taken)
        assert messages.count(1) <= 1
        if scene.taken and not entered:
            seen += 1
            # Its sender was told by the interrupt.
            assert 1 not in messages

    assert seen or (start, way) == ("explicit", "dispatch")


class RaisesAsItEnters:
    """A key that raises when it is looked up behind a worker that leaves."""

    def __init__(self, pool: Pool[Any, int] | None) -> None:
        self.pool = pool

    def __hash__(self) -> int:
        """Send a message, and raise, where the worker is in the table and has not entered."""
        pool = self.pool
        if pool is not None and roster_of(pool)._leaving and pool._routes:
            for worker in list(pool._routes.values()):
                if worker.current and worker.key is self:
                    self.pool = None
                    pool.dispatch(self, 2)
                    raise ValueError("the key's")
        return 7


def test_nor_is_it_where_the_key_raises() -> None:
    scene = Scene("generator", Unlimited(), "explicit")
    pool: Pool[Any, int] = scene.pool
    key = RaisesAsItEnters(None)
    pool.initialize(key)
    assert pool.flush(timeout=DEADLINE)

    # Only where a worker leaves is the key looked up again.
    leaving = roster_of(pool)._leaving
    leaving["other"] = worker_of(pool, key)  # type: ignore[assignment]
    with pytest.raises(ValueError, match="the key's"):
        pool.initialize(RaisesAsItEnters(pool), 1)
    del leaving["other"]

    assert scene.end() == [2]
    assert [str(letter.reason) for letter in scene.letters] == ["worker ended"]
