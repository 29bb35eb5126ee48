"""Every instruction at which a thread can be interrupted, exhaustively, over the real code."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

import threadpool_mb as mb
from tests.helpers import Running, until
from tests.mailbox.staging import Stage
from tests.mailbox.stepping import STEPS, each_step, held
from threadpool_mb.line.inlet import DONE, ending

pytestmark = STEPS

EACH = pytest.mark.parametrize(
    "config",
    [
        mb.Unlimited(),
        mb.Blocking(2),
        mb.CatchAll(mb.Waiting(1, deliver_timeout=60, receive_timeout=60)),
    ],
    ids=repr,
)


class Scene:
    """A mailbox, its late sender if there is one, and what became of the messages."""

    def __init__(self, config: mb.MailboxConfig, *, has_input: bool = True) -> None:
        self.dead: list[str] = []
        self.received: list[str] = []
        self.accepted: list[str] = []
        self.mailbox: mb.Mailbox[str] = config.create(on_dead_letter=self.dead.append)
        self._input: Final = self.mailbox.new_input() if has_input else None

    def deliver(self, message: str) -> None:
        target = self.mailbox.new_input() if self._input is None else self._input
        try:
            if target.deliver(message):
                self.accepted.append(message)
        except mb.MailboxClosed:
            pass

    def drain(self) -> None:
        try:
            self.received.extend(self.mailbox)
        except mb.Cancelled:
            self.mailbox.abandon()

    def close(self) -> None:
        self.mailbox.close()

    def cancel(self) -> None:
        self.mailbox.cancel()

    def close_and_drain(self) -> None:
        self.mailbox.close()
        self.drain()

    def cancel_and_drain(self) -> None:
        self.mailbox.cancel()
        self.drain()

    def abandon(self) -> None:
        self.mailbox.abandon()

    def assert_all_received_or_dead_once(self) -> None:
        assert sorted(self.received + self.dead) == sorted(self.accepted)


def inputless(config: mb.MailboxConfig) -> Callable[[], Scene]:
    """Return what makes a scene whose mailbox has handed out no input yet."""
    return lambda: Scene(config, has_input=False)


class LateScene(Scene):
    """Its sender has passed the check of an open mailbox, and stopped before or after its put."""

    def __init__(self, config: mb.MailboxConfig, stage: Stage, point: str) -> None:
        super().__init__(config)
        self.stop = stage.stop(point)
        self.sender = Running(lambda: self.deliver("late"))
        self.stop.wait()

    def finish_sender(self) -> None:
        self.stop.go()
        self.sender.result()


ENDS = pytest.mark.parametrize("end", ["close_and_drain", "cancel_and_drain", "abandon"])
POINTS = pytest.mark.parametrize("point", ["before put 'late'", "after put 'late'"])


@EACH
@ENDS
def test_wherever_a_sender_is_interrupted_by_the_end_its_message_is_received_or_dead_once(
    config: mb.MailboxConfig, end: str
) -> None:
    for scene, sender in each_step(lambda: Scene(config), lambda scene: scene.deliver("late")):
        getattr(scene, end)()
        sender.result()

        scene.assert_all_received_or_dead_once()


@EACH
@ENDS
def test_wherever_the_making_of_an_input_is_interrupted_by_the_end_the_input_refuses(
    config: mb.MailboxConfig, end: str
) -> None:
    for scene, maker in each_step(inputless(config), lambda scene: scene.mailbox.new_input()):
        if held(ending):
            maker.result()
        getattr(scene, end)()
        made: Any = maker.result()

        with pytest.raises(mb.MailboxClosed):
            made.deliver("late")


@EACH
@ENDS
def test_wherever_an_end_is_interrupted_by_the_making_of_an_input_the_input_refuses_after_it(
    config: mb.MailboxConfig, end: str
) -> None:
    for scene, ender in each_step(inputless(config), lambda scene: getattr(scene, end)()):
        if held(ending):
            ender.result()
        made = scene.mailbox.new_input()
        ender.result()

        with pytest.raises(mb.MailboxClosed):
            made.deliver("late")


def test_wherever_a_task_that_asks_to_be_woken_is_interrupted_by_the_end_the_mailbox_is_done() -> (
    None
):
    def prepare() -> Scene:
        return Scene(mb.Unlimited())

    def ask(scene: Scene) -> None:
        scene.mailbox.wake_with(list)  # type: ignore[attr-defined]

    for scene, asker in each_step(prepare, ask):
        if held(ending):
            asker.result()
        scene.abandon()
        asker.result()

        assert scene.mailbox.inlet.unattended == DONE  # type: ignore[attr-defined]


@EACH
@ENDS
def test_wherever_a_sender_that_makes_its_input_is_interrupted_by_the_end_nothing_is_lost(
    config: mb.MailboxConfig, end: str
) -> None:
    for scene, sender in each_step(inputless(config), lambda scene: scene.deliver("late")):
        if held(ending):
            sender.result()
        getattr(scene, end)()
        sender.result()

        scene.assert_all_received_or_dead_once()


@EACH
@POINTS
def test_wherever_a_draining_receiver_is_interrupted_by_a_late_sender_nothing_is_lost(
    config: mb.MailboxConfig, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(monkeypatch)

    def prepare() -> LateScene:
        scene = LateScene(config, stage, point)
        scene.close()
        return scene

    for scene, receiver in each_step(prepare, LateScene.drain):
        scene.finish_sender()
        receiver.result()

        assert scene.accepted == ["late"]
        scene.assert_all_received_or_dead_once()


@EACH
@POINTS
def test_wherever_an_abandoning_owner_is_interrupted_by_a_late_sender_nothing_is_lost(
    config: mb.MailboxConfig, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(monkeypatch)

    def prepare() -> LateScene:
        return LateScene(config, stage, point)

    for scene, owner in each_step(prepare, LateScene.abandon):
        scene.finish_sender()
        owner.result()

        assert scene.accepted == ["late"]
        scene.assert_all_received_or_dead_once()


@EACH
@ENDS
@POINTS
@pytest.mark.parametrize("sender_first", [True, False], ids=["sender first", "closer first"])
def test_wherever_a_closer_is_interrupted_by_another_end_a_late_message_is_not_lost(
    config: mb.MailboxConfig,
    end: str,
    point: str,
    sender_first: bool,  # noqa: FBT001 - a parameter
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(monkeypatch)

    def prepare() -> LateScene:
        return LateScene(config, stage, point)

    for scene, closer in each_step(prepare, LateScene.close):
        if held(ending):
            closer.result()
        getattr(scene, end)()
        if not sender_first:
            closer.result()
        scene.finish_sender()
        closer.result()

        assert scene.accepted == ["late"]
        scene.assert_all_received_or_dead_once()


@EACH
def test_wherever_a_closer_is_interrupted_by_another_there_is_one_end_marker(
    config: mb.MailboxConfig,
) -> None:
    def prepare() -> Scene:
        scene = Scene(config)
        scene.deliver("early")
        return scene

    for scene, closer in each_step(prepare, Scene.close):
        if held(ending):
            closer.result()
        scene.close()
        closer.result()

        assert len(scene.mailbox) == 1
        scene.drain()
        assert (scene.received, len(scene.mailbox)) == (["early"], 0)


@EACH
@pytest.mark.parametrize(
    "take",
    [
        lambda mailbox: mailbox.receive(),
        lambda mailbox: mailbox.receive_many(2),
        lambda mailbox: mailbox.try_receive().result(),
        next,
    ],
    ids=["receive", "receive_many", "try_receive", "next"],
)
def test_who_has_seen_that_a_mailbox_is_cancelled_takes_no_more_messages(
    config: mb.MailboxConfig, take: Callable[[mb.Mailbox[str] | Iterator[str]], object]
) -> None:
    def prepare() -> Scene:
        scene = Scene(config)
        scene.deliver("first")
        return scene

    for scene, canceller in each_step(prepare, Scene.cancel):
        messages = iter(scene.mailbox)
        seen = scene.mailbox.cancelled
        try:
            take(messages if take is next else scene.mailbox)
        except mb.Cancelled:
            taken = False
        else:
            taken = True
        canceller.result()

        assert not (seen and taken)
        scene.abandon()


class ClaimedScene(Scene):
    """Two messages and two futures, the first of them filled, perhaps."""

    def __init__(self, config: mb.MailboxConfig, *, filled: bool) -> None:
        super().__init__(config)
        for message in ("one", "two"):
            self.deliver(message)
        self.futures = [self.mailbox.try_receive(), self.mailbox.try_receive()]
        assert not filled or self.futures[0].done()

    def fill_second(self) -> None:
        self.futures[-1].done()

    def drop_first(self) -> None:
        del self.futures[0]

    def finalize_first(self) -> None:
        """Do what dropping it does: a t-build would do it on the thread that made the future."""
        self.futures[0].__del__()  # type: ignore[attr-defined]

    def drop_all(self) -> None:
        del self.futures[:]


class WaitingScene(Scene):
    """Two futures, and a message for the first of them."""

    def __init__(self, config: mb.MailboxConfig) -> None:
        super().__init__(config)
        self.deliver("one")
        self.futures = [self.mailbox.try_receive(), self.mailbox.try_receive()]


CLAIMED = pytest.mark.parametrize("config", [mb.Unlimited(), mb.Blocking(2)], ids=repr)


@CLAIMED
def test_wherever_the_filling_of_futures_is_interrupted_by_a_drop_no_message_is_lost(
    config: mb.MailboxConfig,
) -> None:
    def prepare() -> ClaimedScene:
        return ClaimedScene(config, filled=False)

    for scene, filler in each_step(prepare, ClaimedScene.fill_second):
        scene.drop_first()
        filler.result()
        scene.drop_all()
        scene.close_and_drain()

        scene.assert_all_received_or_dead_once()


@CLAIMED
def test_wherever_a_waiter_is_when_another_one_fills_its_future_it_gets_its_message(
    config: mb.MailboxConfig,
) -> None:
    def wait(scene: WaitingScene) -> object:
        return scene.futures[0].result()

    for scene, waiter in each_step(lambda: WaitingScene(config), wait):
        # It leads, if it may, and fills the older claim; there is no other message.
        other = Running(scene.futures[1].try_now)
        if not held(scene.mailbox._claims.lock):  # type: ignore[attr-defined]
            until(lambda: not other.running)  # noqa: B023 - of this round
        assert waiter.result() == "one"
        assert other.result() is mb.MISSING
        scene.abandon()


@CLAIMED
@ENDS
def test_wherever_the_drop_of_a_filled_future_is_interrupted_by_the_end_no_message_is_lost(
    config: mb.MailboxConfig, end: str
) -> None:
    def prepare() -> ClaimedScene:
        return ClaimedScene(config, filled=True)

    for scene, dropper in each_step(prepare, ClaimedScene.finalize_first):
        # Between the message and its marker: a receiver that finds the message waits for it.
        returned = scene.mailbox.inlet.returned  # type: ignore[attr-defined]
        half_returned = bool(returned) and len(scene.mailbox) == 1
        ending = Running(getattr(scene, end))
        until(lambda: not ending.running or (not returned and half_returned))  # noqa: B023
        dropper.result()
        ending.result()
        scene.drop_all()

        scene.assert_all_received_or_dead_once()


def test_wherever_a_sender_is_interrupted_nobody_else_is_refused_while_there_is_room() -> None:
    config = mb.NonBlocking(4)

    def deliver_three(scene: Scene) -> None:
        for message in ("first", "second", "third"):
            scene.deliver(message)

    for scene, sender in each_step(lambda: Scene(config), deliver_three):
        slots = scene.mailbox.slots  # type: ignore[attr-defined]
        if held(slots._lock):
            sender.result()
        scene.deliver("fourth")
        sender.result()
        scene.deliver("fifth")

        assert sorted(scene.accepted) == ["first", "fourth", "second", "third"]
