"""What is sent and not settled."""

from threadpool_mb.cluster.entries import Entry, Unsettled
from threadpool_mb.cluster.tickets import NodeBatch, Ticket, Tray


def _entries(*messages: str) -> list[Entry]:
    return [Entry("key", message, message, 0, 0) for message in messages]


def test_a_batch_is_settled_as_a_whole() -> None:
    unsettled = Unsettled()
    unsettled.sent(1, _entries("a", "b"))
    unsettled.sent(2, _entries("c"))

    assert unsettled.done(1, None) == 2
    assert [entry.message for entry in unsettled] == ["c"]


def test_messages_of_a_batch_are_settled_one_by_one() -> None:
    unsettled = Unsettled()
    unsettled.sent(1, _entries("a", "b", "c"))

    assert unsettled.done(1, [1]) == 1
    assert [entry.message for entry in unsettled] == ["a", "c"]
    assert unsettled.done(1, None) == 2
    assert len(unsettled) == 0


def test_what_is_settled_twice_counts_once() -> None:
    unsettled = Unsettled()
    unsettled.sent(1, _entries("a", "b"))

    entry = unsettled.take(1, 0)

    assert entry is not None
    assert unsettled.take(1, 0) is None
    assert unsettled.done(1, [0, 1]) == 1
    assert unsettled.done(1, None) == 0
    assert unsettled.take(7, 0) is None


def test_what_is_left_comes_in_the_order_in_which_it_was_sent() -> None:
    unsettled = Unsettled()
    unsettled.sent(1, _entries("a", "b", "c"))
    unsettled.sent(2, _entries("d"))
    unsettled.done(1, [1])

    assert [entry.message for entry in unsettled.take_all()] == ["a", "c", "d"]
    assert len(unsettled) == 0


def test_a_node_tells_each_message_once_and_then_that_the_batch_is_done() -> None:
    news: list[None] = []
    tray = Tray(lambda: news.append(None))
    batch = NodeBatch(5, 3)
    tickets = [Ticket(batch, index, tray) for index in range(3)]

    tickets[2].done()
    tickets[0].done()
    first = tray.gather()
    tickets[1].dead("refused by the limit")

    assert first == [(5, [2, 0])]
    assert list(tray.dead) == [(5, 1, "refused by the limit")]
    assert tray.gather() == [(5, None)]
    assert tray.gather() == []
    assert len(news) == 2
