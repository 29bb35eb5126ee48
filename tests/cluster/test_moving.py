"""Keys that move, since a Dask worker joins or is vacated."""

import collections
import functools
import threading
from pathlib import Path
from typing import Any

from distributed import Client, Event

import threadpool_mb as mb
from tests.cluster.conftest import nodes
from tests.cluster.machines import Machines
from tests.cluster.workers import Where, collecting, logging, stuck, wait_for_event
from tests.helpers import in_thread, until
from threadpool_mb.cluster import ClusterPool
from threadpool_mb.cluster.placing import digest_of, owner_of


def _lines(log: Path) -> dict[str, list[str]]:
    lines = collections.defaultdict[str, list[str]](list)
    for line in log.read_text().splitlines():
        key, what = line.split()
        lines[key].append(what)
    return lines


def test_keys_move_to_a_dask_worker_that_joins_and_order_is_kept(
    client: Client, machines: Machines, log: Path, dead: list[Any]
) -> None:
    worker = functools.partial(logging, log)
    keys = [f"key-{number}" for number in range(30)]
    joined = threading.Event()
    sent = 0
    with ClusterPool(worker, client, on_dead_letter=dead.append) as pool:
        before = nodes(pool)

        def send() -> int:
            number = 0
            while not joined.is_set() or number < 50:
                for key in keys:
                    pool.dispatch(key, number)
                number += 1
                if not number % 5:
                    pool.flush()  # not more than the test needs
            return number

        with in_thread(send) as sending:
            address = machines.add()
            until(lambda: address in nodes(pool) and pool._control.router.table.settled)
            joined.set()
            sent = sending.result()

    assert dead == []
    lines = _lines(log)
    moved = [key for key in keys if owner_of(digest_of(key), [*before, address]) == address]
    assert moved
    for key in keys:
        numbers = [what for what in lines[key] if what.isdigit()]
        assert numbers == [str(number) for number in range(sent)]
        lives = [what for what in lines[key] if not what.isdigit()]
        # Each life ends before the next one begins; what has not moved has one life.
        assert lives == ["begins", "ends"] * (len(lives) // 2)
        assert len(lives) <= (4 if key in moved else 2)


def test_a_vacated_dask_worker_gives_its_keys_to_others(
    client: Client, machines: Machines, dead: list[Any]
) -> None:
    with ClusterPool(collecting, client, on_dead_letter=dead.append) as pool:
        for key in range(30):
            pool.dispatch(key, 1)
        address, other = nodes(pool)

        assert pool.vacate(address, timeout=15)

        where = {mb.call(pool.ref(key), Where(), timeout=15) for key in range(30)}
        assert nodes(pool) == [other]
        assert where == {machines.workers()[other].process.pid}
        retired = client.retire_workers([address])
        assert list(retired) == [address]
    assert dead == []
    machines.kill(address)


def test_a_dask_worker_is_vacated_once_the_node_has_gone_that_is_starting_there(
    client: Client, machines: Machines
) -> None:
    go = Event("go-vacated", client=client)
    with ClusterPool(collecting, client) as pool:
        before = nodes(pool)
        address = machines.add()
        # Both threads of the Dask worker are busy.
        options = {"workers": [address], "pure": False}
        busy = [client.submit(wait_for_event, "go-vacated", **options) for _ in range(2)]
        until(lambda: pool._control.membership.starting)

        assert not pool.vacate(address, timeout=0)
        go.set()
        assert pool.vacate(address, timeout=30)

        client.gather(busy)
        assert nodes(pool) == before
        assert list(client.retire_workers([address])) == [address]
    machines.kill(address)


def test_only_a_key_whose_worker_is_busy_waits_for_its_move(client: Client, log: Path) -> None:
    worker = functools.partial(stuck, log)
    log.with_name("go-free").touch()
    with ClusterPool(worker, client) as pool:
        address = nodes(pool)[0]
        mine = [
            key for key in map(str, range(100)) if owner_of(digest_of(key), nodes(pool)) == address
        ]
        pool.dispatch(mine[0], "held")
        until(lambda: f"{mine[0]} held" in log.read_text())
        assert not pool.vacate(address, timeout=0)
        pool.dispatch(mine[0], "free")
        pool.dispatch(mine[1], "free")

        until(lambda: f"{mine[1]} free" in log.read_text())
        assert f"{mine[0]} free" not in log.read_text()
        log.with_name("go-held").touch()
        assert pool.flush(timeout=15)

    assert f"{mine[0]} free" in log.read_text()
