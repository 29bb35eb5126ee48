"""Dask workers that are killed."""

import collections
import contextlib
import functools
import threading
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

import threadpool_mb as mb
from tests.cluster.conftest import nodes
from tests.cluster.machines import Machines
from tests.cluster.workers import GetAll, Never, collecting, logging, stuck
from tests.helpers import in_thread, until
from threadpool_mb.cluster import ClusterPool, NodeLost
from threadpool_mb.cluster.placing import digest_of, owner_of


def _key_at(pool: ClusterPool[Any, Any], address: str) -> str:
    """Return a key that is dealt to a node."""
    keys = (f"key-{number}" for number in range(1000))
    return next(key for key in keys if owner_of(digest_of(key), nodes(pool)) == address)


def _handled(log: Path) -> dict[str, list[int]]:
    """Return the numbers that each key has handled, in order."""
    handled = collections.defaultdict[str, list[int]](list)
    for line in log.read_text().splitlines():
        key, what = line.split()
        if what.isdigit():
            handled[key].append(int(what))
    return handled


def test_messages_of_a_lost_node_are_handled_or_dead(
    client: Client, machines: Machines, log: Path, dead: list[Any]
) -> None:
    worker = functools.partial(logging, log)
    keys = [f"key-{number}" for number in range(50)]
    with ClusterPool(worker, client, on_dead_letter=dead.append) as pool:
        for number in range(400):
            if number == 200:
                machines.kill(nodes(pool)[0])
            for key in keys:
                pool.dispatch(key, number)

    assert {each.reason for each in dead} <= {mb.DeadLetterReason.NODE_LOST}
    handled = _handled(log)
    for key in keys:
        lost = [each.message for each in dead if each.key == key]
        assert set(handled[key]) | set(lost) == set(range(400))
        assert handled[key] == sorted(set(handled[key]))
        assert lost == sorted(set(lost))


def test_with_redeliver_each_message_is_handled_at_least_once_and_in_order(
    client: Client, machines: Machines, log: Path, dead: list[Any]
) -> None:
    worker = functools.partial(logging, log)
    keys = [f"key-{number}" for number in range(50)]
    with ClusterPool(worker, client, on_dead_letter=dead.append, redeliver=True) as pool:
        for number in range(400):
            if number == 200:
                machines.kill(nodes(pool)[1])
            for key in keys:
                pool.dispatch(key, number)

    assert dead == []
    handled = _handled(log)
    for key in keys:
        assert set(handled[key]) == set(range(400))
        # Those that were sent again come again in their order.
        again = [
            number
            for number, next_ in zip(handled[key], handled[key][1:], strict=False)
            if next_ <= number
        ]
        assert len(again) <= 1


def test_the_callers_of_a_lost_node_are_told(client: Client, machines: Machines) -> None:
    with ClusterPool(collecting, client, on_dead_letter=lambda _: None) as pool:
        address = nodes(pool)[0]
        reply = mb.ask(pool.ref(_key_at(pool, address)), Never())
        pool.flush(timeout=15)  # it is taken, and not answered
        machines.kill(address)

        with pytest.raises(mb.WorkerGone, match="node lost") as caught:
            reply.result(timeout=15)

    assert caught.value.started


def test_the_workers_of_a_lost_node_are_told_as_ended(client: Client, machines: Machines) -> None:
    exits: list[mb.WorkerExit[str]] = []
    observed: list[mb.WorkerExit[str]] = []

    class Ends(mb.Observer):
        def ended(self, worker_exit: mb.WorkerExit[str], /) -> None:
            observed.append(worker_exit)

    with ClusterPool(collecting, client, on_worker_exit=exits.append, observe=Ends()) as pool:
        address = nodes(pool)[0]
        key = _key_at(pool, address)
        pool.dispatch(key, 1)
        pool.flush(timeout=15)
        machines.kill(address)
        until(lambda: exits)

    assert [(each.key, each.cause) for each in exits] == [(key, "failed")]
    assert isinstance(exits[0].error, NodeLost)
    assert address in str(exits[0].error)
    assert observed == exits


def test_the_end_of_each_worker_of_a_lost_node_is_told_once(
    client: Client, machines: Machines
) -> None:
    exits: list[mb.WorkerExit[str]] = []
    first, lost = threading.Event(), threading.Event()

    def tell(worker_exit: mb.WorkerExit[str]) -> None:
        exits.append(worker_exit)
        first.set()
        assert lost.wait(60)

    with ClusterPool(
        collecting, client, on_worker_exit=tell, on_dead_letter=lambda _: lost.set()
    ) as pool:
        address = nodes(pool)[0]
        keys = [
            key for key in map(str, range(100)) if owner_of(digest_of(key), nodes(pool)) == address
        ]
        for key in keys:
            pool.dispatch(key, 1)
        pool.flush(timeout=15)
        for key in keys[::2]:
            pool.dispatch(key, "fail")
        assert first.wait(15)
        # While one is told, others have come, and others never will; nor is this one settled.
        pool.dispatch(keys[1], 2)
        # One that was not sent would begin a worker on the other node.
        until(lambda: not any(link.outbox.unsent for link in pool._control.links()))
        machines.kill(address)

    assert sorted(each.key for each in exits) == sorted(keys)


def test_a_key_of_a_lost_node_begins_anew_on_another(client: Client, machines: Machines) -> None:
    with ClusterPool(collecting, client) as pool:
        address = nodes(pool)[0]
        key = _key_at(pool, address)
        pool.dispatch(key, 1)
        pool.flush(timeout=15)
        machines.kill(address)
        until(lambda: address not in nodes(pool))
        pool.dispatch(key, 2)

        assert mb.call(pool.ref(key), GetAll(), timeout=15) == [2]


def test_a_node_that_is_lost_as_the_pool_is_cancelled_keeps_nobody_waiting(
    client: Client, machines: Machines, log: Path, dead: list[Any]
) -> None:
    worker = functools.partial(stuck, log)
    pool = ClusterPool(worker, client, on_dead_letter=dead.append, redeliver=True)
    address = nodes(pool)[0]
    key = _key_at(pool, address)
    pool.dispatch(key, 1)
    until(lambda: log.read_text() == f"{key} 1\n")

    pool.cancel()
    machines.kill(address)

    assert pool.join(timeout=60).finished
    # It was under way, and does not go to another node any more.
    assert log.read_text() == f"{key} 1\n"
    assert [(each.message, each.reason) for each in dead] == [(1, mb.DeadLetterReason.NODE_LOST)]


def test_messages_wait_while_there_is_no_node(client: Client, machines: Machines) -> None:
    with ClusterPool(collecting, client) as pool:
        for address in nodes(pool):
            machines.kill(address)
        until(lambda: not nodes(pool))
        pool.dispatch("a", 1)
        assert not pool.flush(timeout=0.05)
        machines.add()

        assert mb.call(pool.ref("a"), GetAll(), timeout=15) == [1]


def test_a_pool_that_closes_without_a_node_leaves_dead_letters(
    client: Client, machines: Machines, dead: list[Any]
) -> None:
    with ClusterPool(collecting, client, on_dead_letter=dead.append) as pool:
        for address in nodes(pool):
            machines.kill(address)
        until(lambda: not nodes(pool))
        pool.dispatch("a", 1)

    assert [(each.key, each.message, each.reason) for each in dead] == [
        ("a", 1, mb.DeadLetterReason.NODE_LOST)
    ]


def test_senders_that_wait_for_room_of_a_lost_node_go_on(
    client: Client, machines: Machines
) -> None:
    dead: list[Any] = []
    with ClusterPool(collecting, client, credits=5, on_dead_letter=dead.append) as pool:
        address = nodes(pool)[0]
        key = _key_at(pool, address)
        pool.flush(timeout=15)
        machines.workers()[address].freeze()
        started = threading.Event()

        def send() -> None:
            for number in range(20):
                pool.dispatch(key, number)
                started.set()

        with in_thread(send):
            assert started.wait(15)
            machines.kill(address)
        got = mb.call(pool.ref(key), GetAll(), timeout=15)

    assert sorted(got + [each.message for each in dead]) == list(range(20))
    assert got == sorted(got)


def test_the_loss_of_the_client_ends_the_pools(machines: Machines, log: Path) -> None:
    machines.have(2)
    worker = functools.partial(logging, log)
    # Not its `with`: nobody closes the pool, and no thread is left to do it.
    with Client(machines.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        pool = ClusterPool(worker, client, on_dead_letter=lambda _: None)
        for key in range(10):
            pool.dispatch(key, 1)
        pool.flush(timeout=15)
    until(lambda: log.read_text().count("ends") == 10)
    pool.close()

    assert pool.join(timeout=15).finished


def test_a_sender_does_not_wait_for_a_client_that_is_closed(machines: Machines, log: Path) -> None:
    machines.have(2)
    sent = threading.Event()

    def send() -> None:
        with contextlib.suppress(mb.PoolClosed):
            while pool.dispatch("a", 1):
                sent.set()

    with Client(machines.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        worker = functools.partial(stuck, log)
        pool = ClusterPool(worker, client, credits=5, on_dead_letter=lambda _: None)
        with in_thread(send):
            assert sent.wait(15)
            client.close()
    log.with_name("go-1").touch()

    assert pool.join(timeout=15).finished


def test_a_caller_is_told_where_its_client_is_closed(machines: Machines) -> None:
    def call() -> str:
        with pytest.raises(mb.WorkerGone) as caught:
            mb.call(pool.ref("a"), Never())
        return str(caught.value)

    machines.have(2)
    with Client(machines.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        pool = ClusterPool(collecting, client, on_dead_letter=lambda _: None)
        reply = mb.ask(pool.ref("a"), Never())
        pool.flush(timeout=15)  # it is taken, and not answered
        with in_thread(call) as calling:
            until(lambda: any(len(link.outbox.asked) == 2 for link in pool._control.links()))
            client.close()
            with pytest.raises(mb.WorkerGone):
                reply.result(timeout=15)
        assert "node lost" in calling.result()

    assert pool.join(timeout=15).finished


def _check_none_lost_unseen(log: Path, dead: list[Any], sent: dict[str, int]) -> None:
    """See that each key's messages were handled in order, or were told as lost with a node."""
    assert {each.reason for each in dead} <= {mb.DeadLetterReason.NODE_LOST}
    handled = _handled(log)
    for key, count in sent.items():
        gone = [each.message for each in dead if each.key == key]
        assert handled[key] == sorted(set(handled[key]))
        assert set(handled[key]) | set(gone) == set(range(count))


def test_a_dask_worker_is_added_and_another_one_is_killed_at_once(
    client: Client, machines: Machines, log: Path, dead: list[Any]
) -> None:
    worker = functools.partial(logging, log)
    keys = [f"key-{number}" for number in range(30)]
    sent = 0
    with ClusterPool(worker, client, on_dead_letter=dead.append) as pool:
        lost, stays = nodes(pool)
        for key in keys:
            pool.dispatch(key, sent)
        # Not looked for: it starts while the other one is killed.
        added = machines.add()
        machines.kill(lost)
        while not (set(nodes(pool)) == {stays, added} and pool._control.router.table.settled):
            sent += 1
            for key in keys:
                pool.dispatch(key, sent)
            pool.flush(timeout=0.01)  # not more than the test needs

    _check_none_lost_unseen(log, dead, dict.fromkeys(keys, sent + 1))


def test_a_dask_worker_that_joins_is_killed_at_once(
    client: Client, machines: Machines, log: Path, dead: list[Any]
) -> None:
    worker = functools.partial(logging, log)
    keys = [f"key-{number}" for number in range(30)]
    sent = 0
    with ClusterPool(worker, client, on_dead_letter=dead.append) as pool:
        before = nodes(pool)
        address = machines.add()
        killed = False
        while not (killed and nodes(pool) == before and pool._control.router.table.settled):
            for key in keys:
                pool.dispatch(key, sent)
            sent += 1
            if not killed and address in nodes(pool):
                machines.kill(address)  # while keys move there
                killed = True
            pool.flush(timeout=0.01)

    _check_none_lost_unseen(log, dead, dict.fromkeys(keys, sent))
