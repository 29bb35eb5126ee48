"""An interrupt (Ctrl-C) where a worker is woken, flushed or resumed: at each point."""

import contextlib
import functools
import types
from collections.abc import Callable, Generator
from typing import Any

import pytest

import threadpool_mb as mb
from tests.helpers import DEADLINE, until
from tests.points import interrupted_at_each_point

type Worker = Generator[Any, Any]


class Get(mb.Command[int]):
    """Asks for something."""


class Scene:
    """A pool with a worker "a" that sleeps, or waits for a reply, in the midst of a message."""

    def __init__(self, what: str, rate: mb.Rate | None = None) -> None:
        self._what = what
        self.calls: list[mb.Call[int]] = []
        self.got: list[object] = []
        self.pool: mb.Pool[str, Any] = mb.Pool(self._work, rate=rate, on_dead_letter=lambda _: None)
        self.pool.initialize("holder")
        self.pool.initialize("a")
        self.pool.dispatch("a", "wait")
        until(self._waits)

    def _work(self, key: str) -> Worker:
        while True:
            message = yield
            if key == "holder":
                self.calls.append(message)
                del message
            elif self._what == "sleep":
                yield from mb.sleep(3600)
            else:
                self.got.append((yield from mb.wait(mb.ask(self.pool.ref("holder"), Get()))))

    def _waits(self) -> bool:
        if self._what != "sleep" and not self.calls:
            return False
        lane: Any = self.pool._dispatcher.roster.routes["a"]
        waits = lane._generator
        return type(waits) is not types.GeneratorType and getattr(waits, "_lane", None) is lane

    def has_its_answer(self) -> bool:
        """Whether the worker has the reply, once."""
        return self.got == [1]

    def end(self) -> None:
        """Cancel the pool, and see it end."""
        self.calls.clear()
        self.pool.cancel()
        assert self.pool.join(timeout=DEADLINE).finished


RATES = pytest.mark.parametrize("rate", [None, mb.Rate(10_000, 100)], ids=["ahead", "behind"])


@RATES
@pytest.mark.parametrize("end", ["remove", "cancel"])
def test_a_worker_that_waits_ends_though_what_stops_it_was_interrupted(
    end: str, rate: mb.Rate | None
) -> None:
    def stop(scene: Scene) -> None:
        if end == "remove":
            scene.pool.remove("a")
        else:
            scene.pool.cancel()

    for scene in interrupted_at_each_point(lambda: Scene("sleep", rate), stop):
        scene.end()


@RATES
def test_a_worker_that_waits_for_a_reply_has_it_though_that_was_interrupted(
    rate: mb.Rate | None,
) -> None:
    def reply(scene: Scene) -> None:
        scene.calls[0].reply_box.reply(1)

    for scene in interrupted_at_each_point(lambda: Scene("reply", rate), reply):
        with contextlib.suppress(mb.DuplicateReply):
            scene.calls[0].reply_box.reply(1)

        until(scene.has_its_answer)
        scene.end()


def _call(called: list[int], number: int, _reply: object) -> None:
    called.append(number)


def test_each_callback_is_called_once_though_the_reply_was_interrupted() -> None:
    called: list[int] = []

    def prepare() -> tuple[Scene, mb.Reply[int]]:
        called.clear()
        scene = Scene("sleep")
        reply = mb.ask(scene.pool.ref("holder"), Get())
        for number in range(3):
            reply.add_done_callback(functools.partial(_call, called, number))
        until(lambda: scene.calls)
        return scene, reply

    for scene, reply in interrupted_at_each_point(
        prepare, lambda made: made[0].calls[0].reply_box.reply(1)
    ):
        with contextlib.suppress(mb.DuplicateReply):
            scene.calls[0].reply_box.reply(1)

        # One may itself have been interrupted, where it began.
        assert len(set(called)) == len(called) >= 2
        assert reply.result() == 1
        scene.end()


def function(got: list[int]) -> Callable[..., object]:
    """Return a worker that is a function."""
    return lambda _key, mailbox: got.extend(mailbox)


def generator(got: list[int]) -> Callable[..., Any]:
    """Return a worker that is a generator."""

    def worker(_key: str) -> Worker:
        while True:
            got.append((yield))

    return worker


class Looks(mb.Observer):
    """Looks at each message."""

    def begun(self, *_: object) -> None:
        """Do nothing."""


MAILBOXES: dict[str, dict[str, Any]] = {
    "plain": {},
    "blocking": {"mailbox": mb.Blocking(8)},
    "sliding": {"mailbox": mb.Sliding(8)},
    "prioritized": {"mailbox": mb.Prioritized(mb.Unlimited(), lambda _: 0)},
    "observed": {"observe": [Looks()]},
}
FLOWS: dict[str, dict[str, Any]] = {
    "timed": {"message_ttl": 3600},
    "in room": {"max_waiting": 100},
}


@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize(
    ("kind", "options"),
    [(function, each) for each in MAILBOXES] + [(generator, each) for each in MAILBOXES | FLOWS],
)
def test_a_flush_that_was_interrupted_keeps_no_later_one_waiting(
    kind: Callable[[list[int]], Callable[..., Any]],
    options: str,
    waiting: bool,  # noqa: FBT001 - a parameter
) -> None:
    """`waiting`: an earlier flush is written down."""
    got: list[int] = []

    def prepare() -> mb.Pool[str, int]:
        got.clear()
        pool: mb.Pool[str, int] = mb.Pool(kind(got), **(MAILBOXES | FLOWS)[options])
        pool.initialize("a")
        assert pool.flush(timeout=DEADLINE)
        return pool

    def flush(pool: mb.Pool[str, int]) -> None:
        pool.dispatch("a", 1)
        if waiting:
            pool.flush(timeout=0)
        pool.flush(timeout=0)

    for pool in interrupted_at_each_point(prepare, flush):
        pool.dispatch("a", 2)

        assert pool.flush(timeout=DEADLINE)
        assert got[-1] == 2
        pool.close()
        assert pool.join(timeout=DEADLINE).finished


@pytest.mark.parametrize("backlog", [False, True])
def test_a_worker_whose_resuming_was_interrupted_can_be_resumed_or_goes_on(
    backlog: bool,  # noqa: FBT001 - a parameter
) -> None:
    got: list[int] = []

    def prepare() -> mb.Pool[str, int]:
        got.clear()
        pool: mb.Pool[str, int] = mb.Pool(generator(got))
        pool.initialize("a")
        assert pool.flush(timeout=DEADLINE)
        pool.pause("a")
        if backlog:
            pool.dispatch("a", 1)
        return pool

    for pool in interrupted_at_each_point(prepare, lambda pool: pool.resume("a")):
        pool.resume("a")
        pool.dispatch("a", 2)

        assert pool.flush(timeout=DEADLINE)
        assert got == [1, 2][not backlog :]
        pool.close()
        assert pool.join(timeout=DEADLINE).finished
