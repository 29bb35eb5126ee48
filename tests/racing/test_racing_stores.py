"""Every instruction at which another thread can come between, in the stores of two kinds."""

import contextlib
import threading
from typing import Any, Final

import pytest

import threadpool_mb as mb
from tests.helpers import DEADLINE, Running
from tests.mailbox.stepping import MAILBOXES, STEPS, each_step, held
from threadpool_mb.line import sliding, sorting, stores

pytestmark = STEPS

CODE: Final = (str(sliding.__file__), str(sorting.__file__), str(stores.__file__), MAILBOXES)

type Message = tuple[int, str]


class Scene:
    """A mailbox that holds some messages, and what became of them."""

    def __init__(self, config: mb.MailboxConfig, *messages: Message) -> None:
        self.dead: list[Message] = []
        self.received: list[Message] = []
        self.mailbox: Any = config.create(on_dead_letter=self.dead.append)
        for message in messages:
            self.deliver(message)

    @property
    def busy(self) -> bool:
        """Whether another thread holds the store's lock."""
        return held(self.mailbox.inlet.store._lock)

    def deliver(self, message: Message) -> None:
        """Deliver a message."""
        assert self.mailbox.new_input().deliver(message)

    def receive(self, timeout: float = 0) -> None:
        """Receive a message, if there is one."""
        try:
            self.received.append(self.mailbox.receive(timeout=timeout))
        except mb.MailboxEmpty:
            assert timeout == 0

    def rest(self) -> list[Message]:
        """Close the mailbox, and return what is left."""
        self.mailbox.close()
        return list(self.mailbox)


def first(message: Message) -> int:
    """Return a message's priority."""
    return message[0]


@pytest.mark.parametrize("limit", [1, 2])
def test_wherever_a_sender_stops_without_the_lock_there_is_a_token_for_each_message(
    limit: int,
) -> None:
    def prepare() -> Scene:
        return Scene(mb.Sliding(limit), *((number, "old") for number in range(limit)))

    consistent = 0
    for scene, sender in each_step(prepare, lambda scene: scene.deliver((9, "new")), CODE):
        store = scene.mailbox.inlet.store
        if not scene.busy:
            consistent += 1
            assert len(store._messages) == scene.mailbox.inlet.queue.qsize() == limit
        sender.result()

        assert scene.dead == [(0, "old")]
        assert scene.rest()[-1] == (9, "new")
    assert consistent > 1


@pytest.mark.parametrize("limit", [1, 2])
@pytest.mark.parametrize("full", [False, True])
def test_wherever_a_sender_stops_a_receiver_takes_a_message_and_the_last_is_not_displaced(
    limit: int,
    full: bool,  # noqa: FBT001 - a case
) -> None:
    held_messages = [(number, "old") for number in range(limit)] if full else []

    for scene, sender in each_step(
        lambda: Scene(mb.Sliding(limit), *held_messages),
        lambda scene: scene.deliver((9, "new")),
        CODE,
    ):
        receiver = Running(scene.receive)
        if scene.busy:
            sender.result()
        receiver.result()
        sender.result()

        handled = scene.received + scene.rest()
        assert sorted(scene.dead + handled) == [*held_messages, (9, "new")]
        assert handled[-1] == (9, "new")
        assert handled == sorted(handled)


@pytest.mark.parametrize("limit", [1, 2])
def test_wherever_a_receiver_stops_a_sender_finds_room_or_displaces_the_oldest(limit: int) -> None:
    old = [(number, "old") for number in range(limit)]
    displaced = set()

    for scene, receiver in each_step(lambda: Scene(mb.Sliding(limit), *old), Scene.receive, CODE):
        sender = Running(lambda scene=scene: scene.deliver((9, "new")))
        if scene.busy:
            receiver.result()
        sender.result()
        receiver.result()

        handled = scene.received + scene.rest()
        assert sorted(scene.dead + handled) == [*old, (9, "new")]
        assert handled[-1] == (9, "new")
        assert scene.dead in ([], [(0, "old")])
        displaced.add(len(scene.dead))

    assert displaced == {0, 1}


@pytest.mark.parametrize("came", [(0, "urgent"), (1, "equal"), (9, "last")], ids=repr)
@pytest.mark.parametrize("limit", [None, 3])
def test_wherever_a_receiver_that_sorts_stops_a_sender_is_not_held_up_and_nothing_is_lost(
    came: Message, limit: int | None
) -> None:
    config = mb.Unlimited() if limit is None else mb.NonBlocking(limit)
    kept = [(1, "a"), (1, "b")]

    for scene, receiver in each_step(
        lambda: Scene(mb.Prioritized(config, first), (1, "a"), (1, "b")), Scene.receive, CODE
    ):
        scene.deliver(came)  # on this thread: it would not return if it needed the lock
        receiver.result()

        rest = scene.rest()
        assert sorted(scene.received + rest) == sorted([*kept, came])
        assert rest == sorted(rest, key=first)
        assert scene.received[0] in {(1, "a"), came} if came[0] == 0 else [(1, "a")]
        assert [each for each in scene.received + rest if each[0] == 1] == [
            each for each in (*kept, came) if each[0] == 1
        ]


@pytest.mark.parametrize(
    "config",
    [mb.Sliding(1), mb.Prioritized(mb.Unlimited(), first)],
    ids=["Sliding", "Prioritized"],
)
def test_wherever_a_sender_stops_a_receiver_that_waits_gets_the_message(
    config: mb.MailboxConfig,
) -> None:
    for scene, sender in each_step(
        lambda: Scene(config), lambda scene: scene.deliver((1, "comes")), CODE
    ):
        receiver = Running(lambda scene=scene: scene.receive(DEADLINE))
        sender.result()
        receiver.result()

        assert scene.received == [(1, "comes")]
        assert scene.rest() == []


def test_a_sweep_under_a_receiver_that_was_handed_a_message_leaves_it_its_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parking, handed, go_on, swept, sweep_on = (threading.Event() for _ in range(5))
    dead: list[int] = []
    received: list[int] = []

    def get_from(queue: Any, block: bool, timeout: float | None = None) -> Any:  # noqa: ANN401, FBT001
        """Take what is handed to the receiver that waits, and stop before it is sorted in."""
        if block:
            parking.set()
        entry = stores.get_from(queue, block, timeout)
        if block and not handed.is_set():
            handed.set()
            assert go_on.wait(DEADLINE)
        return entry

    def bury(message: int) -> None:
        dead.append(message)
        swept.set()
        assert sweep_on.wait(DEADLINE)

    def receive() -> None:
        with contextlib.suppress(mb.MailboxClosed):
            while True:
                received.append(mailbox.receive())
                sweep_on.set()

    monkeypatch.setattr(sorting, "get_from", get_from)
    mailbox: Any = mb.Prioritized(mb.Unlimited(), lambda _: 0).create(on_dead_letter=bury)
    deliver = mailbox.new_input().deliver
    receiver = Running(receive)
    assert parking.wait(DEADLINE)
    deliver(1)
    assert handed.wait(DEADLINE)
    for message in (2, 3, 4):
        deliver(message)
    sweeper = Running(mailbox.abandon)
    assert swept.wait(DEADLINE)  # 2 is dead, and 3 and 4 are about to be
    go_on.set()
    sweeper.result()
    receiver.result()

    assert received == [1]
    assert dead == [2, 3, 4]
