"""An interrupt, or a call back, in the middle of a mailbox's methods."""

import itertools
import queue
import threading
import types
from collections.abc import Callable, Generator
from typing import Any, Final

import pytest

import threadpool_mb as mb
from tests.conformance.configs import Alike
from tests.helpers import Running
from tests.mailbox.stepping import each_step, held
from tests.points import at_each_point, interrupted_at_each_point
from threadpool_mb.line import askers, slots, standing
from threadpool_mb.line.askers import Asker
from threadpool_mb.line.inlet import DONE, Marker
from threadpool_mb.line.sliding import SlidingStore
from threadpool_mb.line.sorting import PriorityStore
from threadpool_mb.line.stores import Store, StoredQueue
from threadpool_mb.mailbox import sending
from threadpool_mb.mailbox.claims import Claims
from threadpool_mb.mailbox.receiving import QueueMailbox
from threadpool_mb.mailbox.sending import MailboxInlet

CONFIGS: Final = [
    mb.Unlimited(),
    mb.Blocking(8),
    mb.Sliding(8),
    mb.Prioritized(mb.Unlimited(), Alike()),
]


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
@pytest.mark.parametrize("end", ["close", "cancel", "abandon"])
def test_an_end_that_was_interrupted_is_finished_by_the_next_one(
    config: mb.MailboxConfig, end: str
) -> None:
    def prepare() -> tuple[mb.Mailbox[int], list[int]]:
        dead: list[int] = []
        mailbox = config.create(on_dead_letter=dead.append)
        mailbox.new_input().deliver(1)
        return mailbox, dead

    for mailbox, dead in interrupted_at_each_point(prepare, lambda scene: getattr(scene[0], end)()):
        getattr(mailbox, end)()

        if end == "close":
            assert mailbox.receive(timeout=0) == 1
        with pytest.raises(mb.Cancelled if end == "cancel" else mb.MailboxClosed):
            mailbox.receive(timeout=0)
        assert dead == ([1] if end == "abandon" else [])


def test_a_sender_that_waits_for_room_is_woken_by_the_next_close_if_one_was_interrupted() -> None:
    def prepare() -> mb.Mailbox[int]:
        mailbox: mb.Mailbox[int] = mb.Waiting(1, deliver_timeout=0).create()
        mailbox.new_input().deliver(1)
        return mailbox

    for mailbox in interrupted_at_each_point(prepare, lambda mailbox: mailbox.close()):
        mailbox.close()

        with pytest.raises(mb.MailboxClosed):
            mailbox.new_input().deliver(2)
        assert mailbox.slots.take() is None  # type: ignore[attr-defined]


def test_a_mailbox_that_refuses_says_that_it_is_closed() -> None:
    def prepare() -> tuple[mb.Mailbox[int], mb.Input[int]]:
        mailbox: mb.Mailbox[int] = mb.Unlimited().create()
        return mailbox, mailbox.new_input()

    for (mailbox, target), _ in each_step(prepare, lambda scene: scene[0].close()):
        try:
            target.deliver(1)
        except mb.MailboxClosed:
            assert mailbox.closed


@pytest.mark.parametrize(
    "act",
    [lambda mailbox: mailbox.wake_with(list), lambda mailbox: mailbox.new_input()],
    ids=["wake_with", "new_input"],
)
def test_a_call_back_that_abandons_the_mailbox_is_not_written_over(
    act: Callable[[Any], object],
) -> None:
    def prepare() -> QueueMailbox[int]:
        return QueueMailbox(MailboxInlet(None))

    for mailbox in at_each_point(prepare, act, lambda mailbox: mailbox.abandon()):
        if mailbox.closed:
            assert mailbox.inlet.unattended == DONE
            with pytest.raises(mb.MailboxClosed):
                mailbox.new_input().deliver(1)


def test_a_mailbox_that_is_being_closed_counts_all_its_messages() -> None:
    def prepare() -> mb.Mailbox[int]:
        mailbox: mb.Mailbox[int] = mb.Unlimited().create()
        mailbox.new_input().deliver(1)
        return mailbox

    counts: list[int] = []

    scenes = at_each_point(
        prepare, lambda mailbox: mailbox.close(), lambda mailbox: counts.append(len(mailbox))
    )
    counts += [len(mailbox) for mailbox in scenes]

    assert min(counts) == 1


class InterruptedQueue(queue.SimpleQueue[Any]):
    """A queue whose `get_nowait` is interrupted before it takes something, the first time."""

    interrupted = False

    def get_nowait(self) -> Any:  # noqa: ANN401 - any message
        if not self.interrupted:
            self.interrupted = True
            raise KeyboardInterrupt
        return super().get_nowait()


def test_a_sweep_that_is_interrupted_goes_on_to_its_end_and_lets_the_interrupt_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead: list[int] = []
    stand_in = types.SimpleNamespace(SimpleQueue=InterruptedQueue, Empty=queue.Empty)
    monkeypatch.setattr(sending, "queue", stand_in)
    mailbox: mb.Mailbox[int] = mb.Unlimited().create(on_dead_letter=dead.append)
    for message in range(3):
        mailbox.new_input().deliver(message)

    with pytest.raises(KeyboardInterrupt):
        mailbox.abandon()

    assert dead == [0, 1, 2]
    with pytest.raises(mb.MailboxClosed):
        mailbox.receive(timeout=0)


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize(
    "make_store",
    [lambda: None, lambda: SlidingStore(1), lambda: PriorityStore(Alike())],
    ids=["no store", "sliding", "sorted"],
)
def test_giving_a_message_back_is_not_torn_apart_by_an_interrupt(
    make_store: Callable[[], Store | None],
    done: bool,  # noqa: FBT001 - a parameter
) -> None:
    def prepare() -> tuple[MailboxInlet[str], list[str]]:
        dead: list[str] = []
        mailbox: MailboxInlet[str] = MailboxInlet(dead.append, None, make_store())
        if done:
            mailbox.shut()
            mailbox.finish()
        return mailbox, dead

    outcomes = set()

    for sent, dead in interrupted_at_each_point(prepare, lambda scene: scene[0].give_back("back")):
        mailbox = QueueMailbox(sent)
        if not done:
            mailbox.new_input().deliver("next")
            mailbox.close()
        outcomes.add(tuple(dead if done else mailbox))
        assert sent.returned == []

    rest = () if done else ("next",)
    # Before its first step the finalizer itself is what was interrupted.
    assert outcomes == {rest, ("back", *rest)}
    assert len(outcomes) == 2


def test_a_marker_comes_after_all_that_was_before_it_whose_taking_was_interrupted() -> None:
    def prepare() -> StoredQueue[Any]:
        stored: StoredQueue[Any] = StoredQueue(PriorityStore(int), lambda _: None)
        for message in (3, 2, 1, Marker, 0):
            stored.put(message)
        assert stored.get_nowait() == 0
        return stored

    for stored in interrupted_at_each_point(prepare, StoredQueue.get_nowait):
        left = [stored.get_nowait() for _ in range(stored.qsize())]

        assert left in ([1, 2, 3, Marker], [2, 3, Marker])


def test_giving_a_message_back_is_interrupted_before_both_steps_or_after_both() -> None:
    for sent in interrupted_at_each_point(
        lambda: MailboxInlet(None), lambda sent: sent.give_back("back")
    ):
        assert len(sent.returned) == sent.queue.qsize()


def test_a_thread_that_is_interrupted_as_it_begins_to_lead_leaves_the_lead_to_the_next() -> None:
    def prepare() -> tuple[mb.Mailbox[int], mb.MessageFuture[int], mb.MessageFuture[int]]:
        mailbox: mb.Mailbox[int] = mb.Unlimited().create()
        return mailbox, mailbox.try_receive(), mailbox.try_receive()

    for mailbox, first, _ in interrupted_at_each_point(prepare, lambda scene: scene[2].try_now()):
        mailbox.new_input().deliver(1)

        assert first.try_now() == 1


@pytest.mark.parametrize(
    "use",
    [
        lambda mailbox, future: mailbox.try_receive(),
        lambda mailbox, future: mailbox.receive(timeout=0),
        lambda mailbox, future: future.done(),
    ],
    ids=["try_receive", "receive", "done"],
)
def test_no_interrupt_leaves_the_lock_of_the_claims_held(
    use: Callable[[mb.Mailbox[int], mb.MessageFuture[int]], object],
) -> None:
    def prepare() -> tuple[mb.Mailbox[int], mb.MessageFuture[int], Claims[int]]:
        mailbox: mb.Mailbox[int] = mb.NonBlocking(8).create()
        future = mailbox.try_receive()
        mailbox.new_input().deliver(1)
        mailbox.new_input().deliver(2)
        return mailbox, future, mailbox._claims

    for _, _, claims in interrupted_at_each_point(prepare, lambda scene: use(*scene[:2])):
        assert not Running(lambda claims=claims: held(claims._changed)).result()


def test_those_who_poll_leave_no_claims_behind_one_that_lives() -> None:
    mailbox: mb.Mailbox[int] = mb.Unlimited().create()
    living = mailbox.try_receive()

    for _ in range(100):
        mailbox.try_receive()

    assert living.done() is False
    assert len(mailbox._claims._open) <= 2


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("before", range(5))
def test_a_call_back_into_deliver_takes_no_slot_too_many(limit: int, before: int) -> None:
    def prepare() -> tuple[mb.Input[int], list[bool]]:
        deliver = mb.NonBlocking(limit).create().new_input()
        return deliver, [deliver.deliver(number) for number in range(min(before, limit))]

    def act(scene: tuple[mb.Input[int], list[bool]]) -> None:
        scene[1].append(scene[0].deliver(1))

    def again(scene: tuple[mb.Input[int], list[bool]]) -> None:
        act(scene)
        act(scene)

    for scene in at_each_point(prepare, act, again):
        for _ in itertools.repeat(None, 2 * limit):
            act(scene)

        assert sum(scene[1]) == limit


def interrupted(wait: Callable[[], object]) -> BaseException:
    """Return the interrupt that has hit a wait."""
    with pytest.raises(KeyboardInterrupt) as caught:
        wait()
    return caught.value


class Interrupted(queue.SimpleQueue[Any]):
    """A queue in which every wait is interrupted."""

    def get(self, block: bool = True, timeout: float | None = None) -> object:  # noqa: FBT001, FBT002 - as in the original
        if block and timeout != 0 and self.empty():
            raise KeyboardInterrupt
        return super().get(block, timeout)


@pytest.fixture
def _waits_are_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = types.SimpleNamespace(SimpleQueue=Interrupted, Empty=queue.Empty)
    for module in (sending, slots, standing):
        monkeypatch.setattr(module, "queue", stand_in)
    monkeypatch.setattr(askers, "Gate", Interrupted)


@pytest.mark.usefixtures("_waits_are_interrupted")
@pytest.mark.parametrize(
    "config", [mb.Unlimited(), mb.Blocking(1), mb.CatchAll(mb.Blocking(1))], ids=repr
)
@pytest.mark.parametrize(
    "receive",
    [
        lambda mailbox: mailbox.receive(),
        lambda mailbox: mailbox.receive(timeout=10),
        lambda mailbox: mailbox.receive_many(5),
        lambda mailbox: next(iter(mailbox)),
        lambda mailbox: mailbox.try_receive().result(),
        lambda mailbox: mailbox.try_receive().result(timeout=10),
    ],
    ids=["receive", "timed", "many", "iterate", "future", "timed future"],
)
def test_an_interrupt_of_a_receiver_that_waits_does_not_begin_with_an_empty_queue(
    config: mb.MailboxConfig, receive: Callable[[mb.Mailbox[int]], object]
) -> None:
    mailbox: mb.Mailbox[int] = config.create()

    assert interrupted(lambda: receive(mailbox)).__context__ is None


@pytest.mark.usefixtures("_waits_are_interrupted")
@pytest.mark.parametrize(
    "config",
    [mb.Blocking(1), mb.Waiting(1, deliver_timeout=10), mb.CatchAll(mb.Blocking(1))],
    ids=repr,
)
@pytest.mark.parametrize("line", [False, True])
def test_an_interrupt_of_a_sender_that_waits_does_not_begin_with_an_empty_queue(
    config: mb.MailboxConfig,
    line: bool,  # noqa: FBT001 - a case
) -> None:
    mailbox: mb.Mailbox[int] = config.create()
    target = mailbox.new_input()
    target.deliver(1)
    if line:
        target.room.ask(Asker(lambda: True, lambda: True))  # type: ignore[attr-defined]

    assert interrupted(lambda: target.deliver(2)).__context__ is None
    assert mailbox.stats().senders_waiting == 0


@pytest.mark.usefixtures("_waits_are_interrupted")
def test_an_interrupt_of_a_dispatch_that_waits_does_not_begin_with_an_empty_queue() -> None:
    held = threading.Event()

    def worker(key: str) -> Generator[None, int]:
        while True:
            yield
            begun.set()
            held.wait(15)

    begun = threading.Event()
    with mb.Pool(worker, mailbox=mb.Blocking(1), max_threads=1) as pool:
        pool.initialize("key", 0)
        begun.wait(15)
        pool.dispatch("key", 1)

        error = interrupted(lambda: pool.dispatch("key", 2))
        held.set()

    assert error.__context__ is None
