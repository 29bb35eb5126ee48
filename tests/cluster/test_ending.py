"""How a pool on a cluster ends."""

import asyncio
import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Event, Scheduler

import threadpool_mb as mb
from tests.cluster.machines import Machines
from tests.cluster.workers import (
    GetAll,
    Never,
    OneSided,
    collecting,
    ending_slowly,
    logging,
    stuck,
    wait_for_event,
)
from tests.forks import run
from tests.helpers import in_thread, run_together, until
from threadpool_mb.arguments import Deadline
from threadpool_mb.cluster import ClusterPool, membership
from threadpool_mb.cluster.own_threads import OwnThreads


def _told_to_end(pool: ClusterPool[Any, Any]) -> bool:
    """Return whether the one worker that is left was told to end."""
    return [each.told_to_end for each in pool.join(timeout=0).unfinished] == [True]


def test_leaving_the_block_handles_all_messages(client: Client, log: Path) -> None:
    with ClusterPool(functools.partial(logging, log), client) as pool:
        for key in range(20):
            pool.dispatch_many(key, range(100))

    lines = log.read_text().splitlines()
    assert sum(line.split()[1].isdigit() for line in lines) == 2000
    assert sum(line.endswith("ends") for line in lines) == 20
    assert pool.join(timeout=15).finished


def test_leaving_the_block_with_an_exception_cancels(
    client: Client, dead: list[Any], log: Path
) -> None:
    worker = functools.partial(stuck, log)
    pool = ClusterPool[str, int](worker, client, on_dead_letter=dead.append, throughput=1)

    def leave() -> None:
        with pool:
            pool.dispatch_many("a", range(1, 5))
            until(lambda: "a 1" in log.read_text())
            raise LookupError

    def go_on() -> None:
        until(lambda: _told_to_end(pool))
        log.with_name("go-1").touch()

    with in_thread(go_on), pytest.raises(LookupError):
        leave()

    assert [(each.message, each.reason) for each in dead] == [
        (number, mb.DeadLetterReason.POOL_CLOSED) for number in (2, 3, 4)
    ]


def test_drain_cancels_what_is_left_after_the_timeout_and_names_it(
    client: Client, dead: list[Any], log: Path
) -> None:
    worker = functools.partial(stuck, log)
    pool = ClusterPool(worker, client, on_dead_letter=dead.append, throughput=1)
    pool.dispatch_many("a", [1, 2])
    until(lambda: "a 1" in log.read_text())

    report = pool.drain(timeout=0.05)

    assert not report.finished
    assert [(each.key, each.running) for each in report.unfinished] == [("a", True)]
    until(lambda: _told_to_end(pool))
    log.with_name("go-1").touch()
    report = pool.join(timeout=15)
    assert report.finished
    assert report.dead_letters == {mb.DeadLetterReason.POOL_CLOSED: 1}
    assert [each.message for each in dead] == [2]


def test_drain_returns_the_report_of_a_pool_that_has_handled_all(client: Client, log: Path) -> None:
    pool = ClusterPool(functools.partial(logging, log), client)
    pool.dispatch_many("a", [1, 2])

    report = pool.drain(timeout=15)

    assert report.finished
    assert report.dead_letters == {}
    assert log.read_text().splitlines() == ["a begins", "a 1", "a 2", "a ends"]


def test_what_keeps_a_closed_pool_from_its_end_is_told_at_exit(
    client: Client, dead: list[Any], log: Path
) -> None:
    pool = ClusterPool(functools.partial(stuck, log), client, name="orders", throughput=1)
    pool.dispatch_many("a", [1, 2])
    until(lambda: "a 1" in log.read_text())
    pool.close()

    assert pool._control.waits_for(Deadline(0)) == "pool 'orders': 2 messages not handled"

    for number in (1, 2):
        log.with_name(f"go-{number}").touch()
    assert pool._control.waits_for(Deadline(15)) is None
    assert dead == []


def test_a_closed_pool_takes_no_message(client: Client) -> None:
    with ClusterPool(collecting, client) as pool:
        pool.dispatch("a", 1)

    for use in (
        lambda: pool.dispatch("a", 1),
        lambda: pool.remove("a"),
        lambda: pool.ref("a").deliver(1),
    ):
        with pytest.raises(mb.PoolClosed):
            use()


def test_a_sender_that_waits_for_room_wakes_when_the_pool_is_cancelled(
    client: Client, log: Path, dead: list[Any]
) -> None:
    worker = functools.partial(stuck, log)
    pool = ClusterPool(worker, client, credits=2, on_dead_letter=dead.append)
    full = threading.Event()

    def send_until_closed() -> None:
        for number in range(1, 10):
            pool.dispatch("a", number)
            if number == 2:
                full.set()

    def send() -> None:
        with pytest.raises(mb.PoolClosed):
            send_until_closed()

    def cancel() -> None:
        assert full.wait(15)
        pool.cancel()
        log.with_name("go-1").touch()
        log.with_name("go-2").touch()

    run_together(send, cancel)

    assert pool.join(timeout=15).finished


def test_a_caller_is_answered_when_the_pool_ends(client: Client) -> None:
    with ClusterPool(collecting, client) as pool:
        reply = mb.ask(pool.ref("a"), Never())

    with pytest.raises(mb.WorkerGone):
        reply.result(timeout=15)


def test_a_pool_ends_in_a_block_of_asyncio(client: Client, log: Path) -> None:
    async def live() -> ClusterPool[str, int]:
        async with ClusterPool[str, int](functools.partial(logging, log), client) as pool:
            await mb.aio.deliver(pool.ref("a"), 1)
        return pool

    pool = asyncio.run(live())

    assert log.read_text() == "a begins\na 1\na ends\n"
    assert pool.join(timeout=15).finished


@pytest.mark.parametrize("look", [0.5, 1e-6])
def test_a_pool_that_is_dropped_open_warns_and_ends(
    client: Client, log: Path, look: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However often its set-up had to wait for Dask, which keeps its errors in a circle.
    monkeypatch.setattr(membership, "_LOOK", look)
    pools = [ClusterPool(functools.partial(logging, log), client, name="dropped")]
    pools[0].dispatch("a", 1)

    with pytest.warns(ResourceWarning, match="unclosed <ClusterPool 'dropped'>"):
        pools.clear()

    until(lambda: log.read_text().endswith("ends\n"))
    until(lambda: not [each for each in threading.enumerate() if "dropped" in each.name])


def test_several_pools_share_a_client(client: Client, log: Path) -> None:
    with (
        ClusterPool(functools.partial(logging, log), client, name="one") as one,
        ClusterPool(functools.partial(logging, log), client, name="two") as two,
    ):
        one.dispatch("a", 1)
        two.dispatch("b", 2)

    lines = log.read_text().splitlines()
    assert sorted(lines) == ["a 1", "a begins", "a ends", "b 2", "b begins", "b ends"]


def test_two_pools_of_one_name_have_nothing_in_common(client: Client) -> None:
    with (
        ClusterPool(collecting, client, name="orders") as one,
        ClusterPool(collecting, client, name="orders") as two,
    ):
        one.dispatch("a", 1)
        two.dispatch("a", 2)

        assert mb.call(one.ref("a"), GetAll(), timeout=15) == [1]
        assert mb.call(two.ref("a"), GetAll(), timeout=15) == [2]
        one.cancel()
        assert one.join(timeout=15).finished
        two.dispatch("a", 3)
        assert mb.call(two.ref("a"), GetAll(), timeout=15) == [2, 3]


def test_a_hook_may_dispatch_and_does_not_wait_for_room(client: Client) -> None:
    told: list[mb.DeadLetterReason] = []

    def again(letter: mb.DeadLetter[str, Any]) -> None:
        # The second one has no room.
        pool.dispatch_many("a", [1, 2])
        with pytest.raises(RuntimeError, match="cannot be joined from"):
            pool.join()
        told.append(letter.reason)

    with ClusterPool(collecting, client, credits=1, on_dead_letter=again) as pool:
        pool.dispatch("a", OneSided("a"))
        until(lambda: told)

        assert mb.call(pool.ref("a"), GetAll(), timeout=15) == [1, 2]

    assert told == [mb.DeadLetterReason.UNREADABLE]


def test_repr_shows_counts_and_state(client: Client) -> None:
    with ClusterPool(collecting, client, name="orders") as pool:
        assert repr(pool) == "<ClusterPool 'orders' [2 nodes | 0 messages | running]>"

    assert repr(pool) == "<ClusterPool 'orders' [0 nodes | 0 messages | ended]>"


def test_observers_are_attached_and_detached_with_figures(client: Client) -> None:
    told: list[str] = []

    class Figures(mb.Observer):
        def attach(self, name: str, stats: Callable[[], Any], /) -> None:
            told.append(f"{name} {stats().state}")

        def detach(self, name: str, /) -> None:
            told.append(name)

    with ClusterPool(collecting, client, name="orders", observe=Figures()):
        assert told == ["orders running"]

    assert told == ["orders running", "orders"]


@pytest.mark.parametrize("how", ["remove", "cancel"])
def test_a_message_that_is_to_be_tried_again_is_dead_where_its_worker_is_told_to_end(
    client: Client, dead: list[Any], how: str
) -> None:
    exits: list[mb.WorkerExit[str]] = []
    restart = mb.Restart(in_hand="retry", delay=60.0, max_delay=60.0)
    with ClusterPool(
        collecting,
        client,
        restart=restart,
        on_dead_letter=dead.append,
        on_worker_exit=exits.append,
    ) as pool:
        pool.dispatch_many("a", ["fail", 1])
        until(lambda: exits)
        if how == "remove":
            assert pool.remove("a", timeout=15)
            assert pool.flush(timeout=15)
        else:
            pool.cancel()

    reason = {"remove": mb.DeadLetterReason.WORKER_REMOVED}.get(
        how, mb.DeadLetterReason.POOL_CLOSED
    )
    assert [(each.message, each.reason) for each in dead] == [("fail", reason), (1, reason)]


def test_a_child_of_fork_has_no_use_of_the_pool(client: Client, machines: Machines) -> None:
    del client
    lines = run(
        f"""
        from distributed import Client
        from tests.cluster.workers import GetAll, collecting
        from threadpool_mb.cluster import ClusterPool

        def use():
            told(pool.dispatch, "a", 2)
            told(pool.remove, "a")
            told(mb.call, pool.ref("a"), GetAll())
            told(pool.flush)
            told(lambda: pool.stats().keys)
            pool.cancel()
            told(lambda: pool.join().finished)

        with Client({machines.address!r}, set_as_default=False) as client:
            with ClusterPool(collecting, client) as pool:
                pool.dispatch("a", 1)
                print(in_child(use))
                print(mb.call(pool.ref("a"), GetAll(), timeout=15))
        """,
    )

    assert lines == [
        "PoolClosed True",
        "PoolClosed True",
        "CallNotDelivered True",
        "returned True",
        "returned 0",
        "returned True",
        "0",
        "[1]",
    ]


def test_a_node_that_is_starting_as_the_pool_ends_is_given_back(
    client: Client, machines: Machines
) -> None:
    pool = ClusterPool(collecting, client, name="ended")
    go = Event("go", client=client)
    address = machines.add()
    # Both threads of the Dask worker are busy.
    busy = [client.submit(wait_for_event, "go", workers=[address], pure=False) for _ in range(2)]
    until(lambda: pool._control.membership.starting)
    pool.close()

    assert pool.join(timeout=15).finished
    go.set()
    client.gather(busy)
    assert not pool._control.membership.starting
    tasks = client.run_on_scheduler(_tasks)
    assert not [each for each in tasks if "threadpool_mb-ended" in each]


def test_a_node_that_starts_once_the_others_were_told_to_end_keeps_nobody_waiting(
    client: Client, machines: Machines, log: Path
) -> None:
    go = Event("go-late", client=client)
    pool = ClusterPool(functools.partial(ending_slowly, log), client)
    pool.dispatch("a", 1)
    pool.flush(timeout=15)
    address = machines.add()
    # Both threads of the Dask worker are busy.
    busy = [
        client.submit(wait_for_event, "go-late", workers=[address], pure=False) for _ in range(2)
    ]
    until(lambda: pool._control.membership.starting)
    pool.close()
    until(lambda: log.read_text() == "a ends\n")  # and the node waits for it

    go.set()
    until(lambda: len(pool._control.links()) == 3 and not pool._control.membership.starting)
    until(lambda: any(each.report is not None for each in pool._control.links()))
    log.with_name("go-a").touch()

    assert pool.join(timeout=30).finished
    client.gather(busy)


def test_only_a_thread_of_the_pool_that_runs_counts_as_one() -> None:
    own = OwnThreads("orders")
    seen: list[bool] = []
    thread = own.new(lambda: seen.append(own.is_own), "own")
    own.start([thread])
    assert own.join(Deadline(15))

    assert seen == [True]
    # Its number may be that of another thread now.
    assert own.running == set()
    assert not own.is_own


def _tasks(dask_scheduler: Scheduler) -> list[str]:
    return list(dask_scheduler.tasks)
