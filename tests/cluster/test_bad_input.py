"""What a pool on a cluster refuses, and where."""

import asyncio
import dataclasses
import importlib
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Scheduler

import threadpool_mb as mb
from tests.cluster.machines import Machines
from tests.cluster.workers import GetAll, OneSided, collecting
from tests.helpers import until
from threadpool_mb.cluster import ClusterPool, VersionMismatch, link
from threadpool_mb.cluster.wire import Versions, versions_here


@dataclasses.dataclass(frozen=True)
class WithLock:
    """Compares by its name alone."""

    name: str
    lock: object = dataclasses.field(default_factory=threading.Lock, compare=False)


def test_a_message_that_cannot_be_pickled_is_named_at_the_sender(client: Client) -> None:
    with ClusterPool(collecting, client) as pool:
        with pytest.raises(TypeError, match=r"the message .*lock.* for key 'a' cannot be pickled"):
            pool.dispatch("a", threading.Lock())

        assert mb.call(pool.ref("a"), GetAll(), timeout=15) == []


@pytest.mark.parametrize("key", [threading.Lock(), ("a", threading.Lock()), WithLock("a")])
def test_a_key_that_cannot_be_pickled_is_named_at_the_sender(client: Client, key: object) -> None:
    with (
        ClusterPool(collecting, client) as pool,
        pytest.raises(TypeError, match=r"the key .*ock.* cannot be pickled"),
    ):
        pool.dispatch(key, 1)


def test_a_key_that_a_node_cannot_unpickle_stops_no_other(client: Client, dead: list[Any]) -> None:
    # Longer than the two take to be dispatched: they travel together.
    with ClusterPool(collecting, client, on_dead_letter=dead.append, batch_time=0.5) as pool:
        for number in range(100):
            pool.dispatch(OneSided("key"), number)
            pool.dispatch("a", number)

        assert pool.flush(timeout=15)
        assert mb.call(pool.ref("a"), GetAll(), timeout=15) == list(range(100))
        with pytest.raises(mb.WorkerGone, match="unreadable"):
            mb.call(pool.ref(OneSided("key")), GetAll(), timeout=15)
        assert not pool.remove(OneSided("key"), timeout=15)
    messages = [each.message for each in dead if each.key == OneSided("key")]
    assert messages[:-1] == list(range(100))
    assert {each.reason for each in dead} == {mb.DeadLetterReason.UNREADABLE}


def test_a_key_that_cannot_be_pickled_any_more_stops_no_other(
    client: Client, dead: list[Any]
) -> None:
    with ClusterPool(collecting, client, on_dead_letter=dead.append, batch_time=0.5) as pool:
        pool.dispatch(WithLock("key", None), 1)
        pool.flush(timeout=15)
        # It equals one that could be pickled, and is not looked at again.
        pool.dispatch(WithLock("key"), 2)
        pool.dispatch("a", 3)

        assert pool.flush(timeout=15)
        assert mb.call(pool.ref("a"), GetAll(), timeout=15) == [3]
        assert mb.call(pool.ref(WithLock("key", None)), GetAll(), timeout=15) == [1]
    assert [(each.message, each.reason) for each in dead] == [(2, mb.DeadLetterReason.UNREADABLE)]


def test_a_key_that_cannot_be_hashed_is_refused(client: Client) -> None:
    key: Any = []
    with ClusterPool(collecting, client) as pool:
        for use in (
            lambda: pool.dispatch(key, 1),
            lambda: pool.ref(key),
            lambda: pool.remove(key),
            lambda: pool.flush(key),
        ):
            with pytest.raises(TypeError, match=r"a key must be hashable, not \[\]"):
                use()


def test_a_command_that_cannot_be_pickled_is_named_at_the_sender(client: Client) -> None:
    @dataclasses.dataclass
    class Locked(mb.Command[None]):
        lock: object

    with (
        ClusterPool(collecting, client) as pool,
        pytest.raises(TypeError, match=r"the command .*Locked.* for key 'a' cannot be pickled"),
    ):
        mb.call(pool.ref("a"), Locked(threading.Lock()))


def test_a_worker_that_cannot_be_pickled_is_named(client: Client) -> None:
    lock = threading.Lock()

    def worker(key: str) -> Generator[None, Any]:
        with lock:
            yield

    with pytest.raises(TypeError, match=r"the worker .*worker.* cannot be pickled"):
        ClusterPool(worker, client)


def test_functions_and_classes_of_a_script_can_be_sent(client: Client) -> None:
    # As of a script or a notebook: no module has them on the other side.
    class Here:
        number = 1

    def worker(key: str) -> Generator[None, Any]:
        got: list[Any] = []
        while True:
            match (yield):
                case mb.Call(GetAll(), box):
                    box.reply([each.number for each in got])
                case message:
                    got.append(message)

    with ClusterPool(worker, client) as pool:
        pool.dispatch("a", Here())

        assert mb.call(pool.ref("a"), GetAll(), timeout=15) == [1]


@pytest.mark.parametrize("what", ["python", "library"])
def test_other_versions_on_the_other_side_are_refused_with_both_named(
    client: Client, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    mine = versions_here()
    other = Versions(**{**mine._asdict(), what: "0.0.other"})
    monkeypatch.setattr("threadpool_mb.cluster.membership.versions_here", lambda: other)

    with pytest.raises(VersionMismatch) as caught:
        ClusterPool(collecting, client)

    assert str(mine) in str(caught.value)
    assert str(other) in str(caught.value)
    assert "tcp://" in str(caught.value)


def test_a_closed_client_is_refused(machines: Machines) -> None:
    with Client(machines.address, set_as_default=False) as client:
        pass

    with pytest.raises(RuntimeError, match="client is closed"):
        ClusterPool(collecting, client)


def test_a_client_of_asyncio_is_refused(machines: Machines) -> None:
    async def refused() -> None:
        async with Client(machines.address, asynchronous=True, set_as_default=False) as client:
            with pytest.raises(TypeError, match="client must not be asynchronous"):
                ClusterPool(collecting, client)

    asyncio.run(refused())


def test_a_batch_that_cannot_be_written_is_dead_letters_and_the_pool_goes_on(
    client: Client, dead: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = link._written

    def write(entries: list[Any]) -> bytes:
        if [entry.message for entry in entries] == ["large"]:
            raise MemoryError
        return written(entries)

    monkeypatch.setattr(link, "_written", write)
    with ClusterPool(collecting, client, on_dead_letter=dead.append) as pool:
        pool.dispatch("a", "large")
        assert pool.flush(timeout=15)
        pool.dispatch("a", "small")

        assert mb.call(pool.ref("a"), GetAll(), timeout=15) == ["small"]

    assert [(each.message, each.reason) for each in dead] == [
        ("large", mb.DeadLetterReason.UNREADABLE)
    ]


def test_what_is_no_client_is_refused() -> None:
    with pytest.raises(TypeError, match=r"client must be a distributed\.Client, not 'tcp"):
        ClusterPool(collecting, "tcp://127.0.0.1:8786")


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"start": "explicit"}, ValueError, "start must be 'on_demand'"),
        ({"mailbox": mb.Blocking(5)}, TypeError, r"not Blocking\(limit=5\)"),
        ({"mailbox": mb.Waiting(5, deliver_timeout=1)}, TypeError, r"not Waiting\("),
        ({"batch": 0}, ValueError, "batch must be an int of at least 1, not 0"),
        ({"credits": True}, ValueError, "credits must be an int of at least 1, not True"),
        ({"batch_time": -1}, ValueError, "batch_time must be seconds"),
        ({"redeliver": 1}, TypeError, "redeliver must be True or False, not 1"),
        ({"max_keys": 0}, ValueError, "max_keys"),
        ({"idle_timeout": 0}, ValueError, "idle_timeout"),
        ({"restart": 3}, TypeError, "restart must be a Restart"),
        ({"on_dead_letter": 3}, TypeError, "on_dead_letter must be callable"),
        ({"on_worker_exit": 3}, TypeError, "on_worker_exit must be callable"),
        ({"observe": 3}, TypeError, "observe must be an Observer"),
        ({"max_threads": 0}, ValueError, "max_threads"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_value(
    client: Client, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        ClusterPool(collecting, client, **options)


def test_a_worker_of_a_module_that_nodes_cannot_import_is_refused_and_leaves_no_node(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_at_the_client.py").write_text("def worker(key):\n    yield\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    worker = importlib.import_module("only_at_the_client").worker

    with pytest.raises(ModuleNotFoundError, match="only_at_the_client"):
        ClusterPool(worker, client, name="without")

    # The client's loop tells the scheduler of it.
    until(lambda: not [each for each in client.run_on_scheduler(_tasks) if "-without-" in each])
    with ClusterPool(collecting, client) as pool:
        pool.dispatch("a", 1)
        assert mb.call(pool.ref("a"), GetAll(), timeout=15) == [1]


def _tasks(dask_scheduler: Scheduler) -> list[str]:
    return [str(each) for each in dask_scheduler.tasks]


def test_what_is_no_worker_is_refused_before_anything_is_sent(client: Client) -> None:
    worker: Any = lambda key: None  # noqa: E731 - no generator function, and takes no mailbox

    with pytest.raises(TypeError, match="worker"):
        ClusterPool(worker, client)


def test_a_message_whose_class_cannot_be_unpickled_there_is_a_dead_letter(
    client: Client, dead: list[Any]
) -> None:
    message = OnlyHere()
    with ClusterPool(collecting, client, on_dead_letter=dead.append) as pool:
        pool.dispatch("a", message)
        pool.dispatch("a", 1)
        got = mb.call(pool.ref("a"), GetAll(), timeout=15)

    assert got == [1]
    assert [(each.message, each.reason) for each in dead] == [
        (message, mb.DeadLetterReason.UNREADABLE)
    ]


class OnlyHere:
    """Pickled here, and not unpickled elsewhere."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (len, (1,))
