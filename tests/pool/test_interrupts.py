"""An interrupt (Ctrl-C) in the middle of a pool's methods: at each point at which one can come."""

import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from tests.helpers import DEADLINE, until
from tests.points import interrupt, interrupted_at_each_point
from tests.pool.witness import Witness
from threadpool_mb import DeadLetter, Mailbox, MailboxConfig, Pool, Unlimited
from threadpool_mb.pool.dispatcher import Dispatcher
from threadpool_mb.pool.roster import Roster
from threadpool_mb.pool.telling import Telling

type Roster_ = Roster[str, Any]


class Scene:
    """A pool with a worker that is held, one in line behind it, and one that waits."""

    def __init__(self) -> None:
        self.witness = Witness()
        self.pool: Pool[str, Any] = Pool(
            self.witness.work,
            on_dead_letter=self.witness.letters.append,
            on_worker_exit=self.witness.exits.append,
        )
        self.gate = self.witness.hold(self.pool, "a")
        self.witness.start(self.pool, "b")
        self.pool.dispatch("a", "backlog")

    def add_one_in_line(self) -> "Scene":
        """Let a second worker of "a" wait for the first."""
        self.pool.remove("a", drain=True)
        self.pool.initialize("a", "in line")
        return self

    def end(self) -> None:
        """Let the held worker go, and wait for the pool's end."""
        self.gate.open()
        assert self.pool.join(timeout=DEADLINE).finished


@pytest.fixture
def scenes() -> Iterator[list[Scene]]:
    """Return a list of scenes whose pools are ended at the end of the test."""
    made: list[Scene] = []
    yield made
    for scene in made:
        scene.gate.open()
        scene.pool.cancel()


def preparing(scenes: list[Scene], *, in_line: bool = False) -> Callable[[], Scene]:
    """Return what makes one scene after the other."""

    def prepare() -> Scene:
        scene = Scene()
        scenes.append(scene)
        return scene.add_one_in_line() if in_line else scene

    return prepare


@pytest.mark.parametrize("drain", [False, True])
def test_a_worker_whose_removal_is_interrupted_is_told_or_still_current(
    scenes: list[Scene],
    drain: bool,  # noqa: FBT001 - a parameter
) -> None:
    outcomes = set()

    for scene in interrupted_at_each_point(
        preparing(scenes), lambda scene: scene.pool.remove("b", drain=drain)
    ):
        current = "b" in scene.pool
        outcomes.add(current)
        if not current:
            until(lambda scene=scene: scene.witness.exits)
        scene.pool.close()
        scene.end()

    assert outcomes == {True, False}


def test_a_worker_that_is_dropped_by_an_interrupted_removal_leaves_dead_letters(
    scenes: list[Scene],
) -> None:
    seen = set()

    for scene in interrupted_at_each_point(
        preparing(scenes, in_line=True), lambda scene: scene.pool.remove("a")
    ):
        current = "a" in scene.pool
        seen.add((current, tuple(scene.witness.dead)))
        scene.pool.close()
        scene.end()

    assert seen == {(True, ()), (False, (("a", "in line", "worker removed"),))}


def test_so_does_a_generator_worker() -> None:
    seen = set()
    gates: list[threading.Event] = []
    letters: list[DeadLetter[str, str]] = []

    def held(_key: str) -> Generator[None, str]:
        gate = gates[-1]
        yield
        assert gate.wait(DEADLINE)

    def prepare() -> Pool[str, str]:
        gates.append(threading.Event())
        letters.clear()
        pool = Pool(held, max_threads=1, on_dead_letter=letters.append)
        pool.initialize("a", "held")
        pool.remove("a", drain=True)
        pool.initialize("a", "in line")
        return pool

    for pool in interrupted_at_each_point(prepare, lambda pool: pool.remove("a")):
        seen.add(("a" in pool, *(letter.message for letter in letters)))
        pool.cancel()
        gates[-1].set()
        assert pool.join(timeout=DEADLINE).finished

    assert seen == {(True,), (False, "in line")}


def test_a_worker_whose_removal_was_interrupted_twice_is_told_when_the_pool_is_closed(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.remove("a")
        pool.initialize("a", "dropped")
        with monkeypatch.context() as patched:
            patched.setattr(Telling, "left", interrupt)
            with pytest.raises(KeyboardInterrupt):
                pool.remove("a")

        pool.close()

        assert witness.dead == [("a", "dropped", "worker removed")]
        gate.open()


def test_a_close_that_was_interrupted_is_finished_by_the_next_one(scenes: list[Scene]) -> None:
    for scene in interrupted_at_each_point(
        preparing(scenes, in_line=True), lambda scene: scene.pool.close()
    ):
        scene.pool.close()
        scene.end()

        assert scene.witness.handled == [("a", "backlog"), ("a", "in line")]


def test_a_cancel_that_was_interrupted_is_finished_by_the_next_one(scenes: list[Scene]) -> None:
    for scene in interrupted_at_each_point(
        preparing(scenes, in_line=True), lambda scene: scene.pool.cancel()
    ):
        scene.pool.cancel()
        scene.end()

        assert sorted(letter.message for letter in scene.witness.letters) == ["backlog", "in line"]
        assert {str(letter.reason) for letter in scene.witness.letters} == {"pool closed"}


def in_turns(key: str) -> Generator[None, int]:
    """Take messages for ever."""
    while True:
        yield


def on_a_thread(key: str, mailbox: Mailbox[int]) -> None:
    """Take messages to the end."""
    for _ in mailbox:
        pass


@pytest.mark.parametrize(
    ("worker", "options"),
    [(in_turns, {}), (in_turns, {"pinned": True, "max_threads": 2}), (on_a_thread, {})],
)
def test_a_worker_whose_initialize_is_interrupted_starts_or_is_not_there(
    worker: Any,  # noqa: ANN401 - of either kind
    options: dict[str, Any],
) -> None:
    seen = set()

    def prepare() -> Pool[str, int]:
        pool: Pool[str, int] = Pool(worker, **options)
        pool.initialize("first")  # now there is a thread
        until(lambda: pool.stats().started == 1)
        return pool

    for pool in interrupted_at_each_point(prepare, lambda pool: pool.initialize("k", 1)):
        there = "k" in pool
        seen.add(there)
        if there:
            until(lambda pool=pool: pool.stats().started == 2)
        pool.close()

        assert pool.join(timeout=DEADLINE).finished

    assert seen == {True, False}


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_the_end_of_an_empty_pool_is_told_though_its_close_was_interrupted(end: str) -> None:
    def prepare() -> tuple[Roster_, list[object]]:
        told: list[object] = []
        return Roster(told.append), told

    for roster, told in interrupted_at_each_point(prepare, lambda scene: getattr(scene[0], end)()):
        getattr(roster, end)()

        assert set(told) == {None}


@pytest.mark.parametrize("method", ["close", "cancel"])
def test_an_interrupt_in_one_mailbox_passes_once_all_others_are_told(
    witness: Witness, method: str
) -> None:
    mailboxes: list[Interruptible] = []

    def create(config: MailboxConfig, on_dead_letter: Any) -> Any:  # noqa: ANN401 - a stand-in
        mailboxes.append(Interruptible(config.create(on_dead_letter=on_dead_letter)))
        return mailboxes[-1]

    with witness.pool(mailbox=Creating(create)) as pool:
        for key in "abc":
            witness.start(pool, key)
        mailboxes[0].interrupt = True

        with pytest.raises(KeyboardInterrupt):
            getattr(pool, method)()
        mailboxes[0].interrupt = False
        told = [mailbox.closed for mailbox in mailboxes]
        getattr(pool, method)()
        pool.join(timeout=DEADLINE)

    assert told == [False, True, True]


@pytest.mark.parametrize("step", ["close", "join"])
def test_an_interrupt_while_the_pool_drains_cancels_it(
    witness: Witness, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with witness.pool() as pool:
        witness.hold(pool, "a")

        with monkeypatch.context() as patched:
            patched.setattr(Dispatcher, step, interrupt)
            with pytest.raises(KeyboardInterrupt):
                pool.drain(timeout=None)

        assert pool.stats().state == "cancelling"


@pytest.mark.parametrize("step", ["close", "join"])
def test_an_interrupt_as_the_block_is_left_cancels_the_pool(
    witness: Witness, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with witness.pool() as pool:
        witness.hold(pool, "a")

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt), pool:
            patched.setattr(Dispatcher, step, interrupt)

        assert pool.stats().state == "cancelling"


class Creating:
    """A config that creates mailboxes as the test says."""

    limit = None

    def __init__(self, create: Callable[[MailboxConfig, Any], Any]) -> None:
        self._create = create

    def create(self, *, on_dead_letter: Callable[[Any], object] | None = None) -> Mailbox[Any]:
        """Create one."""
        return self._create(Unlimited(), on_dead_letter)


class Interruptible:
    """A mailbox whose `close` and `cancel` are interrupted, if the test says so."""

    def __init__(self, mailbox: Mailbox[Any]) -> None:
        self._mailbox = mailbox
        self.interrupt = False

    def close(self) -> None:
        if self.interrupt:
            raise KeyboardInterrupt
        self._mailbox.close()

    def cancel(self) -> None:
        if self.interrupt:
            raise KeyboardInterrupt
        self._mailbox.cancel()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it is
        return getattr(self._mailbox, name)

    def __len__(self) -> int:
        return len(self._mailbox)

    def __iter__(self) -> Any:  # noqa: ANN401 - whatever it is
        return iter(self._mailbox)
