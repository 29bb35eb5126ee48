"""The stores of `Sliding` and `Prioritized`: interrupts and call backs in a method's middle."""

import collections
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, Final

import pytest

import threadpool_mb as mb
from tests.points import at_each_point, interrupt, interrupted_at_each_point
from threadpool_mb.line.flushing import Flush
from threadpool_mb.line.sliding import SlidingStore
from threadpool_mb.line.stores import StoredQueue

ONE_AFTER_THE_OTHER: Final = mb.Prioritized(mb.Unlimited(), lambda message: message % 10)
CONFIGS: Final = [mb.Sliding(2), mb.Sliding(3), ONE_AFTER_THE_OTHER]
EACH = pytest.mark.parametrize("config", CONFIGS, ids=["Sliding(2)", "Sliding(3)", "Prioritized"])

type Scene = tuple[mb.Mailbox[int], list[int]]


def scenes_of(config: mb.MailboxConfig, *messages: int) -> Callable[[], Scene]:
    """Return what prepares a mailbox that holds messages, and the list of its dead letters."""

    def prepare() -> Scene:
        dead: list[int] = []
        mailbox = config.create(on_dead_letter=dead.append)
        for message in messages:
            mailbox.new_input().deliver(message)
        return mailbox, dead

    return prepare


@EACH
def test_an_interrupt_of_a_sender_loses_no_message_and_wakes_the_receiver_for_all(
    config: mb.MailboxConfig,
) -> None:
    outcomes = set()

    def act(scene: Scene) -> None:
        scene[0].new_input().deliver(3)

    for mailbox, dead in interrupted_at_each_point(scenes_of(config, 1, 2), act):
        came = [mailbox.receive(timeout=0)]
        while True:
            try:
                came.append(mailbox.receive(timeout=0))
            except mb.MailboxEmpty:
                break
        assert dead + came in ([1, 2], [1, 2, 3])
        outcomes.add(tuple(came))
        mailbox.new_input().deliver(7)
        assert mailbox.receive(timeout=0) == 7
        mailbox.close()
        assert list(mailbox) == []

    assert len(outcomes) >= 2


@EACH
def test_an_interrupt_of_a_receiver_costs_at_most_the_message_in_hand(
    config: mb.MailboxConfig,
) -> None:
    outcomes = set()

    def act(scene: Scene) -> None:
        scene[0].receive(timeout=0)

    for mailbox, dead in interrupted_at_each_point(scenes_of(config, 1, 2), act):
        mailbox.new_input().deliver(0 if config is ONE_AFTER_THE_OTHER else 3)
        mailbox.close()
        left = list(mailbox)
        assert dead + left in ([1, 2, 3], [2, 3], [0, 1, 2], [0, 2])
        outcomes.add(len(dead + left))

    assert outcomes == {2, 3}


@EACH
@pytest.mark.parametrize("many", [1, 4])
def test_a_call_back_that_delivers_in_the_middle_of_delivering_breaks_no_limit(
    config: mb.MailboxConfig, many: int
) -> None:
    def act(scene: Scene) -> None:
        assert scene[0].new_input().deliver(3)

    def again(scene: Scene) -> None:
        for number in range(4, 4 + many):
            assert scene[0].new_input().deliver(number)

    for mailbox, dead in at_each_point(scenes_of(config, 1, 2), act, again):
        waiting = len(mailbox)
        mailbox.close()
        left = list(mailbox)
        assert len(left) == waiting == min(config.limit or 99, len(dead) + len(left))
        assert sorted(dead + left)[:3] == [1, 2, 3]
        assert len(set(dead + left)) == len(dead + left) >= 3


@EACH
@pytest.mark.parametrize("how", ["receive", "abandon"])
def test_a_call_back_that_takes_in_the_middle_of_anything_loses_and_doubles_nothing(
    config: mb.MailboxConfig, how: str
) -> None:
    def act(scene: Scene) -> None:
        scene[0].new_input().deliver(3)
        scene[1].append(scene[0].receive(timeout=0))

    def take(scene: Scene) -> None:
        if how == "abandon":
            scene[0].abandon()
        else:
            scene[1].append(scene[0].receive(timeout=0))

    def act_or_end(scene: Scene) -> None:
        try:
            act(scene)
        except (mb.MailboxClosed, mb.MailboxEmpty):
            scene[0].abandon()

    for mailbox, gone in at_each_point(scenes_of(config, 1, 2), act_or_end, take):
        mailbox.abandon()
        assert sorted(gone) in ([1, 2], [1, 2, 3])


def there(flush: Flush) -> int:
    """Return whether the one receiver of a flush has come to its marker, as 0 or 1."""
    return 2 - len(flush._left)  # an entry of the receiver's, and one of the thread that waits


@EACH
def test_a_flush_is_opened_when_all_is_gone_that_was_put_before_its_marker(
    config: mb.MailboxConfig,
) -> None:
    mailbox: Any = scenes_of(config, 5, 6)()[0]
    first, second = Flush(), Flush()
    for flush, later in ((first, 1), (second, 9)):
        flush.enter(mailbox.inlet, *mailbox.inlet.marker_goes)
        mailbox.new_input().deliver(later)
    opened = []

    while len(mailbox):
        message = mailbox.receive(timeout=0)
        opened.append((message, there(first), there(second)))

    with pytest.raises(mb.MailboxEmpty):
        mailbox.receive(timeout=0)
    opened.append((0, there(first), there(second)))
    assert opened == {
        # The first two were displaced: what came after the markers has their tokens.
        "Sliding(limit=2)": [(1, 0, 0), (9, 0, 0), (0, 1, 1)],
        "Sliding(limit=3)": [(6, 0, 0), (1, 0, 0), (9, 1, 0), (0, 1, 1)],
    }.get(repr(config), [(1, 0, 0), (5, 0, 0), (6, 0, 0), (9, 1, 1), (0, 1, 1)])


class ReleasedLock:
    """Stands in for a store's lock; `then` is called once, when the lock has been released."""

    def __init__(self, then: Callable[[], object]) -> None:
        self._lock = threading.RLock()
        self._then = [then]

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        while self._then:
            self._then.pop()()


def sliding_queue(then: Callable[[StoredQueue[int]], object]) -> tuple[StoredQueue[int], list[int]]:
    """Return a queue of two at most, which holds 1 and 2, and what it displaces.

    `then` is called with it as its store's lock is released for the next time.
    """
    store, dead = SlidingStore(2), list[int]()
    waiting = StoredQueue[int](store, dead.append)
    for message in (1, 2):
        waiting.put(message)
    store._lock = ReleasedLock(lambda: then(waiting))  # type: ignore[misc, assignment]
    return waiting, dead


def left_in(waiting: StoredQueue[int]) -> list[int]:
    """Take all that there is."""
    left = list[int]()
    with contextlib.suppress(queue.Empty):
        while True:
            left.append(waiting.get_nowait())
    return left


def test_a_receiver_that_is_interrupted_with_a_message_in_hand_puts_it_back_in_front() -> None:
    waiting, dead = sliding_queue(interrupt)

    with pytest.raises(KeyboardInterrupt):
        waiting.get_nowait()

    assert (left_in(waiting), dead) == ([1, 2], [])


def test_if_its_room_is_taken_meanwhile_the_message_in_hand_is_displaced() -> None:
    def refill(waiting: StoredQueue[int]) -> None:
        waiting.put(3)
        interrupt()

    waiting, dead = sliding_queue(refill)

    with pytest.raises(KeyboardInterrupt):
        waiting.get_nowait()

    assert (left_in(waiting), dead) == ([2, 3], [1])


def test_a_sender_that_is_interrupted_once_its_message_is_in_displaces_one_and_no_more() -> None:
    waiting, dead = sliding_queue(interrupt)

    with pytest.raises(KeyboardInterrupt):
        waiting.put(3)

    assert (left_in(waiting), dead) == ([2, 3], [1])
    waiting.put(4)
    assert (left_in(waiting), dead) == ([4], [1])


def test_a_sender_that_is_interrupted_before_it_displaces_the_oldest_displaces_it_then() -> None:
    class Interrupted(collections.deque[int]):
        """An interrupt comes behind the first message that is put in."""

        def append(self, message: int) -> None:
            super().append(message)
            if message == 3:
                interrupt()

    waiting, dead = sliding_queue(lambda _: None)
    waiting.store._messages = Interrupted(waiting.store._messages)  # type: ignore[attr-defined]

    with pytest.raises(KeyboardInterrupt):
        waiting.put(3)

    assert (left_in(waiting), dead) == ([2, 3], [1])


def test_a_receiver_whose_message_a_finalizer_takes_goes_on_with_the_next_token() -> None:
    taken = list[int]()

    class Taken(collections.deque[int]):
        """A finalizer takes all messages as the oldest one is about to be taken."""

        def popleft(self) -> int:
            taken.extend(self)
            self.clear()
            return super().popleft()

    waiting, dead = sliding_queue(lambda _: None)
    waiting.store._messages = Taken(waiting.store._messages)  # type: ignore[attr-defined]

    with pytest.raises(queue.Empty):
        waiting.get_nowait()

    assert (taken, dead) == ([1, 2], [])
    waiting.store._messages = collections.deque()  # type: ignore[attr-defined]
    waiting.put(3)
    assert left_in(waiting) == [3]
