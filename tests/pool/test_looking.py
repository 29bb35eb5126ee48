"""What a pool shows of itself."""

import asyncio
import contextlib
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.helpers import DEADLINE, leaving, until
from tests.pool.witness import END, Gate, Witness, finish
from threadpool_mb import (
    Blocking,
    CallError,
    CatchAll,
    Command,
    Mailbox,
    MailboxConfig,
    Pool,
    PoolStats,
    Unlimited,
    WorkerStats,
    aio,
    call,
)


class Ask(Command[int]):
    """Is not answered."""


def test_repr_shows_name_counts_and_state(witness: Witness) -> None:
    with witness.pool(name="io") as pool:
        gates = [witness.hold(pool, key) for key in range(3)]
        for number in range(12):
            pool.dispatch(number % 3, number)

        running = repr(pool)
        pool.close()
        closing = repr(pool)
        pool.cancel()
        cancelling = repr(pool)
        for gate in gates:
            gate.open()
        pool.join()

        threads = "3 threads"
        assert running == f"<Pool 'io' [3 workers | {threads} | running]>"
        assert closing == f"<Pool 'io' [3 workers | {threads} | closing]>"
        assert cancelling == f"<Pool 'io' [3 workers | {threads} | cancelling]>"
        assert repr(pool) == "<Pool 'io' [0 workers | 0 threads | ended]>"


def test_repr_counts_one_worker_in_the_singular(witness: Witness) -> None:
    with witness.pool(name="io") as pool:
        witness.hold(pool, "a").open()

        assert repr(pool) == "<Pool 'io' [1 worker | 1 thread | running]>"


def test_keys_and_len_and_in_tell_who_has_a_worker(witness: Witness) -> None:
    with witness.pool() as pool:
        assert (pool.keys(), len(pool), "a" in pool) == ([], 0, False)

        for key in ("a", "b", "c"):
            pool.initialize(key)
        pool.remove("b")

        assert (pool.keys(), len(pool)) == (["a", "c"], 2)
        assert [key in pool for key in ("a", "b", "c", "d")] == [True, False, True, False]


def test_a_worker_that_has_ended_by_itself_is_shown_no_more(witness: Witness) -> None:
    with witness.pool() as pool:
        pool.initialize("a", END)
        until(lambda: witness.exits)

        assert (pool.keys(), len(pool), "a" in pool) == ([], 0, False)


def test_keys_is_a_snapshot(witness: Witness) -> None:
    with witness.pool() as pool:
        pool.initialize("a")
        keys = pool.keys()

        pool.initialize("b")

        assert keys == ["a"]


def test_stats_tell_what_lives_and_what_happened(witness: Witness) -> None:
    with witness.pool() as pool:
        empty = pool.stats()
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)
        pool.remove("a")
        pool.initialize("a", 2)
        pool.dispatch("unknown", 3)
        until(lambda: pool.stats().started == 1)

        stats = pool.stats()
        left = leaving(pool)

        gate.open()
        finish(pool)

    assert left == [
        WorkerStats(
            key="a",
            incarnation=1,
            state="busy",
            running=True,
            told_to_end=True,
            messages=1,
            senders_waiting=0,
        )
    ]
    nothing = PoolStats(
        name=stats.name,
        state="running",
        keys=0,
        busy=0,
        busy_threads=0,
        waiting=0,
        handled=None if witness.kind == "function" else 0,
        started=0,
        failed=0,
        restarted=0,
        ended={},
        max_keys=None,
        timers=0,
        dead_letters={},
        threads=1,
    )
    assert empty == nothing
    assert stats == PoolStats(
        state="running",
        name=stats.name,
        keys=1,
        busy=1,
        busy_threads=1,
        waiting=2,
        handled=None if witness.kind == "function" else 0,
        started=1,
        failed=0,
        restarted=0,
        ended={},
        max_keys=None,
        timers=0,
        dead_letters={"unknown key": 1},
        threads=2,
    )


def states_of(pool: Pool[Any, Any]) -> dict[object, str]:
    """Return what each worker does, by its key."""
    return {worker.key: worker.state for worker in pool.workers()}


def test_a_worker_is_idle_or_busy_or_waits_for_the_one_before_it(witness: Witness) -> None:
    with witness.pool() as pool:
        pool.initialize("idle", 1)
        gate = witness.hold(pool, "busy")
        leaving = witness.hold(pool, "leaving")
        pool.remove("leaving")
        pool.initialize("leaving")
        until(lambda: states_of(pool)["idle"] == "idle")

        found = [(worker.key, worker.state) for worker in pool.workers()]

        gate.open()
        leaving.open()
        until(lambda: set(states_of(pool).values()) == {"idle"})
        assert found == [
            ("idle", "idle"),
            ("busy", "busy"),
            ("leaving", "busy"),
            ("leaving", "waiting"),
        ]


def test_a_generator_worker_waits_whose_messages_have_no_thread_yet() -> None:
    witness = Witness("generator")
    with witness.pool(max_threads=1) as pool:
        pool.initialize("a")
        until(lambda: states_of(pool) == {"a": "idle"})
        gate = witness.hold(pool, "b")
        pool.dispatch("a", 1)

        found = states_of(pool)

        gate.open()
        until(lambda: states_of(pool) == {"a": "idle", "b": "idle"})
        assert found == {"a": "waiting", "b": "busy"}


def test_a_worker_that_has_called_another_one_waits(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "called")
        pool.initialize("calling")

        def ask() -> None:
            with contextlib.suppress(CallError):
                call(pool.ref("called"), Ask())

        pool.dispatch("calling", ask)

        # Between two waits, in which it looks again, it is busy.
        until(lambda: states_of(pool) == {"called": "busy", "calling": "waiting"})
        gate.open()


def test_a_worker_that_waits_for_room_waits() -> None:
    witness = Witness()
    with witness.pool(mailbox=Blocking(1)) as pool:
        gate = witness.hold(pool, "full")
        pool.dispatch("full", 1)
        pool.initialize("sender")
        pool.dispatch("sender", lambda: pool.dispatch("full", 2))

        until(lambda: states_of(pool) == {"full": "busy", "sender": "waiting"})
        gate.open()


def test_a_generator_worker_is_busy_while_its_end_is_reported() -> None:
    gate = Gate()

    def work(_key: str) -> Generator[None, object]:
        yield

    with Pool(work, on_worker_exit=lambda _: gate()) as pool:
        pool.initialize("a", "the only one")
        gate.wait_until_reached()

        found = states_of(pool)

        gate.open()
        assert found == {"a": "busy"}


@pytest.mark.parametrize(
    "receive",
    [
        lambda mailbox: mailbox.receive(),
        lambda mailbox: mailbox.receive(timeout=DEADLINE),
        lambda mailbox: mailbox.receive_many(2),
        lambda mailbox: mailbox.try_receive().result(timeout=DEADLINE),
        lambda mailbox: next(iter(mailbox)),
        lambda mailbox: asyncio.run(anext_of(mailbox)),
    ],
    ids=["receive", "receive in time", "receive many", "future", "loop", "asyncio"],
)
@pytest.mark.parametrize("config", [Unlimited(), Blocking(2), CatchAll(Unlimited())], ids=repr)
def test_a_function_worker_is_idle_however_it_receives(
    receive: Callable[[Mailbox[Any]], object], config: MailboxConfig
) -> None:
    gate = Gate()

    def work(_key: str, mailbox: Mailbox[str]) -> None:
        receive(mailbox)
        gate()

    with Pool(work, mailbox=config) as pool:
        pool.initialize("a")
        until(lambda: states_of(pool) == {"a": "idle"})
        pool.dispatch("a", "message")
        gate.wait_until_reached()

        assert states_of(pool) == {"a": "busy"}
        gate.open()


async def anext_of(mailbox: Mailbox[Any]) -> object:
    """Return the next message of a mailbox."""
    async for message in aio.messages(mailbox):
        return message
    return None


def test_stats_count_failed_workers(witness: Witness) -> None:
    with witness.pool() as pool:
        pool.initialize("a", ValueError())
        pool.initialize("b", END)
        until(lambda: len(witness.exits) == 2)
        finish(pool)

    assert (pool.stats().started, pool.stats().failed) == (2, 1)


def test_stats_are_a_frozen_snapshot(witness: Witness) -> None:
    with witness.pool() as pool:
        stats = pool.stats()
        pool.dispatch("unknown", 1)

        assert stats.dead_letters == {}
        with pytest.raises(AttributeError):
            stats.waiting = 3
