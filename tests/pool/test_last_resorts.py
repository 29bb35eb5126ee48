"""Log handlers, mailboxes and keys that raise where nobody is left to tell of it."""

import logging
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from tests.helpers import until
from tests.insides import dispatcher_of
from tests.pool.doubles import Boom, EvilKey, raising
from tests.pool.witness import END, Witness, finish
from threadpool_mb import Mailbox, MailboxClosed, Pool, Unlimited
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.roster import Roster
from threadpool_mb.threads.cached import ThreadCache


class RaisingMailbox:
    """A mailbox that raises where its name stands in `raises`."""

    def __init__(self, mailbox: Mailbox[Any], raises: dict[str, BaseException]) -> None:
        self._mailbox = mailbox
        self._raises = raises

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it is
        if name == "closed" and name in self._raises:
            raise self._raises[name]
        if name in self._raises:
            return raising(self._raises[name])
        return getattr(self._mailbox, name)

    def __len__(self) -> int:
        if "__len__" in self._raises:
            raise self._raises["__len__"]
        return len(self._mailbox)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._mailbox)


class RaisingConfig:
    """A config of such mailboxes."""

    limit = None

    def __init__(self, **raises: BaseException) -> None:
        self.raises = raises

    def create(self, *, on_dead_letter: Callable[[Any], object] | None = None) -> Mailbox[Any]:
        """Create one."""
        mailbox: Mailbox[Any] = Unlimited().create(on_dead_letter=on_dead_letter)
        return RaisingMailbox(mailbox, self.raises)  # type: ignore[return-value]


@pytest.mark.usefixtures("raising_log")
def test_a_log_handler_that_raises_does_not_keep_the_end_of_a_worker_from_being_reported(
    witness: Witness,
) -> None:
    error = Boom("the worker's")

    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", error)
        pool.dispatch("a", "left")
        pool.remove("a", drain=True)
        pool.initialize("a", "next")
        gate.open()
        report = finish(pool)

    assert witness.dead == [("a", "left", "worker failed")]
    assert witness.ended == [("a", error), ("a", None)]
    assert witness.handled == [("a", "next")]
    assert report.failed == 1


@pytest.mark.usefixtures("raising_log")
@pytest.mark.parametrize("witness", ["function"], indirect=True)
def test_a_log_handler_that_raises_does_not_end_the_dispatcher(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    with witness.pool() as pool:
        with monkeypatch.context() as patched:
            patched.setattr(ThreadCache, "start", raising(Boom("no thread")))
            pool.initialize("a", 1)
            until(lambda: witness.exits)
        pool.initialize("b", 2)
        finish(pool)

    assert witness.handled == [("b", 2)]
    assert witness.dead == [("a", 1, "worker failed")]


@pytest.mark.usefixtures("raising_log")
def test_a_log_handler_that_raises_of_a_hook_that_raises_keeps_no_successor_waiting(
    witness: Witness,
) -> None:
    with witness.pool(on_worker_exit=raising(Boom("the hook's"))) as pool:
        gate = witness.hold(pool, "a")
        pool.remove("a", drain=True)
        pool.initialize("a", "next")
        gate.open()
        finish(pool)

    assert witness.handled == [("a", "next")]


@pytest.mark.usefixtures("raising_log")
@pytest.mark.parametrize("end", ["close", "cancel"])
def test_a_mailbox_and_a_log_handler_that_raise_do_not_keep_the_others_from_being_told(
    witness: Witness, end: str
) -> None:
    config = RaisingConfig()

    with witness.pool(mailbox=config) as pool:
        for key in "ab":
            witness.start(pool, key)
        config.raises[end] = Boom("the mailbox's")

        with pytest.raises(Boom):
            getattr(pool, end)()
        config.raises.clear()

        getattr(pool, end)()
        assert pool.join(timeout=15).finished


@pytest.mark.parametrize("raises", [False, True])
def test_a_worker_whose_mailbox_raises_is_closed_before_its_end_is_reported(
    caplog: pytest.LogCaptureFixture, *, raises: bool
) -> None:
    told: list[object] = []
    error, also = Boom("the mailbox's"), Boom("the clean-up's")

    def worker(_key: str) -> Generator[None, Any]:
        try:
            while True:
                yield
        finally:
            told.append("closed")
            if raises:
                raise also

    config = RaisingConfig(receive=error)
    with Pool(worker, mailbox=config, on_worker_exit=lambda end: told.append(end.error)) as pool:
        pool.initialize("a", "a message")
        until(lambda: "a" not in pool)

    assert told == ["closed", error]
    logged = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert logged == ([also, error] if raises else [error])


@pytest.mark.parametrize("witness", ["function"], indirect=True)
def test_a_worker_whose_keys_repr_raises_ends_and_is_reported(witness: Witness) -> None:
    class Key:
        reprs = 0

        def __repr__(self) -> str:
            self.reprs += 1
            if self.reprs == 1:
                raise KeyboardInterrupt
            return "key"

    key = Key()

    with witness.pool() as pool:
        pool.initialize(key)
        until(lambda: witness.exits)
        finish(pool)

    ((ended, error),) = witness.ended
    assert ended is key
    assert isinstance(error, KeyboardInterrupt)


@pytest.mark.parametrize("error", [Boom(), KeyboardInterrupt()])
def test_a_worker_whose_mailbox_cannot_say_whether_it_is_closed_ends_and_is_reported(
    witness: Witness, error: BaseException
) -> None:
    stopped = MailboxClosed("another's")

    with witness.pool(raising(stopped), mailbox=RaisingConfig(closed=error)) as pool:
        pool.initialize("a")
        until(lambda: witness.exits)
        finish(pool)

    assert witness.ended == [("a", stopped)]


@pytest.mark.parametrize("witness", ["function"], indirect=True)
def test_a_pool_can_be_looked_at_though_a_mailbox_raises(witness: Witness) -> None:
    config = RaisingConfig()

    with witness.pool(mailbox=config, name="io") as pool:
        gate = witness.hold(pool, "a")
        config.raises = dispatcher_of(pool).roster.routes["a"].mailbox._raises  # type: ignore[attr-defined]
        config.raises |= {"stats": Boom(), "closed": Boom(), "__len__": Boom()}

        stats, text, report = list(pool.workers()), repr(pool), pool.join(timeout=0)
        waiting = pool.stats().waiting
        config.raises.clear()
        gate.open()

    assert [worker.key for worker in stats] == ["a"]
    assert waiting == 0
    assert text == "<Pool 'io' [1 worker | 1 thread | running]>"
    assert [worker.key for worker in report.unfinished] == ["a"]


def test_the_finalizer_of_a_pool_looks_at_no_mailbox(witness: Witness) -> None:
    looks: list[str] = []

    class Looking(dict[str, BaseException]):
        def __contains__(self, name: object) -> bool:
            if pools == []:
                looks.append(str(name))
            return False

    config = RaisingConfig()
    config.raises = Looking()
    gate = witness.gate()
    pools = [Pool(witness.work, mailbox=config, on_worker_exit=witness.exits.append)]
    pools[0].initialize("a", gate)
    gate.wait_until_reached()

    with pytest.warns(ResourceWarning, match="unclosed"):
        pools.clear()
    at_once = {"stats", "__len__"} & set(looks)
    gate.open()
    until(lambda: witness.exits)

    assert at_once == set()


def test_the_frames_of_a_worker_that_failed_are_gone_before_its_successor_may_start(
    witness: Witness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL + 1, logger="threadpool_mb")  # a log record keeps the error
    events: list[str] = []
    end = Roster.end

    class Held:
        def __del__(self) -> None:
            events.append("the frame is gone")

    def worker(key: object, mailbox: Mailbox[Any]) -> None:
        held = Held()
        raise Boom(type(held).__name__)

    def tell_and_end(self: Roster[Any, Any], worker: Incarnation[Any, Any], cause: Any) -> None:  # noqa: ANN401
        events.append("the successor may start")
        end(self, worker, cause)

    monkeypatch.setattr(Roster, "end", tell_and_end)
    with witness.pool(worker, on_worker_exit=None) as pool:
        pool.initialize("a")
        until(lambda: pool.stats().failed)

    assert events == ["the frame is gone", "the successor may start"]


def test_a_key_that_began_to_raise_is_not_counted_once_its_worker_has_ended(
    witness: Witness,
) -> None:
    key = EvilKey("evil")

    with witness.pool() as pool:
        gate = witness.hold(pool, key)
        pool.dispatch(key, END)
        key.hash_raises = True
        gate.open()
        until(lambda: len(witness.exits) > 0 and not list(pool.workers()))

        assert len(pool) == pool.stats().keys == 0
        assert "[0 workers |" in repr(pool)
        finish(pool)
