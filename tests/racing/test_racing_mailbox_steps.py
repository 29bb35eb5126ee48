"""Every instruction at which a thread can be interrupted, exhaustively, over the real code."""

from collections.abc import Callable

import pytest

import threadpool_mb as mb
from tests.conformance.configs import EVERY
from tests.helpers import Running
from tests.mailbox.staging import Stage
from tests.mailbox.stepping import each_step, shutting

EACH = pytest.mark.parametrize("config", EVERY, ids=repr)


class Scene:
    """A mailbox, its late sender if there is one, and what became of the messages."""

    def __init__(self, config: mb.MailboxConfig) -> None:
        self.dead: list[str] = []
        self.received: list[str] = []
        self.accepted: list[str] = []
        self.mailbox: mb.Mailbox[str] = config.create(on_dead_letter=self.dead.append)

    def deliver(self, message: str) -> None:
        try:
            if self.mailbox.new_input().deliver(message):
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

    for scene, owner in each_step(lambda: LateScene(config, stage, point), LateScene.abandon):
        scene.finish_sender()
        owner.result()

        assert scene.accepted == ["late"]
        scene.assert_all_received_or_dead_once()


@pytest.mark.parametrize("config", [mb.Unlimited(), mb.Blocking(2)], ids=repr)
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

    for scene, closer in each_step(lambda: LateScene(config, stage, point), LateScene.close):
        if shutting():
            closer.result()  # everyone else would only wait for it
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
        if shutting():
            closer.result()
        scene.close()
        closer.result()

        assert len(scene.mailbox) == 1
        scene.drain()
        assert (scene.received, len(scene.mailbox)) == (["early"], 0)


@pytest.mark.parametrize("config", [mb.Unlimited(), mb.Blocking(2)], ids=repr)
def test_wherever_the_filling_of_futures_is_interrupted_by_a_drop_no_message_is_lost(
    config: mb.MailboxConfig,
) -> None:
    def prepare() -> tuple[Scene, list[mb.MessageFuture[str]]]:
        scene = Scene(config)
        for message in ("one", "two"):
            scene.deliver(message)
        return scene, [scene.mailbox.try_receive(), scene.mailbox.try_receive()]

    def fill_second(prepared: tuple[Scene, list[mb.MessageFuture[str]]]) -> None:
        prepared[1][-1].done()

    for (scene, futures), filler in each_step(prepare, fill_second):
        del futures[0]
        filler.result()
        del futures[:]
        scene.close_and_drain()

        scene.assert_all_received_or_dead_once()
