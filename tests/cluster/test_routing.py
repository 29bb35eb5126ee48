"""Where messages go while nodes come, go and are lost: the router alone, without a cluster."""

import contextlib
import functools
import sys
import threading
from collections.abc import Callable
from typing import Any, Final, override

import pytest

from tests.helpers import in_thread, until
from threadpool_mb.arguments import NEVER, Deadline
from threadpool_mb.cluster import routing
from threadpool_mb.cluster.entries import Entry
from threadpool_mb.cluster.link import Link
from threadpool_mb.cluster.own_threads import OwnThreads
from threadpool_mb.cluster.placing import digest_of, owner_of
from threadpool_mb.cluster.routing import Router
from threadpool_mb.cluster.wire import MOVE, PLAIN, dumped

A: Final = "tcp://a"
B: Final = "tcp://b"
C: Final = "tcp://c"


class Owner:
    """What a link asks of its owner; its threads are never started here."""

    def __init__(self) -> None:
        self.threads = OwnThreads("orders")


class Rig:
    """A router, and links of which nothing is sent but by the test."""

    def __init__(self, *addresses: str, credits: int = 1000) -> None:  # noqa: A002 - as it is called
        self.owner: Any = Owner()
        self.credits = credits
        self.links: dict[str, Link] = {}
        self.router = Router(credits, self.owner.threads)
        for address in addresses:
            self.link(address)
        self.deal(*addresses)

    def link(self, address: str) -> Link:
        """Make the link of a node."""
        actor: Any = None
        self.links[address] = Link(
            address,
            len(self.links),
            actor,
            self.owner,
            name="orders",
            batch=1000,
            batch_time=0,
            credits=self.credits,
        )
        return self.links[address]

    def deal(self, *addresses: str) -> bool:
        """Deal the keys to nodes."""
        return self.router.deal({address: self.links[address] for address in addresses})

    def place(self, key: object, message: object, deadline: Deadline = NEVER) -> bool:
        """Send a message."""
        return self.router.place(Entry(key, message, message, PLAIN, 0), deadline)

    def sent(self, address: str) -> list[object]:
        """Take out what a node is sent: messages, and "move" for a `MOVE`."""
        return ["move" if each.kind == MOVE else each.message for each in self.entries(address)]

    def entries(self, address: str) -> list[Entry]:
        """Take out what a node is sent, and settle it."""
        outbox = self.links[address].outbox
        outbox.hurry()
        taken = outbox.take(wait=False)
        assert taken is not None
        outbox.done([(taken[0], None)])
        return taken[1]

    def answer(self, address: str, *keys: object, move: int | None = None) -> None:
        """Have a node say which keys are to end there."""
        number = self.router._moves if move is None else move
        self.router.answered(self.links[address], number, keys)

    def moved(self, address: str, *keys: object) -> None:
        """Have a node say which have ended."""
        self.router.moved(self.links[address], keys)


def _keys(owner: str, *nodes: str, then: str | None = None, more: str = C) -> list[str]:
    """Return keys that live at `owner` of `nodes`, and `then` at that one, with `more` there."""
    return [
        key
        for key in map(str, range(300))
        if owner_of(digest_of(key), nodes) == owner
        and (then is None or owner_of(digest_of(key), (*nodes, more)) == then)
    ]


STAYS: Final = _keys(A, A, B, then=A)[0]
MOVES: Final = _keys(A, A, B, then=C)[0]
MOVES_TOO: Final = _keys(A, A, B, then=C)[1]
MOVES_FROM_B: Final = _keys(B, A, B, then=C)[0]


def test_messages_go_to_the_node_of_their_key() -> None:
    rig = Rig(A, B)
    assert rig.router.table.settled
    here, there = _keys(A, A, B)[0], _keys(B, A, B)[0]

    for number in range(3):
        assert rig.place(here, number)
        assert rig.place(there, -number)

    assert rig.sent(A) == [0, 1, 2]
    assert rig.sent(B) == [0, -1, -2]


def test_a_key_waits_for_its_end_on_the_node_before_and_others_do_not() -> None:
    rig = Rig(A, B)
    rig.place(MOVES, 1)
    rig.place(STAYS, 2)
    rig.link(C)
    assert rig.deal(A, B, C)

    rig.place(MOVES, 3)  # no node has said whether it lives there
    rig.place(STAYS, 4)
    # What was sent by then comes before the move.
    assert rig.sent(A) == [1, 2, "move", 4]
    assert rig.sent(C) == []
    rig.answer(A, MOVES)
    rig.place(MOVES, 5)
    rig.place(MOVES_TOO, 6)  # it has no worker there
    assert rig.sent(C) == [6]
    assert rig.router.held == 2
    assert rig.router.leaves_here(rig.links[A])

    rig.moved(A, MOVES)
    assert rig.sent(C) == [3, 5]
    assert rig.router.held == 0
    assert not rig.router.leaves_here(rig.links[A])
    # Node B has yet to say that it has none.
    assert not rig.router.table.settled
    rig.place(MOVES_FROM_B, 7)
    assert rig.sent(C) == []
    rig.answer(B)
    assert rig.sent(C) == [7]
    assert rig.router.table.settled


def test_no_other_table_replaces_one_while_nodes_are_to_say_what_moves() -> None:
    rig = Rig(A, B)
    rig.link(C)
    rig.deal(A, B, C)

    assert rig.router.moving
    assert not rig.deal(A, B)
    rig.answer(A)
    assert not rig.deal(A, B)
    rig.answer(B)
    assert not rig.router.moving
    assert rig.deal(A, B)


def test_what_a_node_says_of_an_earlier_move_is_not_of_this_one() -> None:
    rig = Rig(A, B)
    rig.link(C)
    rig.deal(A, B, C)

    rig.answer(A, move=rig.router._moves - 1)
    rig.place(MOVES, 1)

    assert rig.router.held == 1
    rig.moved(B, MOVES)  # nor is what another node says of it
    assert rig.router.held == 1


def test_a_key_that_comes_back_before_it_has_ended_goes_where_it_still_is() -> None:
    rig = Rig(A, B)
    rig.place(MOVES, 1)
    rig.link(C)
    rig.deal(A, B, C)
    rig.answer(A, MOVES)
    rig.answer(B)
    rig.place(MOVES, 2)
    assert rig.router.held == 1

    # The node that came is vacated before the key has ended at the first one.
    assert rig.deal(A, B)
    rig.place(MOVES, 3)
    assert rig.router.held == 2  # it may have begun at C
    rig.answer(C)

    assert rig.router.held == 0
    assert rig.sent(A) == [1, "move", "move", 2, 3]
    assert rig.sent(C) == ["move"]


def test_senders_wait_where_as_many_messages_are_held_as_there_are_credits() -> None:
    rig = Rig(A, B, credits=2)
    rig.link(C)
    rig.deal(A, B, C)
    assert rig.place(MOVES, 1)
    assert rig.place(MOVES, 2)

    assert not rig.place(MOVES, 3, Deadline(0))
    with in_thread(lambda: rig.place(MOVES, 3)) as sending:
        rig.answer(B)
        rig.answer(A)
        # They need no credit at their node; the one that waits does.
        assert rig.sent(C) == [1, 2]

    assert sending.result()
    assert rig.sent(C) == [3]


def test_a_hook_does_not_wait_where_messages_are_held() -> None:
    rig = Rig(A, B, credits=1)
    rig.link(C)
    rig.deal(A, B, C)
    rig.place(MOVES, 1)

    hook = rig.owner.threads.new(lambda: rig.place(MOVES, 2), "hook")
    rig.owner.threads.start([hook])
    assert rig.owner.threads.join(Deadline(15))

    assert rig.router.held == 2


def test_a_sender_that_waits_for_room_goes_on_where_the_node_is_lost() -> None:
    rig = Rig(A, B, credits=1)
    rig.place(STAYS, 1)
    link = rig.links[A]

    with in_thread(lambda: rig.place(STAYS, 2)) as sending:
        until(lambda: link.outbox._waiters)
        _lose(rig, A)
        # What was not sent to the node that is lost; the one that waits needs a credit here.
        assert rig.sent(B) == [1]

    assert sending.result()
    assert rig.sent(B) == [2]


def _lose(rig: Rig, address: str, *, redeliver: bool = True) -> list[object]:
    """Lose a node, as the control plane does; return the messages that may be handled or not."""
    link = rig.links.pop(address)
    with rig.router.lock:
        sent, unsent = link.outbox.stop()
        again = [each for each in [*(sent if redeliver else ()), *unsent] if each.kind != MOVE]
        rig.router.lose(link, again)
    return [each.message for each in sent if each.kind != MOVE and not redeliver]


def _send(rig: Rig, address: str) -> list[object]:
    """Take out what a node is sent, and do not settle it."""
    outbox = rig.links[address].outbox
    outbox.hurry()
    taken = outbox.take(wait=False)
    assert taken is not None
    return [each.message for each in taken[1]]


def test_what_was_at_a_node_that_is_lost_goes_on_in_its_order() -> None:
    rig = Rig(A, B)
    rig.place(STAYS, 1)
    assert _send(rig, A) == [1]
    rig.place(STAYS, 2)

    _lose(rig, A)
    rig.place(STAYS, 3)

    assert rig.sent(B) == [1, 2, 3]
    assert rig.router.table.settled


def test_what_is_sent_again_comes_in_front_of_what_is_held() -> None:
    rig = Rig(A, B)
    rig.place(MOVES, 1)
    assert _send(rig, A) == [1]
    rig.link(C)
    rig.deal(A, B, C)
    rig.place(MOVES, 2)
    assert rig.router.held == 1

    _lose(rig, A)  # it has said nothing

    assert rig.sent(C) == [1, 2]
    assert rig.router.held == 0


def test_keys_that_were_ending_at_a_lost_node_wait_for_it_no_more() -> None:
    rig = Rig(A, B)
    rig.place(MOVES, 1)
    assert _send(rig, A) == [1]
    rig.link(C)
    rig.deal(A, B, C)
    rig.answer(A, MOVES)
    rig.answer(B)
    rig.place(MOVES, 2)

    assert _lose(rig, A, redeliver=False) == [1]

    assert rig.sent(C) == [2]
    assert rig.router.table.settled


def test_a_node_that_joins_and_is_lost_at_once_gives_back_what_it_got() -> None:
    rig = Rig(A, B)
    rig.place(MOVES, 1)
    rig.link(C)
    rig.deal(A, B, C)
    rig.place(MOVES, 2)
    _lose(rig, C)
    rig.place(MOVES, 3)

    # Its worker may still end at A, or never have been told to: it goes where it is.
    assert rig.sent(A) == [1, "move", 2, 3]
    rig.answer(A, MOVES)
    rig.answer(B)
    rig.place(MOVES, 4)
    assert rig.sent(A) == [4]
    rig.moved(A, MOVES)
    assert rig.router.table.settled
    assert rig.router.table.addresses == (A, B)


def test_messages_wait_where_there_is_no_node_for_one_that_comes() -> None:
    rig = Rig(A)
    rig.place("a", 1)
    _lose(rig, A)
    rig.place("a", 2)
    assert rig.router.held == 2
    assert not rig.router.table.settled

    rig.link(B)
    rig.deal(B)

    assert rig.sent(B) == [1, 2]
    assert rig.router.table.settled


def test_a_closed_router_takes_no_message_and_keeps_what_is_held() -> None:
    rig = Rig(A, B)
    rig.link(C)
    rig.deal(A, B, C)
    rig.place(MOVES, 1)
    rig.router.close(lambda: LookupError("closed"))

    for key in (MOVES, STAYS):
        with pytest.raises(LookupError, match="closed"):
            rig.place(key, 2)
    rig.answer(A)
    assert rig.sent(C) == [1]
    assert rig.router.held == 0


def test_a_sender_that_waits_wakes_where_the_router_is_closed() -> None:
    for settled in (True, False):
        rig = Rig(A, B, credits=1)
        if not settled:
            rig.link(C)
            rig.deal(A, B, C)
        rig.place(MOVES, 1)
        full = functools.partial(pytest.raises, LookupError, match="closed")

        def send(rig: Rig = rig, full: Callable[[], Any] = full) -> None:
            with full():
                rig.place(MOVES, 2)

        with in_thread(send):
            rig.router.close(lambda: LookupError("closed"))

        assert rig.router.held == (0 if settled else 1)


def test_what_is_held_is_given_out_once() -> None:
    rig = Rig(A)
    _lose(rig, A)
    rig.place("a", 1)
    rig.place("b", 2)

    assert [each.message for each in rig.router.take_held()] == [1, 2]
    assert rig.router.take_held() == []
    assert rig.router.held == 0


class Stopping(str):
    """A key that calls a function as it is looked up: between two steps of its sender."""

    __slots__ = ("once",)
    once: list[Callable[[], object]]

    @override
    def __hash__(self) -> int:
        while self.once:
            self.once.pop()()
        return hash(str(self))

    @override
    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


def test_a_sender_that_has_looked_in_an_old_table_looks_again() -> None:
    rig = Rig(A, B)
    rig.place(MOVES, 1)
    rig.link(C)
    key = Stopping(MOVES)
    # The sender has read the table, and not put its message in.
    key.once = [lambda: rig.deal(A, B, C)]

    rig.place(key, 2)

    assert rig.sent(A) == [1, "move"]
    assert rig.router.held == 1
    rig.answer(A, MOVES)
    rig.answer(B)
    rig.moved(A, MOVES)
    assert rig.sent(C) == [2]


def test_a_sender_whose_node_is_lost_as_it_looks_sends_to_the_next() -> None:
    rig = Rig(A, B)
    rig.place(STAYS, 1)
    key = Stopping(STAYS)
    key.once = [lambda: _lose(rig, A)]

    rig.place(key, 2)

    assert rig.sent(B) == [1, 2]


def test_a_sender_that_has_looked_before_the_router_was_closed_is_refused() -> None:
    rig = Rig(A, B)
    rig.place(STAYS, 1)
    key = Stopping(STAYS)
    key.once = [lambda: rig.router.close(lambda: LookupError("closed"))]

    with pytest.raises(LookupError, match="closed"):
        rig.place(key, 2)

    assert rig.sent(A) == [1]


def test_a_sender_that_finds_a_table_settled_under_the_lock_looks_again() -> None:
    rig = Rig(A, B)
    rig.link(C)
    rig.deal(A, B, C)
    assert not rig.router.table.settled

    def send() -> None:
        assert rig.place(STAYS, 1)

    # The lock is given back before the thread is joined.
    with contextlib.ExitStack() as sending, rig.router.lock:
        thread = sending.enter_context(in_thread(send))._thread
        # It has found a table that is not settled, and waits for the lock.
        until(lambda: _is_in(thread, "_place_slowly"))
        rig.answer(A)
        rig.answer(B)
        assert rig.router.table.settled

    assert rig.sent(A) == ["move", 1]


def _is_in(thread: threading.Thread, name: str) -> bool:
    """Return whether a thread is in a function."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code.co_name == name


def test_senders_wait_for_room_also_while_other_keys_move() -> None:
    rig = Rig(A, B, credits=1)
    rig.link(C)
    rig.place(STAYS, 1)
    rig.deal(A, B, C)
    assert not rig.router.table.settled

    assert not rig.place(STAYS, 2, Deadline(0))
    with in_thread(lambda: rig.place(STAYS, 3)) as sending:
        until(lambda: rig.links[A].outbox._waiters)
        assert rig.sent(A) == [1, "move"]
    assert sending.result()

    assert rig.sent(A) == [3]


def test_a_table_remembers_no_more_keys_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "_REMEMBERED", 2)
    rig = Rig(A, B)

    for key in map(str, range(7)):
        rig.place(key, key)
        assert len(rig.router.table._known) <= 2

    assert sorted([*rig.sent(A), *rig.sent(B)], key=str) == list("0123456")


def test_what_has_ended_elsewhere_meanwhile_is_not_taken_for_ended_here() -> None:
    rig = Rig(A, B)
    rig.link(C)
    rig.deal(A, B, C)
    rig.answer(A, MOVES)
    rig.answer(B)
    rig.place(MOVES, 1)

    rig.moved(B, MOVES)  # of an earlier move
    rig.moved(A, STAYS)
    assert rig.router.held == 1

    rig.moved(A, MOVES)
    assert rig.sent(C) == [1]


class Moody:
    """A key that cannot be hashed, or compared, once it is told so."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.hashes = self.compares = True

    def __hash__(self) -> int:
        if not self.hashes:
            raise LookupError("no hash any more")
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        if not self.compares:
            raise LookupError("not to be compared any more")
        return isinstance(other, Moody) and other.name == self.name

    def __reduce__(self) -> tuple[type["Moody"], tuple[str]]:
        return Moody, (self.name,)


def _moody() -> Moody:
    """Return a key that lives at A, and then at C."""
    return next(
        key
        for key in map(Moody, map(str, range(300)))
        if owner_of(digest_of(key, dumped), (A, B)) == A
        and owner_of(digest_of(key, dumped), (A, B, C)) == C
    )


@pytest.mark.parametrize("mood", ["hashes", "compares"])
def test_a_key_that_raises_while_its_messages_are_held_stops_no_other(mood: str) -> None:
    rig = Rig(A, B)
    rig.link(C)
    key = _moody()
    rig.deal(A, B, C)
    rig.place(key, "bad")
    rig.place(MOVES, 1)
    rig.place(MOVES_FROM_B, 2)
    assert rig.router.held == 3
    told = Moody(key.name)
    rig.answer(A, MOVES, told)
    rig.answer(B)
    assert rig.router.left(list, 0, key, of_all=False)

    for each in (key, told):
        setattr(each, mood, False)
    rig.moved(A, MOVES)

    assert rig.sent(C) == [2, 1]
    # The monitor makes dead letters of the others; until then they count.
    assert rig.router.held == 1
    assert rig.router.left(list, 0, None, of_all=True)
    ((entries, error),) = rig.router.take_unplaceable()
    assert [each.message for each in entries] == ["bad"]
    assert isinstance(error, LookupError)
    assert rig.router.held == 0
    assert rig.router.take_unplaceable() == []


def test_a_key_that_raises_as_its_node_is_lost_stops_no_other() -> None:
    rig = Rig(A, B)
    key = Moody("a")
    link = rig.links[A]
    again = [Entry(each, each, each, PLAIN, 0) for each in (MOVES, key, MOVES)]
    key.hashes = False

    rig.router.lose(link, again)

    assert rig.sent(B) == [MOVES, MOVES]
    ((entries, _),) = rig.router.take_unplaceable()
    assert [each.message for each in entries] == [key]


def test_keys_that_cannot_be_compared_are_no_reason_not_to_answer_or_to_move() -> None:
    rig = Rig(A, B)
    rig.link(C)
    one, other, unhashed = _moody(), _moody(), Moody("x")
    one.compares = other.compares = unhashed.hashes = False
    rig.deal(A, B, C)

    rig.answer(A, one, other, unhashed, MOVES)
    rig.answer(B)
    rig.place(MOVES, 1)
    rig.moved(A, other, unhashed, MOVES)

    assert rig.sent(C) == [1]


def test_a_flush_of_a_key_compares_it_with_those_alone_that_hash_alike() -> None:
    rig = Rig(A, B)
    key = Moody("a")
    rig.place(key, 1)
    rig.deal(A)
    rig.place(Moody("b"), 2)
    key.compares = False

    assert not rig.router.left(rig.links.values, 0, "c", of_all=False)
    assert rig.router.left(rig.links.values, 0, key, of_all=False)
    assert not rig.router.left(rig.links.values, 0, Moody("a"), of_all=False)
    key.hashes = False
    assert rig.router.left(rig.links.values, 0, Moody("b"), of_all=False)
