"""Staged races of the pool: one thread is stopped between two steps while another goes on.

A sender is stopped between looking its worker up and delivering to it, an initializer between
looking whether the key is free and entering its worker, the dispatcher while it starts a worker, a
remover between looking the worker up and removing it, a worker in its `finally` block.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers import Running, leaving, until
from tests.pool.doubles import Boom, Calling, Intercepting
from tests.pool.witness import END, ENDS, Gate, Witness, finish
from threadpool_mb import Mailbox, Pool, PoolClosed
from threadpool_mb.pool.dispatcher import Dispatcher
from threadpool_mb.pool.function_workers import FunctionWorkers
from threadpool_mb.pool.generator_workers import GeneratorWorkers


@pytest.fixture(params=["function", "generator"])
def witness(request: pytest.FixtureRequest) -> Witness:
    """Return what a pool's workers and hooks tell, for workers of either kind."""
    return Witness(request.param)


def stopping(gate: Gate) -> Intercepting:
    """Return a config whose mailboxes stop the sender of "late" before it delivers."""

    def deliver(message: object) -> None:
        if message == "late":
            gate()

    return Intercepting(deliver=deliver)


def sending_late(pool: Pool[Any, Any], gate: Gate) -> Running[bool]:
    """Send "late" to key "a" on a thread that has stopped before it delivers."""
    sender = Running(lambda: pool.dispatch("a", "late"))
    gate.wait_until_reached()
    return sender


@pytest.mark.parametrize(("end", "reason"), ENDS.values(), ids=ENDS)
def test_a_message_whose_worker_ends_between_lookup_and_delivery_is_one_dead_letter(
    witness: Witness, end: Callable[[Pool[Any, Any]], object], reason: str
) -> None:
    gate = witness.gate()
    with witness.pool(mailbox=stopping(gate)) as pool:
        witness.start(pool, "a")
        sender = sending_late(pool, gate)

        end(pool)
        until(lambda: len(witness.exits) > 0 and not leaving(pool))
        gate.open()

        assert sender.result() is False
        finish(pool)

    assert witness.handled == []
    assert witness.dead == [("a", "late", reason)]


@pytest.mark.parametrize(("end", "reason"), ENDS.values(), ids=ENDS)
def test_a_message_whose_worker_is_followed_between_lookup_and_delivery_goes_to_the_successor(
    witness: Witness, end: Callable[[Pool[Any, Any]], object], reason: str
) -> None:
    gate = witness.gate()
    with witness.pool(mailbox=stopping(gate)) as pool:
        witness.start(pool, "a")
        sender = sending_late(pool, gate)

        end(pool)
        until(lambda: "a" not in pool)
        pool.initialize("a", "first")
        until(lambda: witness.handled)
        gate.open()

        assert sender.result() is True
        finish(pool)

    assert witness.handled == [("a", "first"), ("a", "late")], reason
    assert witness.dead == []


def test_a_message_whose_worker_still_drains_goes_to_the_successor_that_waits(
    witness: Witness,
) -> None:
    gate = witness.gate()
    with witness.pool(mailbox=stopping(gate)) as pool:
        held = witness.hold(pool, "a")
        pool.dispatch("a", "backlog")
        sender = sending_late(pool, gate)

        pool.remove("a", drain=True)
        pool.initialize("a")
        gate.open()

        assert sender.result() is True
        held.open()
        finish(pool)

    assert witness.handled == [("a", "backlog"), ("a", "late")]


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_a_message_whose_pool_ends_between_lookup_and_delivery_is_refused_to_its_sender(
    witness: Witness, end: str
) -> None:
    gate = witness.gate()
    with witness.pool(mailbox=stopping(gate)) as pool:
        witness.start(pool, "a")
        sender = sending_late(pool, gate)

        getattr(pool, end)()
        assert pool.join().finished
        gate.open()

        with pytest.raises(PoolClosed):
            sender.result()

    assert witness.handled == witness.dead == []


def test_a_refusal_by_a_removed_workers_mailbox_does_not_remove_its_successor(
    witness: Witness,
) -> None:
    gate = witness.gate()

    def refuse_late(message: object) -> bool:
        if message == "late":
            gate()
        return message != "late"

    config = Intercepting(deliver=refuse_late)
    with witness.pool(mailbox=config, overflow="remove_worker") as pool:
        witness.start(pool, "a")
        sender = sending_late(pool, gate)

        pool.remove("a")
        pool.initialize("a")
        gate.open()

        assert sender.result() is False
        assert pool.dispatch("a", "next")
        finish(pool)

    assert witness.handled == [("a", "next")]
    assert witness.dead == [("a", "late", "refused by the limit")]


def test_an_old_worker_that_ends_late_touches_none_of_its_successors(witness: Witness) -> None:
    gate = witness.gate()

    def worker(key: object, mailbox: Mailbox[object]) -> None:
        try:
            witness.work(key, mailbox)
        finally:
            gate()

    with witness.pool(worker) as pool:
        witness.start(pool, "a")
        pool.remove("a")
        gate.wait_until_reached()

        pool.initialize("a", "second")
        pool.remove("a")
        pool.initialize("a", "third")
        gate.open()
        until(lambda: witness.handled)

        assert pool.keys() == ["a"]
        assert pool.dispatch("a", "next")
        finish(pool)

    assert witness.handled == [("a", "third"), ("a", "next")]
    assert witness.dead == [("a", "second", "worker removed")]
    assert [exit_.incarnation for exit_ in witness.exits] == [1, 3]


def test_an_old_worker_that_fails_late_touches_none_of_its_successors(witness: Witness) -> None:
    error = Boom()
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", error)
        pool.dispatch("a", "left")
        pool.remove("a", drain=True)
        pool.initialize("a", "new")

        gate.open()
        until(lambda: witness.handled)

        assert pool.keys() == ["a"]
        finish(pool)

    assert witness.handled == [("a", "new")]
    assert witness.dead == [("a", "left", "worker failed")]
    assert witness.ended == [("a", error), ("a", None)]


@pytest.mark.parametrize("drain", ["cancel", "drain"])
def test_a_remover_that_comes_late_removes_no_successor_of_the_worker_it_has_found(
    witness: Witness, monkeypatch: pytest.MonkeyPatch, drain: str
) -> None:
    gate = witness.gate()
    remove = Dispatcher.remove

    def stop_and_remove(*args: Any, **options: Any) -> bool:  # noqa: ANN401 - passed on
        gate()
        return remove(*args, **options)

    with witness.pool() as pool:
        witness.start(pool, "a")
        with monkeypatch.context() as patched:
            patched.setattr(Dispatcher, "remove", stop_and_remove)
            remover = Running(lambda: pool.remove("a", drain=drain == "drain"))
            gate.wait_until_reached()
        pool.dispatch("a", END)
        until(lambda: witness.exits)
        pool.initialize("a")
        gate.open()

        assert remover.result() is False
        assert pool.dispatch("a", "work")
        finish(pool)

    assert witness.handled == [("a", "work")]


def test_of_two_initializers_that_find_the_key_free_the_later_one_learns_that_it_is_not(
    witness: Witness,
) -> None:
    gate = witness.gate()
    slow = [gate]

    def create() -> None:
        if slow:
            slow.pop()()

    with witness.pool(mailbox=Intercepting(create=create)) as pool:
        initializer = Running(lambda: pool.initialize("a", "late"))
        gate.wait_until_reached()

        assert pool.initialize("a", "early")
        gate.open()

        assert initializer.result() is False
        finish(pool)

    assert witness.handled == [("a", "early")]
    assert witness.dead == [("a", "late", "duplicate initialize")]
    assert pool.stats().started == 1


def test_an_initializer_that_finds_the_key_free_again_succeeds(witness: Witness) -> None:
    gate = witness.gate()
    slow = [gate]

    def create() -> None:
        if slow:
            slow.pop()()

    with witness.pool(mailbox=Intercepting(create=create)) as pool:
        initializer = Running(lambda: pool.initialize("a", "late"))
        gate.wait_until_reached()

        pool.initialize("a", "early")
        pool.remove("a", drain=True)
        gate.open()

        assert initializer.result() is True
        finish(pool)

    assert witness.handled == [("a", "early"), ("a", "late")]
    assert [exit_.incarnation for exit_ in witness.exits] == [1, 2]


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_an_initializer_whose_pool_ends_meanwhile_starts_no_worker(
    witness: Witness, end: str
) -> None:
    gate = witness.gate()
    with witness.pool(mailbox=Intercepting(create=gate)) as pool:
        initializer = Running(lambda: pool.initialize("a", "late"))
        gate.wait_until_reached()

        getattr(pool, end)()
        assert pool.join().finished
        gate.open()

        with pytest.raises(PoolClosed, match="starts no worker"):
            initializer.result()

    assert witness.handled == witness.dead == witness.exits == []
    assert pool.stats().started == 0


@pytest.fixture
def starting(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Return the gate at which the dispatcher stops when it starts its first worker."""
    gate = witness.gate()
    for kind in (FunctionWorkers, GeneratorWorkers):
        monkeypatch.setattr(kind, "start", _stopping_before(gate, kind.start))
    return gate


def _stopping_before(gate: Gate, start: Callable[..., None]) -> Callable[..., None]:
    def stop_and_start(*arguments: object) -> None:
        gate()
        start(*arguments)

    return stop_and_start


def test_a_pool_that_is_cancelled_while_a_worker_is_started_runs_no_message(
    witness: Witness, starting: Gate
) -> None:
    with witness.pool() as pool:
        pool.initialize("starting", 1)
        starting.wait_until_reached()
        pool.initialize("in line", 2)

        pool.cancel()

        # The one in line never starts; the other one is told once it runs.
        assert witness.dead == [("in line", 2, "pool closed")]
        starting.open()
        assert pool.join().finished

    assert witness.handled == []
    assert witness.dead[1:] == [("starting", 1, "pool closed")]
    assert witness.ended == [("starting", None)]


def test_a_pool_that_is_closed_while_a_worker_is_started_handles_all(
    witness: Witness, starting: Gate
) -> None:
    with witness.pool() as pool:
        pool.initialize("starting", 1)
        starting.wait_until_reached()
        pool.initialize("in line", 2)

        pool.close()
        starting.open()
        assert pool.join().finished

    assert sorted(witness.handled) == [("in line", 2), ("starting", 1)]
    assert witness.dead == []


def test_workers_that_are_removed_while_the_dispatcher_is_busy_never_start_unless_they_drain(
    witness: Witness, starting: Gate
) -> None:
    with witness.pool() as pool:
        pool.initialize("starting")
        starting.wait_until_reached()
        for key in ("cancelled", "drained"):
            pool.initialize(key, 1)
            pool.remove(key, drain=key == "drained")

        assert witness.dead == [("cancelled", 1, "worker removed")]
        starting.open()
        finish(pool)

    assert witness.handled == [("drained", 1)]
    assert pool.stats().started == 2


def test_a_worker_that_was_dropped_before_its_turn_does_not_hold_up_the_next_of_its_key(
    witness: Witness, starting: Gate
) -> None:
    with witness.pool() as pool:
        pool.initialize("starting")
        starting.wait_until_reached()
        for message in ("first", "second", "third"):
            pool.initialize("a", message)
            pool.remove("a")
        pool.initialize("a", "fourth")
        starting.open()
        finish(pool)

    assert witness.handled == [("a", "fourth")]
    assert [letter.message for letter in witness.letters] == ["first", "second", "third"]


def test_nothing_that_senders_do_waits_for_the_dispatcher(witness: Witness, starting: Gate) -> None:
    with witness.pool() as pool:
        pool.initialize("starting")
        starting.wait_until_reached()

        results = [pool.initialize("a"), pool.dispatch("a", 1), pool.remove("a"), "a" in pool]

        assert results == [True, True, True, False]
        assert pool.stats().threads == 1


@pytest.mark.parametrize("end", ["cancel", "drain"])
def test_a_worker_that_is_to_drain_and_is_dropped_at_once_leaves_dead_letters(
    witness: Witness, end: str
) -> None:
    """The remover has read what to tell, and the canceller writes something else before it goes on.

    The first mailbox is that of the worker that runs, at which the canceller stops; the second one
    that of the worker that waits for it, at which the remover stops.
    """
    removing, cancelling = witness.gate(), witness.gate()
    mailboxes: list[object] = []
    stops = {(0, "cancel"): cancelling, (1, "close"): removing}

    def stop(mailbox: object, method: str) -> None:
        if mailbox not in mailboxes:
            mailboxes.append(mailbox)
        gate = stops.pop((mailboxes.index(mailbox), method), None)
        if gate is not None:
            gate()

    with witness.pool(mailbox=Calling(stop)) as pool:
        gate = witness.hold(pool, "a")
        pool.remove("a", drain=True)
        pool.initialize("a", "accepted")
        remover = Running(lambda: pool.remove("a", drain=True))
        removing.wait_until_reached()
        canceller = Running(pool.cancel if end == "cancel" else lambda: pool.drain(timeout=0))
        cancelling.wait_until_reached()

        removing.open()
        remover.result()
        cancelling.open()
        canceller.result()
        gate.open()
        report = finish(pool)

    assert report.finished
    assert witness.handled == []
    assert witness.dead == [("a", "accepted", "pool closed")]
