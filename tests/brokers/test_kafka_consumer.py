"""The Kafka consumer: at least once, in order per key, committed in order, and never too much."""

import contextlib
import itertools
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Message, Producer

from examples import kafka_consumer
from examples.kafka_consumer import KeyedConsumer
from tests.brokers.accounts import Account, PowerCut
from tests.brokers.kafka import PARTITIONS, Client, Cluster
from tests.helpers import in_thread, until

KEYS = [f"key {number}" for number in range(20)]


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Silence what fails as it is to."""
    caplog.set_level(logging.CRITICAL, "threadpool_mb")


def records_of(count: int) -> list[tuple[str, str]]:
    """Return records: the value is the place in what the key has."""
    return [(KEYS[number % len(KEYS)], str(number // len(KEYS))) for number in range(count)]


def read(message: Message) -> tuple[str, int]:
    return (message.key() or b"").decode(), int(message.value() or b"")


def give_nothing_up(message: Message, error: Exception) -> None:
    raise AssertionError(f"{read(message)} was given up") from error


def consume(
    client: Client,
    topic: str,
    handle: Callable[[Message], object],
    **options: Any,  # noqa: ANN401 - those of a consumer
) -> None:
    """Run a consumer until `handle` returns `True`, or raises what is no `Exception`."""

    def handle_or_stop(message: Message) -> None:
        if handle(message):
            consumer.stop()

    consumer = KeyedConsumer(
        client, [topic], handle_or_stop, **{"give_up": give_nothing_up} | options
    )
    consumer.run()


def test_all_records_are_handled_in_order_per_key_and_committed(
    cluster: Cluster, name: str
) -> None:
    cluster.produce(name, records_of(2000))
    account = Account()

    consume(cluster.client(name), name, lambda message: account.note(*read(message)) == 2000)

    assert account.wrong == []
    assert account.places() == {key: list(range(100)) for key in KEYS}
    assert cluster.committed(name, name) == cluster.ends(name)


def test_a_consumer_that_is_stopped_leaves_nothing_undone_above_its_commits(
    cluster: Cluster, name: str
) -> None:
    cluster.produce(name, records_of(2000))
    account = Account()

    for stop_at in (150, 600, 601, 1300, 2000):
        before = len(account.handled)
        consume(
            cluster.client(name),
            name,
            lambda message, at=stop_at: account.note(*read(message)) >= at,
            high=100,
        )
        handled = len(account.handled)
        assert sum(cluster.committed(name, name).values()) == handled
        assert stop_at <= handled <= max(stop_at, before) + 100

    assert account.wrong == []
    assert account.places() == {key: list(range(100)) for key in KEYS}


def test_after_crashes_none_is_lost_and_only_what_was_not_committed_is_handled_twice(
    cluster: Cluster, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_consumer, "PATIENCE", 0.0)  # commits all the time
    cluster.produce(name, records_of(2000))
    done = set[tuple[int, int]]()
    handled = doubles = 0

    for crashes, crash_at in enumerate([150, 400, 700, None]):
        committed = cluster.committed(name, name)
        account, run = Account(), set[tuple[int, int]]()
        handle = crashing(account, run, set(done), crash_at)
        with pytest.raises(PowerCut) if crash_at else contextlib.nullcontext():
            consume(cluster.client(name), name, handle, high=100)

        again = run & done
        assert [at for at in again if at[1] < committed[at[0]]] == []
        assert len(again) <= 100 * crashes  # so many were in flight at each
        assert account.wrong == []
        assert account.out_of_order() == {}
        done |= run
        ends = cluster.committed(name, name)
        assert done >= {(number, offset) for number, end in ends.items() for offset in range(end)}
        doubles += len(again)
        handled += len(run)

    assert len(done) == 2000
    assert handled == 2000 + doubles
    assert cluster.committed(name, name) == cluster.ends(name)


def crashing(
    account: Account,
    run: set[tuple[int, int]],
    before: set[tuple[int, int]],
    crash_at: int | None,
) -> Callable[[Message], bool]:
    """Return a handler that crashes, or else is done when all 2000 records are."""

    def handle(message: Message) -> bool:
        if account.note(*read(message)) == crash_at:
            raise PowerCut
        run.add((message.partition() or 0, message.offset() or 0))
        return crash_at is None and len(before | run) == 2000

    return handle


PROGRAM = """
import itertools
import json
import sys
import threading
from confluent_kafka import Consumer
from examples.kafka_consumer import KeyedConsumer

told = itertools.count()

def handle(message):
    if next(told) >= 1000:
        threading.Event().wait()  # it is to be killed in the midst, however late that comes
    key, place = message.key().decode(), message.value().decode()
    sys.stdout.write(f"{message.partition()},{message.offset()},{key},{place}\\n")
    sys.stdout.flush()

client = Consumer(json.loads(sys.argv[1]))
KeyedConsumer(client, [sys.argv[2]], handle, print, high=100).run()
"""


@pytest.mark.timeout(60)  # a dead consumer's partitions are free after its session: 6 s
def test_what_a_killed_process_has_not_committed_is_handled_again_in_order(
    cluster: Cluster, name: str
) -> None:
    classic = {"group.protocol": "classic", "session.timeout.ms": 6000}
    cluster.produce(name, records_of(2000))
    killed, by_killed = set[tuple[int, int]](), Account()

    with subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-c", PROGRAM, json.dumps(cluster.config(name) | classic), name],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            partition, offset, key, place = line.strip().split(",")
            killed.add((int(partition), int(offset)))
            by_killed.note(key, int(place))
            if len(killed) == 500:
                process.send_signal(signal.SIGKILL)
    committed = cluster.committed(name, name)
    account, run = Account(), set[tuple[int, int]]()
    consume(cluster.client(name, **classic), name, crashing(account, run, killed, None))

    assert 500 <= len(killed) < 2000
    assert len(killed | run) == 2000
    assert [at for at in killed & run if at[1] < committed[at[0]]] == []
    assert by_killed.out_of_order() == {}
    assert account.out_of_order() == {}
    assert cluster.committed(name, name) == cluster.ends(name)


def test_offsets_have_gaps_where_transactions_end(cluster: Cluster, name: str) -> None:
    with Producer(
        {"bootstrap.servers": cluster.servers, "transactional.id": name, "log_level": 0}
    ) as producer:
        producer.init_transactions(10)
        for batch in range(5):
            producer.begin_transaction()
            for key in KEYS:
                producer.produce(name, str(batch), key)
            producer.commit_transaction(10)
    account = Account()

    consume(cluster.client(name), name, lambda message: account.note(*read(message)) == 100)

    assert account.places() == {key: list(range(5)) for key in KEYS}
    committed = cluster.committed(name, name)
    assert sum(cluster.ends(name).values()) == 100 + 5 * PARTITIONS
    assert sum(committed.values()) == 100 + 4 * PARTITIONS  # the last markers are behind


def test_a_record_that_fails_twice_is_tried_again_before_the_next_one_of_its_key(
    cluster: Cluster, name: str
) -> None:
    cluster.produce(name, records_of(400))
    account, tried = Account(), itertools.count()
    failures: list[int] = []

    def handle(message: Message) -> bool:
        key, place = read(message)
        if (key, place) == (KEYS[0], 3) and next(tried) < 2:
            failures.append(len(account.handled))
            raise ValueError("not this time")
        return account.note(key, place) == 400

    consume(cluster.client(name), name, handle, pauses=[0.01, 0.01], threads=1)

    assert len(failures) == 2
    assert account.wrong == []
    assert account.places() == {key: list(range(20)) for key in KEYS}


def test_a_pause_before_the_next_attempt_holds_up_no_other_key(cluster: Cluster, name: str) -> None:
    cluster.produce(name, records_of(400))
    account = Account()

    def handle(message: Message) -> bool:
        key, place = read(message)
        if key == KEYS[0] and len(account.handled) < 380:  # until all others are done
            raise ValueError("not this time")
        return account.note(key, place) == 400

    consume(cluster.client(name), name, handle, pauses=[0.01] * 2000, threads=1)

    assert account.handled[380:] == [(KEYS[0], place) for place in range(20)]


def test_a_record_that_fails_each_time_is_given_up_and_counts_as_done(
    cluster: Cluster, name: str
) -> None:
    cluster.produce(name, records_of(400))
    account, attempts = Account(), itertools.count(1)
    given_up: list[tuple[tuple[str, int], str]] = []

    def handle(message: Message) -> bool:
        key, place = read(message)
        if (key, place) == (KEYS[0], 3):
            raise ValueError(f"attempt {next(attempts)}")
        return account.note(key, place) == 399

    consume(
        cluster.client(name),
        name,
        handle,
        give_up=lambda message, error: given_up.append((read(message), str(error))),
        pauses=[0.0, 0.0],
    )

    assert given_up == [((KEYS[0], 3), "attempt 3")]
    assert account.out_of_order() == {}
    assert cluster.committed(name, name) == cluster.ends(name)


def test_a_record_that_can_be_neither_handled_nor_given_up_is_not_committed(
    cluster: Cluster, name: str
) -> None:
    cluster.produce(name, [("key", str(place)) for place in range(10)])
    (partition,) = [number for number, end in cluster.ends(name).items() if end]

    def handle(message: Message) -> None:
        if read(message) == ("key", 5):
            raise ValueError("never")

    with pytest.raises(AssertionError, match="given up"):
        consume(cluster.client(name), name, handle, pauses=[])

    assert cluster.committed(name, name)[partition] <= 5


def test_no_more_is_in_flight_than_may_be_and_partitions_are_paused_if_that_lasts(
    cluster: Cluster, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_consumer, "PATIENCE", 0.05)
    cluster.produce(name, records_of(1000))
    account, go_on, client = Account(), threading.Event(), cluster.client(name)
    most: list[int] = []

    def handle(message: Message) -> None:
        go_on.wait()
        most.append(consumer.in_flight)
        if account.note(*read(message)) == 1000:
            consumer.stop()

    consumer = KeyedConsumer(client, [name], handle, give_nothing_up, high=50)
    with in_thread(consumer.run):
        until(lambda: client.pauses >= 3)  # it is polled meanwhile
        given, resumes = client.given, client.resumes
        go_on.set()

    assert (given, resumes) == (50, 0)
    assert max(most) <= 50
    assert client.resumes >= 1
    assert client.most_at_once <= 50
    assert account.places() == {key: list(range(50)) for key in KEYS}


def test_what_was_not_begun_is_left_to_the_next_consumer_if_there_is_no_time(
    cluster: Cluster, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_consumer, "GRACE", 0.0)
    cluster.produce(name, [("slow", str(place)) for place in range(10)])
    account, begun, go_on = Account(), threading.Event(), threading.Event()

    def handle(message: Message) -> None:
        if read(message) == ("slow", 3):
            begun.set()
            go_on.wait()
        account.note(*read(message))

    first = KeyedConsumer(cluster.client(name), [name], handle, give_nothing_up)
    with in_thread(first.run) as running:
        assert begun.wait(15)
        partitions = list(first._partitions.values())
        first.stop()
        until(lambda: all(partition.given_back for partition in partitions))
        still_running = running.running
        go_on.set()

    assert still_running
    assert account.handled == [("slow", place) for place in range(4)]
    assert sum(cluster.committed(name, name).values()) == 4

    consume(cluster.client(name), name, lambda message: account.note(*read(message)) == 10)

    assert account.places() == {"slow": list(range(10))}


@pytest.mark.timeout(60)  # a rebalance takes two heartbeats of 3 s
def test_partitions_go_to_another_consumer_when_what_is_in_flight_is_done_and_in_order(
    cluster: Cluster, name: str
) -> None:
    cluster.produce(name, records_of(200))
    account, go_on = Account(), threading.Event()
    clients = [cluster.client(name), cluster.client(name)]
    by_consumer: list[set[int]] = [set(), set()]

    def start(number: int) -> KeyedConsumer:
        def handle(message: Message) -> None:
            go_on.wait()
            by_consumer[number].add(message.partition() or 0)
            account.note(*read(message))

        return KeyedConsumer(clients[number], [name], handle, give_nothing_up)

    first, second = start(0), start(1)
    with in_thread(first.run):
        until(lambda: first.in_flight == 200)
        with in_thread(second.run):
            until(lambda: len(first._partitions) < PARTITIONS)  # some are being given back
            early = clients[1].given
            go_on.set()
            until(lambda: len(account.handled) == 200)
            cluster.produce(name, records_of(400)[200:])
            until(lambda: len(account.handled) == 400)
            first.stop()
            second.stop()

    assert early == 0
    assert by_consumer[0] | by_consumer[1] == set(range(PARTITIONS))
    assert len(by_consumer[1]) == 2
    assert account.wrong == []
    assert account.places() == {key: list(range(20)) for key in KEYS}
    assert cluster.committed(name, name) == cluster.ends(name)
