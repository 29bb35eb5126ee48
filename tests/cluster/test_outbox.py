"""What is to be sent to a node, and credits: the outbox alone, without a cluster."""

import threading

import pytest

from tests.helpers import in_thread, until
from threadpool_mb.arguments import NEVER, Deadline
from threadpool_mb.cluster.entries import Entry
from threadpool_mb.cluster.outbox import FULL, STALE, TAKEN, Outbox
from threadpool_mb.cluster.wire import CALL, MOVE, PICKLED, PLAIN, Asked

TABLE = object()
OTHER = object()


def _entry(message: object, key: str = "key", epoch: int = 0) -> Entry:
    return Entry(key, message, message, PLAIN, epoch)


def _call(number: int) -> Entry:
    return Entry("key", "call", b"", CALL, 0, Asked(number, None))


def _outbox(*, batch: int = 2, credits: int = 100) -> Outbox:  # noqa: A002 - as it is called
    outbox = Outbox(batch, 0.0, credits)
    outbox.use(TABLE)
    return outbox


def _fill(outbox: Outbox, *messages: object) -> None:
    for message in messages:
        assert outbox.offer(_entry(message), TABLE) == TAKEN


def _taken(outbox: Outbox) -> tuple[int, list[object]]:
    """Return the number and the messages of the next batch."""
    taken = outbox.take(wait=True)
    assert taken is not None
    number, entries = taken
    return number, [entry.message for entry in entries]


def test_messages_are_taken_out_in_batches_in_their_order() -> None:
    outbox = _outbox(batch=2)
    _fill(outbox, 1, 2, 3)

    assert [_taken(outbox), _taken(outbox)] == [(1, [1, 2]), (2, [3])]
    assert outbox.outstanding == 3
    assert outbox.unsent == 0


def test_a_message_comes_in_by_the_table_in_force_alone() -> None:
    outbox = _outbox()
    outbox.use(OTHER, first=Entry(None, None, (1, ()), MOVE, -1))

    assert outbox.offer(_entry(1), TABLE) == STALE
    assert outbox.offer(_entry(2), OTHER) == TAKEN
    assert _taken(outbox) == (1, [None, 2])  # what was given with the table is in front


def test_each_message_uses_a_credit_and_gives_it_back_once_it_is_settled() -> None:
    outbox = _outbox(batch=2, credits=2)
    _fill(outbox, 1, 2)

    assert outbox.offer(_entry(3), TABLE) == FULL
    assert _taken(outbox) == (1, [1, 2])
    assert outbox.offer(_entry(3), TABLE) == FULL  # it was sent, and is not settled

    outbox.done([(1, [1])])
    _fill(outbox, 3)
    assert outbox.offer(_entry(4), TABLE) == FULL
    outbox.done([(1, None)])
    _fill(outbox, 4)
    assert outbox.outstanding == 2


def test_what_is_told_twice_gives_back_one_credit() -> None:
    outbox = _outbox(batch=3)
    _fill(outbox, 1, 2, 3)
    _taken(outbox)

    outbox.done([(1, [0])])
    outbox.done([(1, [0])])
    assert outbox.outstanding == 2
    assert outbox.dead([(1, 0, "dead")], []) == []
    assert [entry.message for entry, _ in outbox.dead([(1, 1, "dead")], []) or ()] == [2]
    # A dead letter is among what is done, too.
    outbox.done([(1, [1])])
    assert outbox.outstanding == 1
    outbox.done([(1, None)])
    outbox.done([(1, None), (1, [0, 1, 2]), (7, None)])
    assert outbox.outstanding == 0


def test_messages_of_another_node_and_of_hooks_need_no_credit() -> None:
    outbox = _outbox(batch=10, credits=1)
    _fill(outbox, 1)

    outbox.push([_entry(2), _entry(3)])
    assert outbox.offer(_entry(4), TABLE, limited=False) == TAKEN
    assert outbox.outstanding == 4
    _taken(outbox)
    outbox.done([(1, [0, 1, 2])])
    assert outbox.offer(_entry(5), TABLE) == FULL
    outbox.done([(1, None)])
    assert outbox.offer(_entry(5), TABLE) == TAKEN


def test_a_sender_waits_for_room_until_a_message_is_settled() -> None:
    outbox = _outbox(credits=1)
    _fill(outbox, 1)
    _taken(outbox)

    assert not outbox.wait_for_room(TABLE, Deadline(0))
    with in_thread(lambda: outbox.wait_for_room(TABLE)) as waiting:
        until(lambda: outbox._waiters)
        outbox.done([(1, None)])

    assert waiting.result()


@pytest.mark.parametrize("how", ["another table", "stopped"])
def test_a_sender_that_waits_for_room_looks_again_where_there_is_none_to_come(how: str) -> None:
    outbox = _outbox(credits=1)
    _fill(outbox, 1)

    with in_thread(lambda: outbox.wait_for_room(TABLE, NEVER)) as waiting:
        until(lambda: outbox._waiters)
        if how == "stopped":
            outbox.stop()
        else:
            outbox.use(OTHER)

    assert waiting.result()
    assert outbox.offer(_entry(2), TABLE) == STALE


def test_each_of_several_senders_gets_a_credit_that_is_given_back() -> None:
    outbox = _outbox(batch=1, credits=1)
    _fill(outbox, "first")
    got = threading.Semaphore(0)

    def send(message: int) -> None:
        while outbox.offer(_entry(message), TABLE) == FULL:
            assert outbox.wait_for_room(TABLE)
        got.release()

    with in_thread(lambda: send(1)), in_thread(lambda: send(2)):
        until(lambda: outbox._waiters == 2)
        sent = []
        for _ in range(3):
            number, messages = _taken(outbox)
            sent += messages
            assert outbox.outstanding == 1
            outbox.done([(number, None)])
        assert got.acquire(timeout=15)
        assert got.acquire(timeout=15)

    assert sorted(sent, key=str) == [1, 2, "first"]
    assert outbox.outstanding == 0


def test_what_is_left_of_a_lost_node_is_given_out_once_and_its_credits_with_it() -> None:
    outbox = _outbox(batch=3)
    _fill(outbox, 1, 2, 3, 4)
    _taken(outbox)
    outbox.done([(1, [1])])

    sent, unsent = outbox.stop()

    assert [entry.message for entry in sent] == [1, 3]
    assert [entry.message for entry in unsent] == [4]
    assert outbox.outstanding == 0
    assert outbox.stop() == ([], [])


def test_what_a_lost_node_tells_still_gives_back_no_credit() -> None:
    outbox = _outbox(batch=3)
    _fill(outbox, 1, 2, 3)
    _taken(outbox)
    assert outbox.dead([(1, 0, "dead")], []) != []
    outbox.stop()

    # What was told before, and comes after.
    outbox.done([(1, [0]), (1, None)])
    assert outbox.dead([(1, 1, "dead")], []) is None
    assert outbox.outstanding == 0
    assert outbox.take(wait=True) is None


def test_what_was_not_sent_can_be_taken_back_with_its_credits() -> None:
    outbox = _outbox(batch=1, credits=3)
    _fill(outbox, 1, 2, 3)
    _taken(outbox)

    assert [entry.message for entry in outbox.take_unsent()] == [2, 3]
    assert (outbox.outstanding, outbox.unsent) == (1, 0)
    _fill(outbox, 4, 5)


def test_while_others_are_under_way_a_batch_that_is_not_full_waits_for_more() -> None:
    outbox = _outbox(batch=2)
    _fill(outbox, 1)

    assert outbox.take(wait=False) == (0, [])
    outbox.hurry()
    assert _messages(outbox.take(wait=False)) == [1]
    _fill(outbox, 2, 3)
    assert _messages(outbox.take(wait=False)) == [2, 3]


def _messages(taken: tuple[int, list[Entry]] | None) -> list[object]:
    assert taken is not None
    return [entry.message for entry in taken[1]]


def test_what_is_to_be_answered_does_not_wait_for_more() -> None:
    outbox = _outbox(batch=10)
    _fill(outbox, 1)
    outbox.offer(_call(7), TABLE)

    assert _messages(outbox.take(wait=False)) == [1, "call"]
    assert outbox.asked == {7}
    # Once it was sent, others wait again.
    _fill(outbox, 2)
    assert outbox.take(wait=False) == (1, [])
    outbox.dead([], [7])
    assert outbox.asked == set()


def test_a_batch_is_bounded_by_its_size_and_has_one_message_at_least() -> None:
    outbox = _outbox(batch=10)
    large = b"x" * 5_000_000
    for body in (large, large, large * 3, b"y"):
        entry = Entry("key", body[:1], body, PICKLED, 0)
        assert outbox.offer(entry, TABLE) == TAKEN

    outbox.hurry()
    batches = [_messages(outbox.take(wait=False)) for _ in range(4)]

    assert batches == [[b"x"], [b"x"], [b"x"], [b"y"]]


def test_what_is_left_is_told_by_epoch_and_key() -> None:
    outbox = _outbox(batch=1)
    outbox.offer(_entry(1, "a", epoch=0), TABLE)
    outbox.offer(_entry(2, "b", epoch=1), TABLE)
    _taken(outbox)  # the first one was sent, the second one was not

    def left(epoch: int, key: object = None) -> bool:
        return outbox.left(epoch, key, of_all=key is None)

    assert [left(0), left(0, "a"), left(0, "b"), left(1, "b"), left(1, "c")] == [
        True,
        True,
        False,
        True,
        False,
    ]
    outbox.done([(1, None)])
    assert [left(0), left(1)] == [False, True]


def test_a_sender_thread_waits_for_messages_and_ends_with_the_outbox() -> None:
    outbox = _outbox()
    with in_thread(lambda: outbox.take(wait=True)) as taking:
        _fill(outbox, 1)
    assert _messages(taking.result()) == [1]

    with in_thread(lambda: outbox.take(wait=True)) as taking:
        outbox.stop()
    assert taking.result() is None


def test_a_batch_that_waits_for_more_is_not_sent_where_the_outbox_is_stopped() -> None:
    outbox = Outbox(10, 1000.0, 100)
    outbox.use(TABLE)
    _fill(outbox, 1)

    with in_thread(lambda: outbox.take(wait=True)) as taking:
        until(lambda: outbox._ready._waiters)  # type: ignore[attr-defined]
        assert [entry.message for entry in outbox.stop()[1]] == [1]

    assert taking.result() is None
