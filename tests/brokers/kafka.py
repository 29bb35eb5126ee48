"""A cluster that librdkafka brings for tests, and clients that can be looked at.

What it does not do as Kafka does, in librdkafka 2.16.0:

- A topic is made when it is first named, and has four partitions; `create_topics` times out.
- A partition keeps 5 MB, or 100,000 batches; what is older is gone without a word.
- With the classic group protocol the first member waits three seconds for others, and the first one
  after all have left waits for the session timeout but a second: 44 s. With
  `group.protocol=consumer` there is no such wait; a rebalance takes two heartbeats of 3 s.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, override

from confluent_kafka import Consumer, Message, Producer, TopicPartition

PARTITIONS: Final = 4


class Client(Consumer):
    """A client that counts what it is asked for."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.given = 0
        """How many records it has given."""
        self.most_at_once = 0
        self.pauses = 0
        self.resumes = 0
        self.commits: Final[list[dict[tuple[str, int], int]]] = []
        """The offsets of each commit, by topic and partition."""

    @override
    def poll(self, timeout: float = -1) -> Message | None:
        message = super().poll(timeout)
        self._count([message] if message else [])
        return message

    @override
    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message]:
        messages = super().consume(num_messages, timeout)
        self._count(messages)
        return messages

    def _count(self, messages: Sequence[Message]) -> None:
        self.given += len(messages)
        self.most_at_once = max(self.most_at_once, len(messages))

    @override
    def pause(self, partitions: list[TopicPartition]) -> None:
        super().pause(partitions)
        self.pauses += 1

    @override
    def resume(self, partitions: list[TopicPartition]) -> None:
        super().resume(partitions)
        self.resumes += 1

    @override
    def commit(self, *args: Any, **kwargs: Any) -> Any:
        done = super().commit(*args, **kwargs)
        self.commits.append({(it.topic, it.partition): it.offset for it in kwargs["offsets"]})
        return done


class Cluster:
    """One broker, for as long as the tests run."""

    def __init__(self) -> None:
        self._producer: Final = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        brokers = self._producer.list_topics(timeout=10).brokers.values()
        self.servers: Final = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)

    def close(self) -> None:
        """End the broker."""
        self._producer.close()

    def produce(self, topic: str, records: Iterable[tuple[str, str]]) -> None:
        """Append records: key and value."""
        for key, value in records:
            self._producer.produce(topic, value, key)
            self._producer.poll(0)
        self._producer.flush()

    def client(self, group: str, **config: object) -> Client:
        """Return a client for a `KeyedConsumer`."""
        return Client(self.config(group) | config)

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return the committed offsets by partition; 0 where there is none."""
        client = Consumer(self.config(group))
        asked = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        offsets = client.committed(asked, timeout=10)
        client.close()
        return {it.partition: max(it.offset, 0) for it in offsets}

    def ends(self, topic: str) -> dict[int, int]:
        """Return the offsets behind the last records."""
        client = Consumer(self.config("nobody"))
        ends = {
            number: client.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
            for number in range(PARTITIONS)
        }
        client.close()
        return {number: end for number, (_, end) in ends.items()}

    def config(self, group: str) -> dict[str, Any]:
        """Return the settings of a client."""
        return {
            "bootstrap.servers": self.servers,
            "group.id": group,
            "group.protocol": "consumer",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "log_level": 0,
        }
