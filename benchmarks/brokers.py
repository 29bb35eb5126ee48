"""A consumer of Kafka that is stopped and crashes, and how fast it is: `benchmarks.brokers`.

100,000 records of 1,000 keys in eight partitions; one record in a hundred sleeps for 5 ms. The
consumer of `examples/kafka_consumer.py`, with 16 threads, is ended ten times in the middle, half of
the times as by a power cut, and started again: each record has to be handled, those of a key in
order, and what is handled twice has to stand above the last commit. Then the same records are
consumed from the start by it, by a thread for each partition, and by a `ThreadPoolExecutor` of 16
threads with a lock for each key, which keeps no order but looks as if it did.

The broker is the one that librdkafka brings for tests, in this process. It takes a share of the
cores, the same from each; a topic of its has four partitions, so that there are two of them.
"""

import argparse
import contextlib
import itertools
import logging
import queue
import random
import sys
import threading
import time
from abc import abstractmethod
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, final

from confluent_kafka import Consumer, Message, Producer, TopicPartition, libversion

from benchmarks import machine
from examples.kafka_consumer import KeyedConsumer

TOPICS: Final = ("left", "right")
PARTITIONS: Final = 4
"""Of each topic."""
THREADS: Final = 16
NAP: Final = 0.005
ENDS: Final = 10

type Place = tuple[str, int]
type Handle = Callable[[Message], object]


class PowerCut(BaseException):
    """The end of a process."""


@final
class Load:
    """The records, in a broker."""

    def __init__(self, count: int, keys: int, naps: float = 0.01) -> None:
        """Produce them; such a part of them asks for a nap."""
        self._producer: Final = Producer(
            {"test.mock.num.brokers": 1, "log_level": 0, "linger.ms": 5}
        )
        brokers = self._producer.list_topics(timeout=10).brokers.values()
        self.servers: Final = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        self.count: Final = count
        self.high: Final = min(4000, max(THREADS, count // 25))
        """The most records that are in flight."""
        self.places: Final[dict[bytes, list[int]]] = {}
        """For each key the places of its records."""
        chance = random.Random(1)  # noqa: S311 - no secret
        for number in range(count):
            key, place = number % keys, number // keys
            nap = "nap" if chance.random() < naps else ""
            topic = TOPICS[key % len(TOPICS)]
            self._producer.produce(topic, f"{place},{nap}", f"key {key}")
            self._producer.poll(0)
            self.places.setdefault(b"key %d" % key, []).append(place)
        self._producer.flush()

    def client(self, group: str) -> Consumer:
        """Return a client of a group."""
        return Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": group,
                "group.protocol": "consumer",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )

    def committed(self, group: str) -> dict[Place, int]:
        """Return the committed offsets; 0 where there is none."""
        client = self.client(group)
        asked = [TopicPartition(topic, each) for topic in TOPICS for each in range(PARTITIONS)]
        found = client.committed(asked, timeout=10)
        client.close()
        return {(each.topic, each.partition): max(each.offset, 0) for each in found}


@final
class Seen:
    """What one run has handled."""

    def __init__(self, load: Load) -> None:
        """Handle nothing yet."""
        self.places: Final[dict[bytes, list[int]]] = {key: [] for key in load.places}
        self.records: Final[deque[tuple[Place, int]]] = deque()
        """Where they stand, if somebody asks for it."""

    def handle(self, message: Message) -> None:
        """Note a record, and take the nap that it asks for."""
        place, _, nap = (message.value() or b"").partition(b",")
        if nap:
            time.sleep(NAP)
        self.places[message.key() or b""].append(int(place))

    def out_of_order(self) -> int:
        """Return the number of keys whose records were not handled in order, each once."""
        return sum(places != sorted(set(places)) for places in self.places.values())


def place_of(message: Message) -> Place:
    """Return the topic and the partition of a record."""
    return message.topic() or "", message.partition() or 0


def give_up(message: Message, error: Exception) -> None:
    """Let the run fail."""
    raise AssertionError(f"{message.value()!r} was given up") from error


def restarts(load: Load) -> list[str]:
    """End the consumer, and start it again; return what went wrong."""
    faults: list[str] = []
    done: set[tuple[Place, int]] = set()
    doubles: list[int] = []
    start = time.perf_counter()
    for number in range(ENDS + 1):
        committed, seen = load.committed("restarts"), Seen(load)
        missing = load.count - len(done)
        end_at = missing // (ENDS + 1 - number) if number < ENDS else None
        handle = Ending(seen, done, missing, end_at, PowerCut if number % 2 else None)
        consumer = KeyedConsumer(
            load.client("restarts"), [*TOPICS], handle, give_up, threads=THREADS, high=load.high
        )
        handle.stop = consumer.stop
        with contextlib.suppress(PowerCut):
            consumer.run()
        again = done.intersection(seen.records)
        below = [record for record in again if record[1] < committed[record[0]]]
        faults += [f"{len(below)} records were handled again below the commit"] * bool(below)
        faults += [f"{seen.out_of_order()} keys out of order"] * bool(seen.out_of_order())
        doubles.append(len(again))
        done.update(seen.records)
    took = time.perf_counter() - start
    if len(done) != load.count:
        faults.append(f"{load.count - len(done)} records were lost")
    if sum(load.committed("restarts").values()) != load.count:
        faults.append("not all is committed")
    print(
        f"ended {ENDS} times: {load.count:,} records, {load.count - len(done)} lost,"
        f" {sum(doubles):,} handled twice, {len(faults)} FAULTS, {took:.1f} s"
    )
    print(f"  handled twice by each run, the runs ending by stop and power cut in turn: {doubles}")
    return faults


@final
class Ending:
    """Handles records, and ends its consumer at one of them."""

    def __init__(
        self,
        seen: Seen,
        done: set[tuple[Place, int]],
        missing: int,
        end_at: int | None,
        how: type[BaseException] | None,
    ) -> None:
        """End it at the how-manieth, by an error or by `stop`; stop it when none is missing."""
        self.stop: Callable[[], None] = lambda: None
        self._seen: Final = seen
        self._done: Final = done
        self._calls: Final = itertools.count(1)
        self._new: Final = itertools.count(1)
        self._missing: Final = missing
        self._end_at: Final = end_at
        self._how: Final = how

    def __call__(self, message: Message) -> None:
        """Handle a record."""
        if next(self._calls) == self._end_at:
            if self._how is not None:
                raise self._how
            self.stop()
        self._seen.handle(message)
        record = place_of(message), message.offset() or 0
        self._seen.records.append(record)
        if record not in self._done and next(self._new) == self._missing:
            self.stop()


class Peer(Protocol):
    """Somebody else who handles the records that a thread polls."""

    done: int  # how many records are handled
    positions: dict[Place, int]  # what may be committed

    @abstractmethod
    def take(self, at: Place, message: Message) -> None:
        """Take a record."""

    @abstractmethod
    def look(self) -> None:
        """Bring `done` and `positions` up to date."""

    @abstractmethod
    def end(self) -> None:
        """End the threads; all is handled."""


@final
class ThreadPerPartition(Peer):
    """A thread, and a queue, for each partition."""

    def __init__(self, handle: Handle) -> None:
        """Start none yet."""
        self.done = 0
        self.positions: dict[Place, int] = {}
        self._handle: Final = handle
        self._queues: Final[dict[Place, queue.SimpleQueue[Message | None]]] = {}
        self._threads: Final[list[threading.Thread]] = []
        self._counts: Final[dict[Place, int]] = {}

    def take(self, at: Place, message: Message) -> None:
        """Put it into the queue of its partition."""
        if at not in self._queues:
            self._queues[at] = queue.SimpleQueue()
            self._counts[at] = 0
            self._threads.append(threading.Thread(target=self._run, args=(at,)))
            self._threads[-1].start()
        self._queues[at].put(message)

    def _run(self, at: Place) -> None:
        get = self._queues[at].get
        while (message := get()) is not None:
            self._handle(message)
            self.positions[at] = (message.offset() or 0) + 1
            self._counts[at] += 1

    def look(self) -> None:
        """Count."""
        self.done = sum(self._counts.values())

    def end(self) -> None:
        """End all threads."""
        for each in self._queues.values():
            each.put(None)
        for thread in self._threads:
            thread.join()


@final
class PoolWithLocks(Peer):
    """A `ThreadPoolExecutor`, and a lock for each key."""

    def __init__(self, handle: Handle) -> None:
        """Start none yet."""
        self.done = 0
        self.positions: dict[Place, int] = {}
        self._handle: Final = handle
        self._executor: Final = ThreadPoolExecutor(THREADS)
        self._locks: Final = defaultdict[bytes | None, threading.Lock](threading.Lock)
        self._back: Final = queue.SimpleQueue[tuple[Place, int]]()
        self._taken: Final = defaultdict[Place, deque[int]](deque)
        self._handled: Final = defaultdict[Place, set[int]](set)

    def take(self, at: Place, message: Message) -> None:
        """Submit it."""
        self._taken[at].append(message.offset() or 0)
        self._executor.submit(self._run, self._locks[message.key()], at, message)

    def _run(self, lock: threading.Lock, at: Place, message: Message) -> None:
        with lock:
            self._handle(message)
        self._back.put((at, message.offset() or 0))

    def look(self) -> None:
        """Count, and move the positions."""
        for _ in range(self._back.qsize()):
            at, offset = self._back.get()
            taken, handled = self._taken[at], self._handled[at]
            handled.add(offset)
            while taken and taken[0] in handled:
                handled.remove(taken[0])
                self.positions[at] = taken.popleft() + 1
            self.done += 1

    def end(self) -> None:
        """Shut the executor down."""
        self._executor.shutdown()


def consume_by(make: Callable[[Handle], Peer], load: Load, seen: Seen, group: str) -> None:
    """Consume all with a peer, polled and committed as the example does."""
    client, peer, taken, next_commit = load.client(group), make(seen.handle), 0, 0.0

    def commit() -> None:
        offsets = [TopicPartition(*at, offset) for at, offset in list(peer.positions.items())]
        if offsets:
            client.commit(offsets=offsets, asynchronous=False)

    client.subscribe([*TOPICS])
    while peer.done < load.count:
        room = load.high - (taken - peer.done)
        messages: list[Message] = []
        if room > 0 and (first := client.poll(0.01)) is not None:
            messages = [first, *client.consume(min(room, 500), 0)]
        for message in messages:
            peer.take(place_of(message), message)
        taken += len(messages)
        if not messages:
            time.sleep(0.001)
        peer.look()
        if time.monotonic() > next_commit:
            commit()
            next_commit = time.monotonic() + 1.0
    peer.end()
    commit()
    client.close()


def consume_ours(load: Load, seen: Seen, group: str) -> None:
    """Consume all with the example."""
    calls, last = itertools.count(1), load.count

    def handle(message: Message) -> None:
        seen.handle(message)
        if next(calls) == last:
            consumer.stop()

    client = load.client(group)
    consumer = KeyedConsumer(client, [*TOPICS], handle, give_up, threads=THREADS, high=load.high)
    consumer.run()


def speed(load: Load, rounds: int) -> list[str]:
    """Time all contenders; return what went wrong with ours."""
    contenders: dict[str, Callable[[Load, Seen, str], None]] = {
        f"threadpool_mb, {THREADS} threads": consume_ours,
        "a thread per partition": lambda *given: consume_by(ThreadPerPartition, *given),
        f"ThreadPoolExecutor({THREADS}), locks": lambda *given: consume_by(PoolWithLocks, *given),
    }
    faults: list[str] = []
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    wrong: dict[str, list[int]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            seen, group = Seen(load), f"{name} {number}"
            start = time.perf_counter()
            contenders[name](load, seen, group)
            rates[name].append(load.count / (time.perf_counter() - start))
            wrong[name].append(seen.out_of_order())
            lost = sum(set(seen.places[key]) != set(of) for key, of in load.places.items())
            uncommitted = load.count - sum(load.committed(group).values())
            if lost or uncommitted or (contenders[name] is consume_ours and seen.out_of_order()):
                faults.append(
                    f"{name}: {lost} keys with losses, {uncommitted} records not committed,"
                    f" {seen.out_of_order()} keys out of order"
                )
    middle = {name: sorted(rates[name])[rounds // 2] for name in names}
    for name, rate in middle.items():
        print(
            f"{name:32} {rate:9,.0f} records a second ({rate / middle[names[0]]:4.2f} of ours),"
            f" keys out of order: {wrong[name]}"
        )
    return faults


def main(words: Sequence[str] | None = None) -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.brokers", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="more or fewer records (1.0)")
    parser.add_argument("--rounds", type=int, default=3, help="of the speed (3)")
    parser.add_argument("--naps", type=float, default=0.01, help="the part that sleeps (0.01)")
    arguments = parser.parse_args(words)

    logging.getLogger("threadpool_mb").setLevel(logging.CRITICAL)  # it logs the power cuts
    facts = machine.facts("confluent-kafka") | {"librdkafka": libversion()[0]}
    print("\n".join(f"{name}: {value}" for name, value in facts.items()))
    count, keys = int(100_000 * arguments.scale), max(1, int(1000 * arguments.scale))
    load = Load(count, keys, arguments.naps)
    faults = restarts(load)
    faults += speed(load, arguments.rounds)
    for fault in faults:
        print(f"FAULT: {fault}")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
