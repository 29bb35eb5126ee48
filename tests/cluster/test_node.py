"""What a node does with what it is sent, in whatever order that comes: at the node alone."""

import asyncio
import contextlib
import dataclasses
import gc
import itertools
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, Literal

import pytest

import threadpool_mb as mb
from tests.cluster.workers import GetAll, GetLock, Raise, collecting
from tests.helpers import until
from tests.insides import worker_of
from threadpool_mb.cluster import link
from threadpool_mb.cluster.entries import Entry
from threadpool_mb.cluster.node import NodeActor, VersionMismatch
from threadpool_mb.cluster.placing import digest_of, owner_of
from threadpool_mb.cluster.wire import (
    CALL,
    MOVE,
    PICKLED,
    PLAIN,
    REMOVE,
    Asked,
    Events,
    Options,
    Setup,
    Versions,
    dumped,
    loaded,
    loaded_error,
    versions_here,
)

HERE: Final = "tcp://here"
THERE: Final = "tcp://there"
FRESH: Final = Options(None, None, None, None, None, None, tells_workers=True)


class Node:
    """A node that is fed by the test, in the place of a client."""

    def __init__(self, worker: Callable[..., Any] = collecting, options: Options = FRESH) -> None:
        setup = Setup(versions_here(), "orders", HERE, dumped(worker), dumped(options))
        self.actor: NodeActor = NodeActor(setup)
        self.told: list[Events] = []
        self._numbers = itertools.count(1)
        self._known = 0

    def put(self, *entries: Entry, number: int | None = None) -> int:
        """Send a batch; return its number."""
        number = next(self._numbers) if number is None else number
        asyncio.run(self.actor.put(number, link._written(list(entries))))
        return number

    def send(self, key: object, *messages: object) -> int:
        """Send messages that are plain data."""
        return self.put(*(Entry(key, each, each, PLAIN, 0) for each in messages))

    def ask(
        self,
        key: object,
        kind: int,
        command: object = None,
        *,
        seconds: float | None = None,
        drain: bool = False,
    ) -> tuple[bool, Any]:
        """Ask something, and return the answer: whether it went well, and what there is."""
        body = None if kind == REMOVE else dumped(command)
        number = next(self._numbers)
        asked = Asked(number, seconds, drain)
        self.put(Entry(key, command, body, kind, 0, asked), number=number)
        self.until(lambda: number in {each for each, _, _ in self.all("replies")})
        ((well, payload),) = [
            (well, payload) for each, well, payload in self.all("replies") if each == number
        ]
        return well, payload

    def call(self, key: object, command: object) -> object:
        """Return the value that a call is answered with."""
        well, payload = self.ask(key, CALL, command)
        assert well
        return loaded(payload)

    def gather(self) -> Events:
        """Return what is new."""
        self._known, events = loaded(asyncio.run(self.actor.gather(self._known, 0.01, 0)))
        self.told.append(events)
        return events

    def until(self, condition: Callable[[], object]) -> None:
        """Gather until it holds."""

        def gathered() -> object:
            self.gather()
            return condition()

        until(gathered)

    def all(self, name: str) -> list[Any]:
        """Return all that was told under a name."""
        return [each for events in self.told for each in getattr(events, name)]

    def stats(self) -> mb.PoolStats:
        """Return the statistics of its pool."""
        stats: mb.PoolStats = loaded(asyncio.run(self.actor.stats()))
        return stats

    @property
    def done(self) -> set[int]:
        """The batches of which all is done."""
        return {number for number, which in self.all("done") if which is None}

    @property
    def dead(self) -> list[tuple[int, int, str]]:
        """The dead letters."""
        return self.all("dead")

    @property
    def exits(self) -> list[Any]:
        """The workers that have ended: key and message, the error, the number, the cause."""
        return [loaded(each) for each in self.all("exits")]

    def end(self, how: Literal["close", "cancel"] = "close") -> mb.DrainReport[Any]:
        """End it; return its report."""
        asyncio.run(self.actor.end(how))
        self.until(lambda: self.told[-1].ended is not None)
        assert self.told[-1].ended is not None
        report: mb.DrainReport[Any] = loaded(self.told[-1].ended)
        return report


@contextlib.contextmanager
def running(worker: Callable[..., Any] = collecting, options: Options = FRESH) -> Iterator[Node]:
    """Have a node, and end it."""
    node = Node(worker, options)
    try:
        yield node
    finally:
        if not node.told or node.told[-1].ended is None:
            node.end("cancel")


def _key(owner: str) -> str:
    """Return a key that is dealt to a node."""
    return next(
        key
        for key in map(str, itertools.count())
        if owner_of(digest_of(key), (HERE, THERE)) == owner
    )


def test_batches_that_come_in_any_order_are_dispatched_once_and_in_theirs() -> None:
    with running() as node:
        second = [Entry("key", each, each, PLAIN, 0) for each in ("c", "d")]
        first = [Entry("key", each, each, PLAIN, 0) for each in ("a", "b")]
        node.put(*second, number=2)
        node.put(*first, number=1)
        node.put(*first, number=1)  # the answer to it was lost
        node.put(*second, number=2)
        node._numbers = itertools.count(3)

        assert node.call("key", GetAll()) == ["a", "b", "c", "d"]
        node.until(lambda: node.done >= {1, 2})

        assert not node.actor._node._early  # nothing is kept of what has come twice

    assert sorted(number for number, which in node.all("done") if which is None) == [1, 2, 3]


def test_what_was_told_is_told_again_until_the_client_has_it() -> None:
    with running() as node:
        node.send("key", "a")
        node.until(lambda: node.done == {1})
        last = node._known

        again = loaded(asyncio.run(node.actor.gather(last - 1, 0, 0)))
        new = loaded(asyncio.run(node.actor.gather(last, 0, 0)))

        assert again[0] == last
        assert again[1].done == node.told[-1].done
        assert new[0] == last + 1
        assert not new[1].done
        node._known = new[0]


def test_two_calls_at_a_time_are_told_the_same() -> None:
    """One that the client has given up goes on here, beside the next one."""
    with running() as node:
        node.send("key", "a")
        until(lambda: node.actor._node._tray.touched)

        async def gather() -> list[tuple[int, Events]]:
            calls = [node.actor.gather(node._known, 60, 60) for _ in range(2)]
            return [loaded(told) for told in await asyncio.gather(*calls)]

        first, second = asyncio.run(gather())

        assert first == second
        node._known, events = second
        node.told.append(events)
        assert node.done == {1}


def test_a_message_that_cannot_be_read_is_dead_and_the_others_of_its_batch_are_handled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running() as node:
        batch = node.put(
            Entry("key", "a", "a", PLAIN, 0),
            Entry("key", object(), b"no pickle", PICKLED, 0),
            Entry("key", "b", dumped("b"), PICKLED, 0),
        )
        node.until(lambda: batch in node.done)

        assert node.dead == [(batch, 1, "unreadable")]
        assert node.call("key", GetAll()) == ["a", "b"]

    assert "the message for key 'key' is unreadable" in caplog.text


class Exiting:
    """Ends the thread that reads it: its module is a script, which calls `sys.exit`."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return sys.exit, ("usage: …",)


def test_a_message_whose_module_exits_as_it_is_imported_is_dead_and_the_node_goes_on() -> None:
    with running() as node:
        node.put(Entry("key", None, dumped(Exiting()), PICKLED, 0))
        node.put(Entry(Exiting(), "a", "a", PLAIN, 0))
        well, error = node.ask("key", CALL, Exiting())
        node.send("key", "b")

        assert node.call("key", GetAll()) == ["b"]

    assert [reason for _, _, reason in node.dead] == [mb.DeadLetterReason.UNREADABLE] * 3
    assert not well
    assert str(loaded_error(error)) == "SystemExit('usage: …') as it was read"


def test_a_worker_whose_module_exits_as_it_is_imported_is_an_error() -> None:
    setup = Setup(versions_here(), "orders", HERE, dumped(Exiting()), dumped(FRESH))

    with pytest.raises(RuntimeError, match=r"SystemExit\(.usage.* as it was read"):
        NodeActor(setup)


def test_a_key_that_is_no_plain_data_is_read_once_for_its_messages() -> None:
    key = ("a", "key")

    with running() as node:
        batch = node.send(key, "a", "b")
        node.until(lambda: batch in node.done)

        assert node.call(key, GetAll()) == ["a", "b"]
        assert [loaded(each) for each, _ in node.all("starts")] == [key]


def test_calls_are_answered_with_the_value_or_with_what_the_client_is_to_make_an_error_of() -> None:
    with running() as node:
        assert node.call("key", GetAll()) == []

        raised = node.ask("key", CALL, Raise())
        not_sent = node.ask("key", CALL, GetLock())

        assert raised[0] is not_sent[0] is False
        kind, reason, started, cause = raised[1]
        assert (kind, started) == ("WorkerGone", True), reason
        assert repr(loaded_error(cause)) == "LookupError('asked to')"
        assert "cannot pickle" in str(loaded_error(not_sent[1]))


class Refuse(mb.Command[None]):
    """Fail the call, and live on."""


class Expire(mb.Command[None]):
    """Drop the call once its caller has given up."""


def refusing(_: object) -> Generator[None, Any]:
    """Fail each call with an error of the user's own, or drop it when it is too late."""
    while True:
        match (yield):
            case mb.Call(Refuse(), box):
                box.fail(ValueError("not this one"))
            case mb.Call(Expire(), box):
                until(lambda box=box: box.expired)


def test_the_error_that_a_call_was_answered_with_is_sent_as_itself() -> None:
    with running(refusing) as node:
        well, payload = node.ask("key", CALL, Refuse())

    assert not well
    error = loaded_error(payload)
    assert repr(error) == "ValueError('not this one')"
    assert error.__notes__[0].startswith(f"on the Dask worker {HERE}:")


def test_a_call_that_is_dropped_after_its_time_is_told_as_that_which_has_no_cause() -> None:
    with running(refusing) as node:
        well, (kind, _, _, cause) = node.ask("key", CALL, Expire(), seconds=0.01)

    assert not well
    assert kind == "CallTimedOut"
    assert cause is None


def test_a_call_that_cannot_be_read_is_answered_with_why_and_its_message_is_dead() -> None:
    with running() as node:
        number = next(node._numbers)
        node.put(Entry("key", None, b"no pickle", CALL, 0, Asked(number, None)), number=number)
        node.until(lambda: node.all("replies") and number in node.done)

        ((answered, well, payload),) = node.all("replies")
        assert (answered, well) == (number, False)
        assert isinstance(loaded_error(payload), Exception)
        assert node.dead == [(number, 0, "unreadable")]


def test_the_worker_of_a_key_is_removed_and_the_client_told_whether_there_was_one() -> None:
    with running() as node:
        node.send("key", "a")
        node.until(lambda: node.done)

        _, had = node.ask("key", REMOVE)
        _, has = node.ask("key", REMOVE, drain=True)
        node.until(lambda: node.exits)

    assert (loaded(had), loaded(has)) == (True, False)
    assert node.exits[0][3] == "removed"


def test_keys_that_move_are_told_and_then_that_they_have_ended() -> None:
    goes, stays = _key(THERE), _key(HERE)

    with running() as node:
        node.send(goes, "a")
        node.send(stays, "a")
        node.put(Entry(None, None, (7, (HERE, THERE)), MOVE, -1))
        node.until(lambda: node.all("moved"))

        ((number, keys),) = node.all("moves")
        assert (number, [loaded(key) for key in keys]) == (7, [goes])
        assert [loaded(key) for key in node.all("moved")] == [goes]
        assert [worker.key for worker in loaded(asyncio.run(node.actor.unfinished(5)))] == [stays]
        # All has to go where there is no other node.
        node.put(Entry(None, None, (8, ()), MOVE, -1))
        node.until(lambda: len(node.all("moved")) == 2)


_handled = threading.Event()


def noting(_: object) -> Generator[None, Any]:
    """Take note that something was handled."""
    while True:
        yield
        _handled.set()


class Waiting:
    """Cannot be read before something was handled, or a time is over."""

    def __reduce__(self) -> tuple[Callable[[float], bool], tuple[float]]:
        return _wait_for_it, (2.0,)


def _wait_for_it(seconds: float) -> bool:
    return _handled.wait(seconds)


_cancelled: Final = list[Node]()


def _cancel() -> str:
    """Have the node be as it is from the first line of `end` on: a batch is unpickled just now."""
    _cancelled.pop().actor._node._how = "cancel"
    return "b"


class _Cancelling:
    """What is a message once it is unpickled, by which the node is cancelled."""

    def __reduce__(self) -> tuple[Callable[[], str], tuple[()]]:
        return _cancel, ()


def test_a_node_that_is_cancelled_handles_nothing_more_of_what_has_come() -> None:
    _handled.clear()

    with running(noting) as node:
        _cancelled.append(node)
        first = Entry("key", "b", _Cancelling(), PLAIN, 0)
        batch = node.put(first, Entry("key", None, dumped(Waiting()), PICKLED, 0))
        node.until(lambda: node.dead)

        report = node.end("cancel")

    assert node.dead == [(batch, 0, "pool closed"), (batch, 1, "pool closed")]
    assert not _handled.is_set()
    assert report.finished


def test_a_node_that_is_closed_dispatches_what_has_come_before_it_ends() -> None:
    with running() as node:
        for each in "abc":
            node.put(Entry("key", each, each, PLAIN, 0))
        report = node.end("close")

        assert node.done == {1, 2, 3}
        assert report.finished
        assert not node.dead
        batch = node.send("key", "late")
        asyncio.run(node.actor.end("close"))
        assert node.stats().state == "ended"
        assert batch not in node.done


_staying = threading.Event()
_let_go = threading.Event()


def staying(_: object) -> Generator[None, Any]:
    """Stay in the first message."""
    yield
    _staying.set()
    assert _let_go.wait(15)
    while True:
        yield


def test_a_node_that_is_closed_can_be_cancelled_and_not_the_other_way() -> None:
    _staying.clear()
    _let_go.clear()

    with running(staying) as node:
        batch = node.send("key", "in hand", "behind")
        assert _staying.wait(15)
        worker: Any = worker_of(node.actor._node._pool, "key")
        asyncio.run(node.actor.end("close"))
        until(lambda: node.stats().state == "closing")
        asyncio.run(node.actor.end("cancel"))
        asyncio.run(node.actor.end("close"))
        # The pool is told before its workers are.
        until(lambda: worker.cancelled)
        assert node.stats().state == "cancelling"
        _let_go.set()
        node.end("close")

    assert node.dead == [(batch, 1, "pool closed")]


def test_another_version_is_refused_and_leaves_nothing_behind() -> None:
    setup = Setup(Versions("2.7", "0.0"), "orders", HERE, dumped(collecting), dumped(FRESH))

    with pytest.raises(VersionMismatch, match=r"runs Python 2\.7 with .* both must be the same"):
        NodeActor(setup)


def test_an_actor_that_nobody_holds_finishes_its_backlog_and_ends() -> None:
    before = set(threading.enumerate())
    node = Node()
    inside = node.actor._node
    node.send("key", "a", "b")

    del node
    gc.collect()

    until(lambda: inside._ended is not None)
    assert inside.stats().handled == 2
    until(lambda: set(threading.enumerate()) <= before)


def test_only_workers_that_fail_are_told_where_nobody_asks_for_the_others() -> None:
    with running(collecting, dataclasses.replace(FRESH, tells_workers=False)) as node:
        node.send("ends", "end")
        node.send("fails", "fail")
        node.until(lambda: node.exits and node.done == {1, 2})

        assert [loaded(key) for (key, *_), *_ in node.exits] == ["fails"]
        assert node.all("starts") == []


class Unsent:
    """Cannot be pickled, though it came as a pickle."""

    def __reduce__(self) -> str:
        raise TypeError("cannot be pickled")

    def __repr__(self) -> str:
        return "<unsent>"


def opening(_: object) -> Generator[None, Any]:
    """Fail with what it has made of its message."""
    message = yield
    message.append(Unsent())
    raise ValueError("with that in hand")


def test_the_end_of_a_worker_is_told_also_where_its_message_cannot_be_sent_back() -> None:
    with running(opening) as node:
        node.put(Entry("key", [], dumped([]), PICKLED, 0))
        node.until(lambda: node.exits)

    (key, message, _), error, _, cause, _ = node.exits[0]
    assert (loaded(key), loaded(message)) == ("key", "[<unsent>]")
    assert repr(loaded_error(error)) == "ValueError('with that in hand')"
    assert cause == "failed"


def test_a_message_that_is_tried_again_is_done_once_it_was_handled() -> None:
    retry = mb.Restart(in_hand="retry", delay=0, max_restarts=1)
    fails = iter([True, False])

    def twice(_: object) -> Generator[None, Any]:
        while True:
            message = yield
            if message == "poison" or (message == "once" and next(fails)):
                raise ValueError(message)

    with running(twice, dataclasses.replace(FRESH, restart=retry)) as node:
        batch = node.send("key", "once", "after")
        node.until(lambda: batch in node.done)

        assert node.dead == []
        assert [exit_[3] for exit_ in node.exits] == ["failed"]


def test_a_message_that_is_tried_in_vain_is_a_dead_letter_and_so_are_those_behind_it() -> None:
    retry = mb.Restart(in_hand="retry", delay=0, max_restarts=1)

    with running(collecting, dataclasses.replace(FRESH, restart=retry)) as node:
        batch = node.send("key", "fail", "behind")
        node.until(lambda: batch in node.done)

        assert sorted(node.dead) == [(batch, 0, "worker failed"), (batch, 1, "worker failed")]


def test_a_node_whose_loop_is_closed_goes_on() -> None:
    with running() as node:
        inside = node.actor._node
        loop = asyncio.new_event_loop()
        loop.close()
        for waiters in (inside.news._any, inside.news._hasty):
            waiters.append((loop, asyncio.Event()))

        batch = node.send("key", "a")
        node.ask("key", REMOVE, drain=True)

        node.until(lambda: node.done == {batch, batch + 1})
        assert node.dead == []


def test_an_answer_is_told_at_once_to_a_client_that_waits() -> None:
    async def ask_while_it_waits(node: Node) -> Events:
        gathering = asyncio.ensure_future(node.actor.gather(0, 60, 60))
        while not node.actor._node.news._any:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)
        entry = Entry("key", None, dumped(GetAll()), CALL, 0, Asked(1, None))
        await node.actor.put(1, link._written([entry]))
        node._known, events = loaded(await gathering)
        node.told.append(events)
        return node.told[-1]

    with running() as node:
        events = asyncio.run(ask_while_it_waits(node))
        assert events.starts
        node.until(lambda: node.all("replies"))
