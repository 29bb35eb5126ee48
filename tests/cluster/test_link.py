"""What a link does where its actor fails, or says nothing: the link alone, without a cluster."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from tests.helpers import until
from threadpool_mb.arguments import Deadline
from threadpool_mb.cluster import link as link_module
from threadpool_mb.cluster.entries import Entry
from threadpool_mb.cluster.link import Link
from threadpool_mb.cluster.own_threads import OwnThreads
from threadpool_mb.cluster.wire import PLAIN, Events, dumped, loaded

TABLE = object()
NOTHING = Events([], [], [], [], [], [], [], None, None)


class Owner:
    """Keeps what it is told."""

    in_haste = False

    def __init__(self) -> None:
        self.threads = OwnThreads("orders")
        self.suspected = 0
        self.told_of: list[Events] = []
        self.dead: list[object] = []

    def told(self, _link: Link, events: Events, _dead: object) -> None:
        """Fail, as what a user's class does may, where a reply says so."""
        if events.replies:
            raise LookupError("of a user's class")
        self.told_of.append(events)

    def moved(self, _link: Link, _events: Events) -> None:
        """Take note of nothing."""

    def settled(self) -> None:
        """Take note of nothing."""

    def unwritten(self, entries: list[Entry]) -> None:
        """Keep them."""
        self.dead += [entry.message for entry in entries]

    def suspect(self, _link: Link) -> None:
        """Count it."""
        self.suspected += 1


class FakeActor:
    """Answers as the test says: each answer is a value, or an exception."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Any, ...]] = []

    def begin(self, method: str, *arguments: object) -> Future[Any]:
        """Return the next answer; raise it if the call itself is to fail."""
        self.asked.append((method, *arguments))
        answer = self.answers.pop(0)
        if isinstance(answer, ConnectionError):
            raise answer
        future = Future[Any]()
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
        return future


def _link(actor: FakeActor) -> tuple[Link, Owner]:
    owner: Any = Owner()
    given: Any = actor
    link = Link("tcp://a", 1, given, owner, name="orders", batch=10, batch_time=0.0, credits=100)
    link.outbox.use(TABLE)
    return link, owner


def _message(link: Link, message: str) -> None:
    link.outbox.offer(Entry("key", message, message, PLAIN, 0), TABLE)


def _run(link: Link, number: int, done: Callable[[], object]) -> None:
    """Run one of its threads until something holds."""
    thread = link.threads[number]
    thread.start()
    until(done)
    link.outbox.stop()
    thread.join(15)
    assert not thread.is_alive()


def _sent(actor: FakeActor) -> list[tuple[int, list[object]]]:
    """Return the numbers and messages of the batches; of one that has come, the data is gone."""
    return [(number, parcel.data) for _, number, parcel in actor.asked]


@pytest.mark.parametrize("failure", [ConnectionError("no way there"), TimeoutError("Dask's own")])
def test_a_batch_whose_way_has_failed_is_sent_again_with_its_number(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "_PAUSE", 0)
    actor = FakeActor(failure, failure, None)
    link, owner = _link(actor)
    _message(link, "a")

    _run(link, 0, lambda: len(actor.asked) == 3)

    assert [number for number, _ in _sent(actor)] == [1, 1, 1]
    assert len({id(parcel) for _, _, parcel in actor.asked}) == 1
    assert owner.suspected == 2


def test_a_batch_for_which_there_is_no_memory_is_dead_and_the_next_one_is_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    written = link_module._written
    bodies = list[list[object]]()

    def write(entries: list[Entry]) -> bytes:
        if [entry.message for entry in entries] == ["a"]:
            raise MemoryError
        data = written(entries)
        bodies.append(loaded(data)[2])
        return data

    monkeypatch.setattr(link_module, "_written", write)
    actor = FakeActor(None, None)
    link, owner = _link(actor)
    _message(link, "a")

    link.threads[0].start()
    until(lambda: len(actor.asked) == 1)
    _message(link, "b")
    until(lambda: len(actor.asked) == 2)
    link.outbox.stop()
    link.threads[0].join(15)

    assert owner.dead == ["a"]
    assert bodies == [[], ["b"]]  # its number is not left out: the node waits for each
    assert [number for number, _ in _sent(actor)] == [1, 2]
    assert "a batch cannot be pickled" in caplog.text


def test_a_batch_is_not_sent_again_because_the_link_was_stopped_as_its_answer_was_awaited() -> None:
    actor = FakeActor()
    link, owner = _link(actor)

    class Awaited(Future[Any]):
        def result(self, timeout: float | None = None) -> object:
            link.outbox.stop()
            raise TimeoutError

    link._confirm(1, link_module.Parcel(b"data"), Awaited())

    assert (actor.asked, owner.suspected) == ([], 0)


@pytest.mark.parametrize("failure", [ConnectionError("no way there"), TimeoutError("Dask's own")])
def test_a_node_is_told_to_end_again_where_that_has_failed(failure: Exception) -> None:
    actor = FakeActor(failure, None, None)
    link, owner = _link(actor)

    for _ in range(3):
        link.tell_to_end("close")
    assert actor.asked == [("end", "close")] * 2
    assert owner.suspected == isinstance(failure, ConnectionError)

    link.tell_to_end("cancel")
    link.tell_to_end("close")
    assert actor.asked == [("end", "close")] * 2 + [("end", "cancel")]


def test_what_a_node_tells_after_the_link_was_stopped_is_not_told_again() -> None:
    link, owner = _link(FakeActor())
    link._see_to(NOTHING)
    link.outbox.stop()

    link._see_to(NOTHING._replace(ended=b""))

    assert owner.told_of == [NOTHING]
    assert link.report is None


def test_what_a_node_tells_and_cannot_be_read_keeps_no_message_from_being_settled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    link, _ = _link(FakeActor())
    _message(link, "a")
    number, _ = link.outbox.take(wait=True) or (0, [])

    link._see_to(NOTHING._replace(replies=[(1, True, b"")], done=[(number, None)]))

    assert link.outbox.outstanding == 0
    assert "what it tells is unreadable" in caplog.text


def test_a_node_that_does_not_answer_in_time_has_told_its_last_figures(
    caplog: pytest.LogCaptureFixture,
) -> None:
    link, _ = _link(FakeActor(TimeoutError(), ConnectionError("no way there"), dumped("new")))
    link.figures = last = object()  # type: ignore[assignment]

    assert [link.latest(0), link.latest(1), link.latest(1), link.latest(1)] == [
        last,
        last,
        last,
        "new",
    ]
    assert "no answer: ConnectionError: no way there" in caplog.text


def test_what_is_told_is_asked_for_again_where_the_answer_was_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_module, "_PAUSE", 0)
    ended = NOTHING._replace(ended=b"report")
    actor = FakeActor(dumped((1, NOTHING)), ConnectionError("lost"), dumped((2, ended)))
    link, owner = _link(actor)

    _run(link, 1, lambda: link.report is not None)

    assert [known for _, known, *_ in actor.asked] == [0, 1, 1]
    assert owner.told_of == [NOTHING, ended]
    assert owner.suspected == 1


def test_a_link_that_is_stopped_waits_for_nothing() -> None:
    link, _ = _link(FakeActor())
    link.outbox.stop()

    assert link._result(Future(), "a batch") is None
    assert link.outbox.wait_for_room(TABLE, Deadline(0))
