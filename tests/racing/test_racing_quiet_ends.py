"""Staged races of an end that nobody has to be told of, stopped before each of its instructions.

Beside it: a message, a call that is watched, the next worker of the key, a removal, the pool's end.
"""

import pathlib
from collections.abc import Callable, Generator
from typing import Any, Final

import pytest

from tests.helpers import DEADLINE, Running, until
from tests.insides import roster_of, threads_of
from tests.mailbox.stepping import STEPS, each_step, held
from threadpool_mb import Call, Command, DeadLetter, Pool, Reply, WorkerGone, ask
from threadpool_mb.line import lane
from threadpool_mb.pool import generator_lanes, pool, roster

pytestmark = [pytest.mark.slow, STEPS]

CODE: Final = tuple(str(pathlib.Path(each.__file__)) for each in (lane, generator_lanes, roster))


class Ask(Command[int]):
    """Asks, and gets no answer."""


class Scene:
    """A worker that ends with its first message; its turn is taken by the test."""

    def __init__(self) -> None:
        self.handled: list[tuple[str, object]] = []
        self.kept: list[object] = []
        self.letters: list[DeadLetter[Any, Any]] = []
        self.running = 0
        self.pool: Pool[str, Any] = Pool(
            self._work, max_threads=1, on_dead_letter=self.letters.append
        )
        # There is a thread, and it waits: so that a worker is started at once, into `taken`.
        self.pool.initialize("first", "stop")
        until(lambda: not len(self.pool) and threads_of(self.pool).idle)
        self.taken: list[Any] = []
        threads_of(self.pool).put = self.taken.append  # type: ignore[misc]
        self.pool.initialize("a")
        # The worker ends with this call, which it keeps; nobody waits for the answer yet.
        self.reply: Reply[int] = ask(self.pool.ref("a"), Ask())
        self.sent: str | None = None

    def _work(self, key: str) -> Generator[None, Any]:
        self.running += 1
        assert self.running == 1, "two workers of one key"
        try:
            message = yield
            self.handled.append((key, message))
            self.kept.append(message)  # a call that is kept is not dropped
        finally:
            self.running -= 1

    def ends(self) -> None:
        """Take the worker's turn, in which it ends."""
        self.taken.pop(0).turn()

    def sends(self) -> None:
        """Dispatch one more message."""
        self.sent = "more"
        self.pool.dispatch("a", self.sent)

    def watches(self) -> None:
        """Begin to watch the worker for the reply to the call."""
        self.reply.add_done_callback(self.kept.append)

    def starts(self) -> None:
        """Start the key's next worker."""
        self.sent = "next"
        self.pool.initialize("a", self.sent)

    def removes(self) -> None:
        """Remove the worker."""
        self.pool.remove("a")

    def drains(self) -> None:
        """Remove the worker, and start the next one."""
        if self.pool.remove("a", drain=True):
            self.starts()

    def closes(self) -> None:
        """Close the pool."""
        self.pool.close()

    def finish(self) -> None:
        """Take the turns that are left, and end the pool."""
        while self.taken:
            self.taken.pop(0).turn()
        self.pool.close()
        assert self.pool.join(timeout=10).finished
        assert not list(self.pool.workers())
        assert len(self.pool) == 0


OTHERS: Final = [
    Scene.sends,
    Scene.watches,
    Scene.starts,
    Scene.removes,
    Scene.drains,
    Scene.closes,
]


def name(function: Callable[..., object]) -> str:
    """Return a function's name, for the test's."""
    return function.__name__


def check(scene: Scene) -> None:
    """Check that each message was handled or is a dead letter, and that the caller is told."""
    of_a = [message for key, message in scene.handled if key == "a"]
    accounted = [*of_a, *(letter.message for letter in scene.letters)]
    assert sum(isinstance(each, Call) for each in accounted) == 1
    assert accounted.count(scene.sent) == (scene.sent is not None)
    with pytest.raises(WorkerGone):
        scene.reply.result(timeout=DEADLINE)


@pytest.mark.parametrize("other", OTHERS, ids=name)
def test_nothing_is_lost_wherever_a_worker_is_in_its_end(other: Callable[[Scene], None]) -> None:
    for scene, stepped in each_step(Scene, Scene.ends, CODE):
        lock = roster_of(scene.pool).lock
        beside = Running(lambda: other(scene))  # noqa: B023 - joined in this round
        if not held(lock):
            until(lambda: not beside.running)  # noqa: B023
        stepped.result()
        beside.result()
        if other is Scene.watches:
            until(lambda: scene.reply in scene.kept)  # noqa: B023 - it was called back
        scene.finish()
        check(scene)


def test_nothing_is_lost_wherever_a_sender_is_as_the_worker_ends() -> None:
    outcomes = set[int]()
    for scene, stepped in each_step(Scene, Scene.sends, str(pathlib.Path(pool.__file__))):
        scene.ends()
        stepped.result()
        scene.finish()
        check(scene)
        outcomes.add(len(scene.letters))

    assert outcomes == {1}
