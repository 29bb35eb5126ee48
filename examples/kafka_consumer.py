"""A Kafka consumer: parallel by key, in order per key, committed in order by partition.

**Problem.** The records of a partition are to be handled by many threads, those of a key in order,
also when one is tried again. None may be lost at the end, in a crash, or when partitions move.

**Solution.** One thread polls confluent-kafka's client, commits, and keeps the books, which need
no lock. A pool handles the records; a key starts at its first one.

- **Commits.** The position is the offset behind the last record up to which all are done. After a
  crash what was done above the last commit is repeated, and nothing else. Offsets have gaps.
- **Retries.** The pause before the next attempt holds no thread (`mb.sleep`); later records of the
  key wait. One that fails each time goes to `give_up`, else it would hold up its partition.
- **Back-pressure.** With `high` records in flight the thread does not poll until half are done; the
  client stops fetching. After `PATIENCE` the partitions are paused, and polled to stay alive. That
  comes last: a resumed partition is silent for a second (findings/kafka_resume_waits.sh).
- **Rebalance.** A partition is given back when all of it, after `GRACE` what is in hand, is done.
"""

import itertools
import logging
import math
import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

import threadpool_mb as mb

PATIENCE: Final = 1.0  # seconds; also from commit to commit
GRACE: Final = 20.0  # far below the client's max.poll.interval.ms

_log: Final = logging.getLogger("kafka_consumer")


class _Partition:
    """A partition while it is assigned: what is taken, and up to where all is done."""

    def __init__(self) -> None:
        self.taken: Final = deque[int]()  # the offsets from the position on, in their order
        self.position: int | None = None  # if it is to be committed
        self.handed_out = 0
        self.given_back = False  # then the workers begin no more of its records
        self._done: Final = set[int]()

    def done(self, offset: int) -> int:
        """Note that a record is done; return how many records the position has passed."""
        self._done.add(offset)
        before = len(self.taken)
        while self.taken and self.taken[0] in self._done:
            self._done.remove(self.taken[0])
            self.position = self.taken.popleft() + 1
        return before - len(self.taken)


class KeyedConsumer:
    """Handles the records of some topics until it is stopped."""

    def __init__(
        self,
        client: Consumer,
        topics: list[str],
        handle: Callable[[Message], object],
        give_up: Callable[[Message, Exception], object],
        *,
        threads: int = 16,
        high: int = 4000,
        pauses: Sequence[float] = (0.01, 0.1, 1.0),
    ) -> None:
        """Make one that has not begun.

        Args:
            client: one of a group, with `enable.auto.commit` off. `run` closes it.
            topics: their names.
            handle: called by a thread of the pool, again if it raises an `Exception`. Anything else
                ends the consumer, as if its process had died; so does what `give_up` raises.
            give_up: called with a record that has failed each time.
            threads: the most that handle records.
            high: the most records in flight.
            pauses: seconds before each attempt but the first.
        """
        self.in_flight = 0  # records that are taken, and not behind a position
        self._client: Final = client
        self._topics: Final = topics
        self._handle: Final = handle
        self._give_up: Final = give_up
        self._high: Final = high
        self._pauses: Final = pauses
        self._partitions: Final = defaultdict[tuple[str, int], _Partition](_Partition)
        # What comes back from the workers; with its offset if it is done.
        self._back: Final = queue.SimpleQueue[tuple[_Partition, int | None]]()
        self._stopped: Final = threading.Event()
        self._crash: BaseException | None = None
        self._next_commit = 0.0
        self._pool: Final = mb.Pool(
            self._handle_in_order,
            max_threads=threads,
            start="on_demand",
            idle_timeout=60.0,
            on_worker_exit=self._ended,
            on_dead_letter=lambda _: None,  # after a crash: not committed, so not lost
        )

    def stop(self) -> None:
        """Let `run` finish what is in flight, commit, and return. From any thread."""
        self._stopped.set()

    def run(self) -> None:
        """Consume; raise what ended the consumer, if that was not `stop`."""
        # Partitions that are lost are revoked as well; their commit is refused.
        self._client.subscribe(self._topics, on_revoke=self._revoked)
        with self._pool, self._client:  # whose end is a rebalance that takes everything
            while not self._stopped.is_set():
                if self.in_flight < self._high:
                    self._take()
                else:
                    self._wait_for_room()
                self._settle(lambda: True)
                if time.monotonic() > self._next_commit:
                    self._commit(self._partitions)
        if self._crash is not None:
            raise self._crash

    def _take(self) -> None:
        if (first := self._client.poll(0.05)) is not None:
            self._hand_out(first)
            # With a timeout, `consume` waits for all of them even if some are there.
            for message in self._client.consume(min(500, self._high - self.in_flight), 0):
                self._hand_out(message)

    def _hand_out(self, message: Message) -> None:
        """Give a record to the worker of its key: the one place at which more come to wait."""
        if (error := message.error()) is not None:
            if error.fatal():
                raise KafkaException(error)
            _log.warning("%s", error)  # the client goes on by itself
            return
        partition = self._partitions[message.topic() or "", message.partition() or 0]
        partition.taken.append(message.offset() or 0)
        partition.handed_out += 1
        self.in_flight += 1
        self._pool.dispatch(message.key(), (partition, message))

    def _wait_for_room(self) -> None:
        if self._settle(self._has_room, PATIENCE):
            return
        while not self._has_room():
            self._client.pause(self._client.assignment())  # also what was assigned since
            if (message := self._client.poll(0)) is not None:
                self._hand_out(message)
            self._commit(self._partitions)
            self._settle(self._has_room, 0.1)
        self._client.resume(self._client.assignment())

    def _has_room(self) -> bool:
        return self.in_flight <= self._high // 2 or self._stopped.is_set()

    def _handle_in_order(self, _key: bytes | None) -> Generator[Any, tuple[_Partition, Message]]:
        while True:
            partition, message = yield
            offset = None
            for pause in [*self._pauses, None]:
                if partition.given_back or self._crash is not None:
                    break
                try:
                    self._handle(message)
                except Exception as error:  # noqa: BLE001 - the record is to blame, whatever it is
                    if pause is not None:
                        yield from mb.sleep(pause)
                        continue
                    self._give_up(message, error)
                offset = message.offset()
                break
            self._back.put((partition, offset))

    def _ended(self, worker: mb.WorkerExit[bytes | None]) -> None:
        if worker.error is not None:
            self._crash = worker.error
            self._stopped.set()

    def _settle(self, enough: Callable[[], bool], timeout: float = 0.0) -> bool:
        """Note what came back from the workers, until it is enough, and all that is there."""
        end = time.monotonic() + timeout
        while self._crash is None:
            try:
                partition, offset = self._back.get(timeout=0.0 if enough() else 0.01)
            except queue.Empty:
                if enough() or time.monotonic() > end:
                    break
            else:
                partition.handed_out -= 1
                if offset is not None:
                    self.in_flight -= partition.done(offset)
        return enough()

    def _commit(self, partitions: Mapping[tuple[str, int], _Partition]) -> None:
        self._next_commit = time.monotonic() + PATIENCE
        moved = {at: part.position for at, part in partitions.items() if part.position is not None}
        try:
            if moved:
                offsets = [TopicPartition(*at, position) for at, position in moved.items()]
                self._client.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:  # the next commit covers it
            _log.warning("not committed: %s", error)
        else:
            for at in moved:
                partitions[at].position = None

    def _revoked(self, _client: Consumer, revoked: list[TopicPartition]) -> None:
        """Finish, commit and forget partitions; called in `poll`, `consume` and `close`."""
        places = {(part.topic, part.partition) for part in revoked}
        partitions = {place: self._partitions.pop(place, _Partition()) for place in places}
        self._settle(lambda: not any(part.taken for part in partitions.values()), GRACE)
        for partition in partitions.values():
            partition.given_back = True
        self._settle(lambda: not any(part.handed_out for part in partitions.values()), math.inf)
        if self._crash is None:
            self._commit(partitions)
        self.in_flight -= sum(len(part.taken) for part in partitions.values())


def main() -> None:
    """Consume a topic, with a stop on the way; print what became of its records."""
    producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})  # has a broker inside
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    client: dict[str, Any] = {"bootstrap.servers": f"{broker.host}:{broker.port}", "group.id": "g"}
    client |= {"group.protocol": "consumer", "auto.offset.reset": "earliest"}
    client |= {"enable.auto.commit": False}
    for number in range(1000):
        producer.produce("orders", str(number), f"account {number % 5}")
    producer.flush()
    booked, calls = defaultdict[str, list[str]](list), itertools.count(1)

    def book(message: Message) -> None:
        booked[(message.key() or b"").decode()].append((message.value() or b"").decode())
        if next(calls) in {400, 1000}:
            consumer.stop()

    for _ in range(2):
        consumer = KeyedConsumer(Consumer(client), ["orders"], book, print, high=100)
        consumer.run()
    for key, numbers in sorted(booked.items()):
        print(f"{key}: {len(numbers)} records, in order: {numbers == sorted(numbers, key=int)}")


if __name__ == "__main__":
    main()
