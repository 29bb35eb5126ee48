"""When a node tells its client what was handled: at the node alone, without a cluster."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.cluster.workers import collecting
from tests.helpers import in_thread, run_together, until
from threadpool_mb.arguments import NEVER as NO_DEADLINE
from threadpool_mb.cluster import link as link_module
from threadpool_mb.cluster.entries import Entry
from threadpool_mb.cluster.flushes import Flushes
from threadpool_mb.cluster.link import Link
from threadpool_mb.cluster.news import News
from threadpool_mb.cluster.node import NodeActor
from threadpool_mb.cluster.own_threads import OwnThreads
from threadpool_mb.cluster.routing import Router
from threadpool_mb.cluster.tickets import NodeBatch, Ticket, Tray
from threadpool_mb.cluster.wire import (
    PLAIN,
    Events,
    Options,
    Setup,
    dumped,
    loaded,
    versions_here,
)

NEVER = 1e6

MANY = 200


class Reporter:
    """What has something to tell, as the test says."""

    def __init__(self, *, news: bool = False, haste: bool = False, worth: bool = False) -> None:
        self.has_news = news
        self.has_hasty_news = haste
        self._worth = worth
        self.looks = 0

    @property
    def is_worth_it(self) -> bool:
        self.looks += 1
        return self._worth


def _run(waiting: Callable[[News], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(15):
            await waiting(News())

    asyncio.run(run())


def test_what_somebody_waits_for_is_told_at_once() -> None:
    reporter = Reporter(news=True, haste=True)

    _run(lambda news: news.wait(reporter, NEVER, NEVER))

    assert reporter.looks == 0


def test_what_is_worth_an_answer_is_told_soon_and_what_is_not_is_told_in_the_end() -> None:
    worth = Reporter(news=True, worth=True)
    _run(lambda news: news.wait(worth, NEVER, NEVER))
    assert worth.looks == 1

    little = Reporter(news=True)
    _run(lambda news: news.wait(little, NEVER, 0.05))
    assert little.looks  # one at least, on a busy machine


def test_a_loop_that_waits_for_more_can_be_hastened() -> None:
    async def hastened(news: News) -> None:
        reporter = Reporter(news=True)
        waiting = asyncio.ensure_future(news.wait(reporter, NEVER, NEVER))
        while reporter.looks < 2:  # noqa: ASYNC110 - it looks between two steps of the loop
            await asyncio.sleep(0)
        news.tell()  # more of the same: no haste
        before = reporter.looks
        while reporter.looks == before:  # noqa: ASYNC110 - it looks between two steps of the loop
            await asyncio.sleep(0)
        assert not waiting.done()
        await asyncio.to_thread(news.tell_at_once)
        await waiting

    _run(hastened)


def test_a_loop_that_waits_for_more_sees_soon_that_somebody_may_wait_for_what_there_is() -> None:
    async def hasty(news: News) -> None:
        reporter = Reporter(news=True)
        waiting = asyncio.ensure_future(news.wait(reporter, NEVER, NEVER))
        while not reporter.looks:  # noqa: ASYNC110 - it looks between two steps of the loop
            await asyncio.sleep(0)
        reporter.has_hasty_news = True  # a dead letter, which wakes nothing
        await waiting

    _run(hasty)


@pytest.mark.parametrize("worth", [True, False])
def test_a_loop_that_has_waited_leaves_nothing_to_the_garbage_collection(*, worth: bool) -> None:
    async def wait(news: News) -> None:
        for _ in range(10):
            await news.wait(Reporter(news=True, worth=worth), NEVER, 0.02)
        await asyncio.sleep(0.02)  # a last look may be due

    def events() -> int:
        return sum(isinstance(each, asyncio.Event) for each in gc.get_objects())

    gc.collect()
    before = events()
    gc.disable()
    try:
        _run(wait)
        assert events() == before
    finally:
        gc.enable()


def test_the_first_news_wakes_a_loop_that_waits_for_any() -> None:
    async def told(news: News) -> None:
        reporter = Reporter(worth=True)
        waiting = asyncio.ensure_future(news.wait(reporter, NEVER, NEVER))
        await asyncio.sleep(0)
        assert reporter.looks == 0
        await asyncio.to_thread(news.tell)
        await waiting
        assert reporter.looks == 1

    _run(told)


def test_a_loop_for_which_nothing_comes_waits_no_longer_than_it_was_told() -> None:
    reporter = Reporter(worth=True)

    _run(lambda news: news.wait(reporter, 0, NEVER))

    assert reporter.looks == 1


def test_it_is_worth_an_answer_once_half_of_what_came_is_done() -> None:
    tray = Tray(lambda: None)
    assert tray.is_worth_it  # nothing is left to do
    batches = [tray.batch(1, 4), tray.batch(2, 2)]
    tickets = [Ticket(each, index, tray) for each in batches for index in range(each.size)]

    tickets[0].done()
    tickets[4].done()
    assert not tray.is_worth_it
    tickets[1].dead("refused by the limit")
    assert tray.is_worth_it

    # What was told counts no more: three are left.
    assert tray.gather() == [(1, [0, 1]), (2, [0])]
    assert not tray.is_worth_it
    tickets[5].done()
    assert not tray.is_worth_it
    tickets[2].done()
    assert tray.is_worth_it
    tray.gather()
    tickets[3].done()
    assert tray.is_worth_it
    assert tray.gather() == [(1, None)]
    assert tray.is_worth_it


def test_a_batch_that_two_threads_have_put_there_counts_once() -> None:
    tray = Tray(lambda: None)
    batch: NodeBatch = tray.batch(1, 4)
    Ticket(batch, 0, tray).done()
    tray.touched.append(batch)  # both have found it untouched

    tray.gather()

    assert (tray._took, tray._told) == (4, 1)


def test_whether_it_is_worth_an_answer_is_asked_while_messages_are_done() -> None:
    tray = Tray(lambda: None)
    tickets = [Ticket(tray.batch(number, 1), 0, tray) for number in range(2 * MANY)]
    handled: list[int] = []

    def handle(mine: list[Ticket]) -> None:
        for ticket in mine:
            ticket.done()
        handled.append(len(mine))

    def look() -> None:
        while len(handled) < 2:
            _ = tray.is_worth_it
        assert tray.is_worth_it

    run_together(lambda: handle(tickets[:MANY]), lambda: handle(tickets[MANY:]), look)

    assert sorted(tray.gather()) == [(number, None) for number in range(2 * MANY)]


def test_a_node_that_is_not_done_tells_what_it_has_handled_where_it_is_hastened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[bool] = []
    monkeypatch.setattr(Tray, "is_worth_it", property(lambda _: looked.append(True)))
    options = Options(None, None, None, None, None, None, tells_workers=False)
    setup = Setup(versions_here(), "orders", "tcp://here", dumped(collecting), dumped(options))
    node = NodeActor(setup)
    Ticket(node._node._tray.batch(1, 9), 0, node._node._tray).done()

    async def gathered() -> tuple[int, Events]:
        telling = asyncio.ensure_future(node.gather(0, NEVER, NEVER))
        while not looked:  # noqa: ASYNC110 - it looks between two steps of the loop
            await asyncio.sleep(0)
        assert not telling.done()
        await node.hasten()
        known: tuple[int, Events] = loaded(await telling)
        return known

    assert asyncio.run(gathered())[1].done == [(1, [0])]
    asyncio.run(node.end("cancel"))
    until(lambda: node._node._ended is not None)


class Client:
    """A link with a message on its way, and flushes, without a cluster; what the actor is asked."""

    threads = OwnThreads("orders")

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.in_haste = False
        owner: Any = self
        actor: Any = self
        self.link = Link(
            "tcp://a", 0, actor, owner, name="orders", batch=9, batch_time=0, credits=9
        )
        self.router = Router(9, self.threads)
        self.router.deal({self.link.address: self.link})
        self.flushes = Flushes(self.router, lambda: [self.link])

    def begin(self, *call: object) -> None:
        """Call a method of the actor."""
        self.asked.append(call)

    def suspect(self, link: Link) -> None:
        """Take note that it has not answered."""
        link.outbox.stop()

    def flush(self, key: str | None) -> bool:
        """Wait for a key, or for all."""
        return self.flushes.flush(key, NO_DEADLINE, lambda: False, of_all=key is None)


@pytest.mark.parametrize("key", ["key", None])
def test_a_flush_of_a_key_has_nodes_tell_what_they_have_handled_and_one_of_all_does_not(
    key: str | None,
) -> None:
    client = Client()
    client.router.place(Entry("key", 1, 1, PLAIN, 0), NO_DEADLINE)
    outbox = client.link.outbox

    with in_thread(lambda: client.flush(key)) as flushing:
        until(lambda: bool(client.flushes.begun) and outbox._urgent)
        assert client.flushes.of_a_key == (key is not None)
        taken = outbox.take(wait=False)
        assert taken is not None
        outbox.done([(taken[0], None)])
        client.flushes.look()

    assert flushing.result()
    assert not client.flushes.of_a_key
    assert client.asked == ([] if key is None else [("hasten",)])


def test_a_key_of_which_nothing_is_on_its_way_is_flushed_at_once() -> None:
    client = Client()

    assert client.flush("key")
    assert client.asked == []
    assert not client.flushes.of_a_key


def test_a_node_is_asked_with_less_patience_while_a_flush_of_a_key_waits() -> None:
    patience: dict[bool, object] = {}
    for in_haste in (False, True):
        client = Client()
        client.in_haste = in_haste
        client.link._gather()
        ((method, known, _, patience[in_haste]),) = client.asked
        assert (method, known) == ("gather", 0)

    assert patience[True] == 0
    assert patience[False] == link_module._PATIENCE > 0
