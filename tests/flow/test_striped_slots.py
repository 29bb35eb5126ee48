"""Slots in stripes: where a sender finds one, and how one that is freed elsewhere comes to it."""

import contextlib
import itertools
import threading
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.helpers import DEADLINE, Running, until
from tests.points import at_each_point, interrupted_at_each_point
from tests.pool.witness import Gate
from threadpool_mb.arguments import AT_ONCE, Deadline
from threadpool_mb.errors import MailboxClosed
from threadpool_mb.interrupts import is_owned
from threadpool_mb.line.askers import Asker, always
from threadpool_mb.line.slots import Slots, refuse
from threadpool_mb.line.striped import Stripe, StripedSlots


def free(stripe: Stripe) -> None:
    """Free a slot as a receiver does."""
    stripe.free(True)  # noqa: FBT003 - a slot
    if stripe.askers:
        stripe.tell()


def stopped_in_line(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Stop senders that have got in line, before they look for what is free."""
    gate = Gate()
    gather = StripedSlots._gather

    def stop_and_gather(self: StripedSlots) -> None:
        gate()
        gather(self)

    monkeypatch.setattr(StripedSlots, "_gather", stop_and_gather)
    return gate


def taken(slots: StripedSlots) -> int:
    """Take as many as there are; return how many that were."""
    count = 0
    while slots.take_from(slots.stripes[count % len(slots.stripes)]):
        count += 1
    return count


@pytest.mark.parametrize("limit", [1, 2, 28, 1000])
def test_as_many_are_there_as_the_limit_says_wherever_they_are_looked_for(limit: int) -> None:
    slots = StripedSlots(limit, 0)

    assert taken(slots) == limit
    assert not slots.wait(AT_ONCE)
    for number in range(limit):
        free(slots.stripe(number))
    assert taken(slots) == limit


def test_a_slot_that_is_freed_as_a_sender_gets_in_line_comes_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread that frees it has looked before the stripes were told; the sender looks after."""
    slots = StripedSlots(1, None)
    assert taken(slots) == 1
    gate = stopped_in_line(monkeypatch)
    sender = Running(slots.wait)
    gate.wait_until_reached()
    assert not slots.stripe(3).askers
    free(slots.stripe(3))
    gate.open()

    assert sender.result()


def test_a_slot_that_is_freed_while_a_sender_waits_comes_to_it_and_the_next_one_stays() -> None:
    slots = StripedSlots(2, None)
    assert taken(slots) == 2
    sender = Running(slots.wait)
    stripe = slots.stripe(5)
    until(lambda: bool(stripe.askers) and slots.askers)

    free(stripe)

    assert sender.result()
    free(stripe)
    assert stripe.qsize() == 1
    assert not any(each.askers for each in slots.stripes)


def test_a_thread_that_has_its_slot_holds_no_other_up_until_it_wakes() -> None:
    slots = StripedSlots(2, None)
    assert taken(slots) == 2
    told: list[Asker] = []
    asker = Asker(lambda: told.append(asker) or True, always)  # type: ignore[func-returns-value]
    slots.ask(asker)
    assert all(each.askers for each in slots.stripes)

    free(slots.stripe(1))

    assert told
    # It has not used its slot.
    assert not any(each.askers for each in slots.stripes)
    free(slots.stripe(1))
    assert taken(slots) == 1
    slots.leave(asker)
    assert taken(slots) == 1


def test_a_debt_is_paid_by_what_is_freed_next() -> None:
    slots = StripedSlots(1, None)
    assert taken(slots) == 1
    slots.overdraw()

    free(slots.stripe(1))
    assert taken(slots) == 0
    free(slots.stripe(1))
    assert taken(slots) == 1


def sent(slots: StripedSlots) -> None:
    """Wait for a slot as a sender does: it looks whether they are shut once it has one in hand."""
    if slots.wait() and slots.closed:
        slots.give_back()
        refuse(None)


def test_senders_that_wait_are_told_when_the_slots_are_shut() -> None:
    slots = StripedSlots(1, None)
    assert taken(slots) == 1
    senders = [Running(lambda: sent(slots)) for _ in range(3)]
    until(lambda: len(slots.askers) == 3)

    slots.shut()

    for sender in senders:
        with pytest.raises(MailboxClosed):
            sender.result()


def test_a_slot_that_shutting_frees_as_a_sender_gets_in_line_ends_the_waits_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That sender gives it to the first in the line, who is to give it back."""
    slots = StripedSlots(1, None)
    assert taken(slots) == 1
    first = Running(lambda: sent(slots))
    until(lambda: len(slots.askers) == 1)
    gate = stopped_in_line(monkeypatch)
    last = Running(lambda: sent(slots))
    gate.wait_until_reached()
    slots.free(None)  # as `shut` does, before it tells those in the line
    slots.closed = True
    gate.open()
    slots.shut()

    for sender in (first, last):
        with pytest.raises(MailboxClosed):
            sender.result()


def full() -> StripedSlots:
    """Return slots of which the only one is taken."""
    slots = StripedSlots(1, None)
    assert taken(slots) == 1
    return slots


def test_a_sender_that_is_interrupted_as_it_waits_is_given_nothing_any_more() -> None:
    """Wherever the interrupt comes, also as it gets in the line or leaves it."""
    for slots in interrupted_at_each_point(full, lambda slots: slots.wait(Deadline(0.0005))):
        assert not slots.waiting
        assert not slots.askers
        free(slots.stripe(3))
        assert taken(slots) == 1
        assert not slots.wait(AT_ONCE)


def test_a_sender_that_is_interrupted_once_it_has_a_slot_frees_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever the interrupt comes behind the wait."""
    got, freed = list[bool](), list[bool]()
    stand = StripedSlots._stand

    def free_and_stand(slots: StripedSlots, asker: Asker, *others: Any) -> None:  # noqa: ANN401 - as there
        freed.append(True)
        slots.free(None)
        stand(slots, asker, *others)

    monkeypatch.setattr(StripedSlots, "_stand", free_and_stand)

    def prepare() -> StripedSlots:
        got.clear()
        freed.clear()
        return full()

    def wait(slots: StripedSlots) -> None:
        got.append(slots.wait(Deadline(DEADLINE)))

    for slots in interrupted_at_each_point(prepare, wait):
        assert not slots.waiting
        assert not slots.askers
        assert taken(slots) + len(got) == len(freed)


@pytest.mark.parametrize("act", [lambda slots: slots.wait(AT_ONCE), StripedSlots.overdraw])
def test_a_sender_that_is_interrupted_as_slots_are_issued_costs_none(
    act: Callable[[StripedSlots], object],
) -> None:
    done = list[bool]()

    def prepare() -> StripedSlots:
        done.clear()
        return StripedSlots(5, None)

    def issue(slots: StripedSlots) -> None:
        act(slots)
        done.append(True)

    for slots in interrupted_at_each_point(prepare, issue):
        assert taken(slots) + len(done) == 5


def test_a_sender_that_is_interrupted_once_it_has_the_slot_of_a_queue_frees_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    got, freed = list[bool](), list[bool]()
    park = Slots._park

    def free_and_park(slots: Slots, *others: Any) -> None:  # noqa: ANN401 - as there
        freed.append(True)
        slots.free(None)
        park(slots, *others)

    monkeypatch.setattr(Slots, "_park", free_and_park)

    def prepare() -> Slots:
        got.clear()
        freed.clear()
        slots = Slots(1, None)
        assert slots.wait()
        return slots

    def wait(slots: Slots) -> None:
        got.append(slots.wait(Deadline(DEADLINE)))

    for slots in interrupted_at_each_point(prepare, wait):
        assert slots._free.qsize() + len(got) == len(freed)
        assert (slots.waiting, slots._parking, slots.parked) == (0, 0, {})


@pytest.mark.parametrize(
    "free",
    [StripedSlots.give_back, lambda slots: slots.move(slots.stripes[0])],
    ids=["give_back", "moved"],
)
def test_a_slot_whose_freeing_is_interrupted_does_not_lie_beside_a_sender_in_line(
    free: Callable[[StripedSlots], object],
) -> None:
    def prepare() -> StripedSlots:
        slots = full()
        slots.ask(Asker(lambda: True, always))
        slots.stripes[0].free(True)  # noqa: FBT003 - a slot
        return slots

    for slots in interrupted_at_each_point(prepare, free):
        assert not slots._free.qsize() or not slots.askers


def test_a_sender_that_parks_no_more_sees_to_the_line_though_it_is_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    freed = list[bool]()

    def ask_and_free(slots: Slots, *_: object) -> None:
        slots.ask(Asker(lambda: True, always))  # given nothing as long as a thread parks
        freed.append(True)
        slots.free(None)

    monkeypatch.setattr(Slots, "_park", ask_and_free)

    def prepare() -> Slots:
        freed.clear()
        slots = Slots(1, None)
        assert slots.wait()
        return slots

    for slots in interrupted_at_each_point(prepare, lambda slots: slots.wait(Deadline(DEADLINE))):
        assert not slots._free.qsize()
        assert len(slots._given) == len(freed)


class InterruptedLock:
    """A lock that is interrupted, once, as a thread waits for it the `number`-th time."""

    def __init__(self, number: int) -> None:
        self._lock: Final = threading.RLock()
        self.left = number

    def _is_owned(self) -> bool:
        return is_owned(self._lock)

    def __enter__(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@pytest.mark.parametrize("kind", [Slots, StripedSlots])
def test_a_sender_that_is_interrupted_as_it_waits_for_the_lock_waits_no_more(
    kind: type[Slots],
) -> None:
    for number in itertools.count(1):
        slots = kind(1, None)
        assert slots.wait()
        lock = InterruptedLock(number)
        slots._lock = lock  # type: ignore[misc, assignment]  # pyright: ignore[reportAttributeAccessIssue]

        with contextlib.suppress(KeyboardInterrupt):
            assert not slots.wait(Deadline(0.0005))

        assert (slots.waiting, slots._parking, slots.parked) == (0, 0, {})
        assert not slots.askers
        if lock.left > 0:
            break


def test_a_slot_that_is_freed_in_the_midst_of_a_wait_comes_to_it_or_stays() -> None:
    freed, got = list[bool](), list[bool]()

    def wait(slots: StripedSlots) -> None:
        got.append(slots.wait(Deadline(0.0005)))

    def handle(slots: StripedSlots) -> None:
        free(slots.stripe(3))
        freed.append(True)

    for slots in at_each_point(full, wait, handle):
        assert not slots.waiting
        assert not slots.askers
        assert taken(slots) == len(freed) - got.pop()
        freed.clear()


def test_what_is_free_is_found_though_a_sender_has_waited_in_vain() -> None:
    """The stripes say that slots are wanted, until one is freed."""
    slots = full()
    asker = Asker(lambda: True, always)
    slots.ask(asker)
    slots.leave(asker)
    assert slots.stripe(0).askers
    slots.stripe(3).free(True)  # noqa: FBT003 - a slot, and its thread has not looked yet
    assert slots.take_from(slots.stripe(0))
