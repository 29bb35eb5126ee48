"""The consumer of Redis Streams: at least once, in order per key, acknowledged when it is done."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from examples import redis_stream
from examples.redis_stream import Entry, KeyedConsumer, redis_server, stream_of
from tests.brokers.accounts import Account, PowerCut
from tests.helpers import in_thread, until

KEYS = [f"key {number}" for number in range(20)]


@pytest.fixture(scope="session")
def path() -> Iterator[str]:
    """The socket of a server for all tests here."""
    with redis_server() as path:
        yield path


@pytest.fixture
def client(path: str) -> Iterator[redis.Redis]:
    with redis.Redis(unix_socket_path=path) as client:
        yield client


@pytest.fixture
def streams(name: str) -> list[str]:
    return [f"{name}:{number}" for number in range(4)]


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence what fails as it is to, and let leases be short."""
    caplog.set_level(logging.CRITICAL, "threadpool_mb")
    caplog.handler.setLevel(logging.NOTSET)
    monkeypatch.setattr(redis_stream, "LEASE", 1.0)


def fill(client: redis.Redis, streams: list[str], count: int, start: int = 0) -> None:
    """Add entries: the value is the place in what the key has."""
    for number in range(start, start + count):
        key = KEYS[number % len(KEYS)]
        fields: dict[Any, Any] = {"key": key, "value": number // len(KEYS)}
        client.xadd(stream_of(key, streams), fields)


def read(entry: Entry) -> tuple[str, int]:
    return entry[2][b"key"].decode(), int(entry[2][b"value"])


def pending(client: redis.Redis, streams: list[str]) -> int:
    """Return how many entries were handed to a consumer and not acknowledged."""
    there = [stream for stream in streams if client.xinfo_groups(stream)]
    counts: list[Any] = [client.xpending(stream, "group") for stream in there]
    return sum(count["pending"] for count in counts)


def give_nothing_up(entry: Entry, error: Exception) -> None:
    raise AssertionError(f"{read(entry)} was given up") from error


def consume(
    client: redis.Redis,
    streams: list[str],
    handle: Callable[[Entry], object],
    **options: Any,  # noqa: ANN401 - those of a consumer
) -> None:
    """Run a consumer until `handle` returns `True`, or raises what is no `Exception`."""

    def handle_or_stop(entry: Entry) -> None:
        if handle(entry):
            consumer.stop()

    options = {"give_up": give_nothing_up} | options
    consumer = KeyedConsumer(client, "group", streams, handle_or_stop, **options)
    consumer.run()


def test_all_entries_are_handled_in_order_per_key_and_acknowledged(
    client: redis.Redis, streams: list[str]
) -> None:
    fill(client, streams, 2000)
    account = Account()

    consume(client, streams, lambda entry: account.note(*read(entry)) == 2000)

    assert account.wrong == []
    assert account.places() == {key: list(range(100)) for key in KEYS}
    assert pending(client, streams) == 0


def test_a_consumer_that_is_stopped_leaves_nothing_undone(
    client: redis.Redis, streams: list[str]
) -> None:
    fill(client, streams, 2000)
    account = Account()

    for stop_at in (150, 600, 601, 1300, 2000):
        before = len(account.handled)
        consume(
            client,
            streams,
            lambda entry, at=stop_at: account.note(*read(entry)) >= at,
            high=100,
        )
        assert pending(client, streams) == 0
        assert stop_at <= len(account.handled) <= max(stop_at, before) + 100

    assert account.wrong == []
    assert account.places() == {key: list(range(100)) for key in KEYS}


def test_after_crashes_none_is_lost_and_only_what_was_not_acknowledged_is_handled_twice(
    client: redis.Redis, streams: list[str]
) -> None:
    fill(client, streams, 2000)
    runs: list[list[tuple[str, int]]] = []
    for crash_at in (150, 400, 700):
        account = Account()
        left = pending(client, streams)

        def handle(entry: Entry, account: Account = account, at: int = crash_at) -> None:
            if account.note(*read(entry)) == at:
                raise PowerCut

        with pytest.raises(PowerCut):
            consume(client, streams, handle, high=100)
        before = {done for run in runs for done in run}
        assert len(before & set(account.handled)) <= left <= 100
        assert account.wrong == []
        assert account.out_of_order() == {}
        runs.append(account.handled)
    before = {done for run in runs for done in run}
    last = Account()
    left = pending(client, streams)

    def handle_the_rest(entry: Entry) -> bool:
        last.note(*read(entry))
        return len(before | set(last.handled)) == 2000

    consume(client, streams, handle_the_rest, high=100)

    assert last.out_of_order() == {}
    assert len(before & set(last.handled)) <= left
    assert before | set(last.handled) == {(key, place) for key in KEYS for place in range(100)}
    assert pending(client, streams) == 0


PROGRAM = """
import itertools
import sys
import threading
import redis
from examples.redis_stream import KeyedConsumer

told = itertools.count()

def handle(entry):
    if next(told) >= 1000:
        threading.Event().wait()  # it is to be killed in the midst, however late that comes
    sys.stdout.write(f"{entry[2][b'key'].decode()},{int(entry[2][b'value'])}\\n")
    sys.stdout.flush()

with redis.Redis(unix_socket_path=sys.argv[1]) as client:
    KeyedConsumer(client, "group", sys.argv[2:], handle, print, high=100).run()
"""


def test_what_a_killed_process_was_given_is_taken_over_in_order(
    client: redis.Redis, path: str, streams: list[str]
) -> None:
    fill(client, streams, 2000)
    account = Account()
    killed: list[tuple[str, int]] = []

    with subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-c", PROGRAM, path, *streams],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            key, place = line.strip().split(",")
            killed.append((key, int(place)))
            if len(killed) == 500:
                process.send_signal(signal.SIGKILL)
    left = pending(client, streams)

    def handle(entry: Entry) -> bool:
        account.note(*read(entry))
        return len(set(killed) | set(account.handled)) == 2000

    consume(client, streams, handle)

    assert 500 <= len(killed) < 2000
    assert account.out_of_order() == {}
    assert len(set(killed) & set(account.handled)) <= left <= 100
    assert pending(client, streams) == 0


def test_an_entry_that_fails_twice_is_tried_again_before_the_next_one_of_its_key(
    client: redis.Redis, streams: list[str]
) -> None:
    fill(client, streams, 400)
    account, failures = Account(), list[int]()

    def handle(entry: Entry) -> bool:
        if read(entry) == (KEYS[0], 3) and len(failures) < 2:
            failures.append(len(account.handled))
            raise ValueError("not this time")
        return account.note(*read(entry)) == 400

    consume(client, streams, handle, pauses=[0.01, 0.01], threads=1)

    assert len(failures) == 2
    assert account.places() == {key: list(range(20)) for key in KEYS}


def test_an_entry_that_fails_each_time_is_given_up_and_acknowledged(
    client: redis.Redis, streams: list[str]
) -> None:
    fill(client, streams, 400)
    account, given_up = Account(), list[tuple[tuple[str, int], str]]()

    def handle(entry: Entry) -> bool:
        if read(entry) == (KEYS[0], 3):
            raise ValueError("never")
        return account.note(*read(entry)) == 399

    consume(
        client,
        streams,
        handle,
        give_up=lambda entry, error: given_up.append((read(entry), str(error))),
        pauses=[0.0],
    )

    assert given_up == [((KEYS[0], 3), "never")]
    assert account.out_of_order() == {}
    assert pending(client, streams) == 0


def test_no_more_is_in_flight_than_may_be(client: redis.Redis, streams: list[str]) -> None:
    fill(client, streams, 1000)
    account, go_on, most = Account(), threading.Event(), list[int]()

    def handle(entry: Entry) -> None:
        go_on.wait()
        most.append(consumer.in_flight)
        if account.note(*read(entry)) == 1000:
            consumer.stop()

    consumer = KeyedConsumer(client, "group", streams, handle, give_nothing_up, high=50)
    with in_thread(consumer.run):
        until(lambda: consumer.in_flight > 50 - len(streams))  # the rest cannot be shared out
        handed_out = pending(client, streams)
        go_on.set()

    assert handed_out <= 50
    assert max(most) <= 50
    assert account.places() == {key: list(range(50)) for key in KEYS}


def test_a_second_consumer_takes_over_the_streams_of_one_that_stops(
    path: str, client: redis.Redis, streams: list[str]
) -> None:
    fill(client, streams, 400)
    account = Account()
    with redis.Redis(unix_socket_path=path) as other:
        first, second = (
            KeyedConsumer(
                each, "group", streams, lambda entry: account.note(*read(entry)), give_nothing_up
            )
            for each in (client, other)
        )
        with in_thread(first.run):
            until(lambda: len(account.handled) == 400)
            with in_thread(second.run):
                fill(client, streams, 400, 400)
                first.stop()
                fill(client, streams, 400, 800)
                until(lambda: len(account.handled) == 1200)
                second.stop()

    assert account.wrong == []
    assert account.places() == {key: list(range(60)) for key in KEYS}
    assert pending(client, streams) == 0


def test_of_a_stream_whose_lease_is_lost_nothing_more_is_begun(
    client: redis.Redis, name: str
) -> None:
    for place in range(10):
        fields: dict[Any, Any] = {"key": "key", "value": place}
        client.xadd(name, fields)
    account, begun, go_on = Account(), threading.Event(), threading.Event()

    def handle(entry: Entry) -> None:
        begun.set()
        go_on.wait()
        account.note(*read(entry))

    consumer = KeyedConsumer(client, "group", [name], handle, give_nothing_up)
    with in_thread(consumer.run):
        assert begun.wait(15)
        client.set(f"{name}:lease", "another's")
        until(lambda: not consumer._held)
        go_on.set()
        until(lambda: not consumer.in_flight)
        consumer.stop()

    assert account.handled == [("key", 0)]
    assert pending(client, [name]) == 9


def test_what_was_trimmed_before_it_was_done_is_logged(
    client: redis.Redis, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    for place in range(10):
        fields: dict[Any, Any] = {"key": "key", "value": place}
        client.xadd(name, fields)
    client.xgroup_create(name, "group", id="0")
    client.xreadgroup("group", "dead", {name: ">"}, count=5)
    client.xtrim(name, maxlen=8, approximate=False)
    account = Account()

    consume(client, [name], lambda entry: account.note(*read(entry)) == 8)

    assert account.places() == {"key": list(range(2, 10))}
    assert caplog.text.count("was trimmed before it was done") == 2


def test_a_server_that_is_missing_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(FileNotFoundError, match="apt-get install redis-server"), redis_server():
        pass
