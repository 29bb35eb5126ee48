"""`stuck_after` of executors and brokers: which task, or message, takes long."""

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

import pytest

import threadpool_mb as mb
from tests.helpers import DEADLINE, until
from tests.insides import NEVER_BY_ITSELF, look_twice, watch_of
from threadpool_mb import Broker, BrokerConfig, Dispatch, KeepResource, KeyedExecutor

SOON: Final = 0.02


class Told(mb.Observer):
    """Notes who was stuck, and what was begun."""

    def __init__(self) -> None:
        self.stuck_workers = list[mb.StuckWorker[Any]]()
        self.begun_keys = list[object]()

    def stuck(self, worker: mb.StuckWorker[Any]) -> None:
        """Note it."""
        self.stuck_workers.append(worker)

    def begun(self, key: object, message: object, sent: object) -> None:
        """Note it."""
        self.begun_keys.append(key)


@pytest.mark.parametrize("observes", [True, False], ids=["told", "logged"])
def test_a_task_that_takes_long_is_told_of_once(
    *, observes: bool, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told() if observes else None
    gate, inside = threading.Event(), list[bool]()

    def hold() -> None:
        inside.append(True)
        assert gate.wait(DEADLINE)

    with KeyedExecutor(
        2, stuck_after=NEVER_BY_ITSELF, observe=told, thread_name_prefix="io"
    ) as executor:
        held = executor.submit_keyed("a", hold)
        until(lambda: inside)
        for _ in range(3):
            look_twice(watch_of(executor))
        assert (executor.stats().oldest or 0) >= NEVER_BY_ITSELF
        (stuck,) = executor.stats().stuck
        gate.set()
        held.result(DEADLINE)
        until(lambda: not executor.stats().stuck)
        assert executor.submit(int).result(DEADLINE) == 0
    lines = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert (stuck.key, stuck.incarnation) == ("a", 0)
    assert stuck.thread.startswith("io_")
    assert " in hold" in stuck.stack.splitlines()[0]
    assert len(lines) == 1
    assert lines[0].startswith("io: the task of key 'a' has been busy on one message for ")
    if told is not None:
        assert [each.key for each in told.stuck_workers] == ["a"]
        assert told.begun_keys == ["a", mb.MISSING]
    assert [each.name for each in threading.enumerate() if "watch" in each.name] == []


@pytest.mark.parametrize("max_threads", [None, 2])
def test_a_message_of_a_broker_that_takes_long_is_told_of(max_threads: int | None) -> None:
    gate, told = threading.Event(), Told()

    def handle(key: int, resource: None, message: int) -> KeepResource:
        del resource, message
        if key == 3:
            assert gate.wait(DEADLINE)
        return KeepResource()

    config: BrokerConfig[int, int, int, None] = BrokerConfig(
        demultiplex=lambda message: Dispatch(message, message),
        create=lambda _key, _message: None,
        handle=handle,
        clean=lambda _key, _resource: None,
    )
    with Broker(
        config, max_threads=max_threads, start="on_demand", stuck_after=SOON, observe=[told]
    ) as broker:
        for number in range(6):
            broker.input.deliver(number)
        until(lambda: [each.key for each in broker.stats().stuck] == [3])
        until(lambda: 3 in [each.key for each in told.stuck_workers])
        gate.set()
    assert broker.stats().stuck == ()
    assert [each.key for each in told.stuck_workers].count(3) == 1


@pytest.mark.parametrize("value", [0, -1, "5", float("nan")])
@pytest.mark.parametrize(
    "make", [lambda **given: KeyedExecutor(1, **given), lambda **given: Broker(CONFIG, **given)]
)
def test_what_is_no_time_is_refused(value: object, make: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="stuck_after must be seconds, more than 0, not "):
        make(stuck_after=value)
    assert [each.name for each in threading.enumerate() if "watch" in each.name] == []


CONFIG: Final[BrokerConfig[int, int, int, None]] = BrokerConfig(
    demultiplex=lambda message: Dispatch(message, message),
    create=lambda _key, _message: None,
    handle=lambda _key, _resource, _message: KeepResource(),
    clean=lambda _key, _resource: None,
)


def test_an_executor_that_is_dropped_leaves_no_thread() -> None:
    executor = KeyedExecutor(1, stuck_after=60)
    assert executor.submit(int).result(DEADLINE) == 0
    del executor
    until(lambda: not [each for each in threading.enumerate() if "watch" in each.name])
