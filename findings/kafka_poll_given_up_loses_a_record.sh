#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16.0) on CPython 3.14t: a time-out around AIOConsumer.poll() loses
# the next record.
#
# Expected: `asyncio.timeout` or `wait_for` around a coroutine ends it; cancelling `poll()` leaves the
# records where they are. So it is with asyncio.Queue.get(), and the class says of itself that it "can be
# driven from asyncio code".
#
# What happens: each method runs the blocking call in a thread (`async_call` in aio/_common.py), which
# cannot be cancelled. The given-up poll goes on waiting and takes the next record, which is dropped; the
# consumer's position is behind that record, so the next commit says that it was handled. Nothing is logged.
# `poll(timeout)` with its own timeout and without a cancellation loses nothing. The documentation of
# poll() and consume() does not mention cancellation. The broker is the one that librdkafka brings for
# tests; the thread that takes the record is the client's.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check confluent-kafka==2.16.1

"$folder/venv/bin/python" - <<'PROGRAM'
import asyncio
import importlib.metadata
import sys

from confluent_kafka import Producer, TopicPartition, libversion
from confluent_kafka.aio import AIOConsumer

print("Python", sys.version.split()[0], "confluent-kafka",
      importlib.metadata.version("confluent-kafka"), "librdkafka", libversion()[0])
producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})
(broker,) = producer.list_topics(timeout=10).brokers.values()


def produce(topic, *records):
    for record in records:
        producer.produce(topic, record, partition=0)
    producer.flush()


async def records(topic, give_up):
    """Take one record, look for one in vain, take what comes then; return that and the commit."""
    produce(topic, "first")
    consumer = AIOConsumer({
        "bootstrap.servers": f"{broker.host}:{broker.port}",
        "group.id": topic,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "log_level": 0,
    })
    await consumer.assign([TopicPartition(topic, 0)])
    taken = [(await consumer.poll(20)).value().decode()]
    if give_up:
        try:
            await asyncio.wait_for(consumer.poll(20), 1)
        except TimeoutError:
            pass
    else:
        assert await consumer.poll(1) is None
    produce(topic, "second")
    await asyncio.sleep(2)
    produce(topic, "third")
    while taken[-1] != "third":
        taken.append((await consumer.poll(20)).value().decode())
    (committed,) = await consumer.commit(asynchronous=False)
    await consumer.close()
    return taken, committed.offset


found = {way: asyncio.run(records(way.split("(")[0], way == "wait_for(poll(20), 1)"))
         for way in ("poll(1)", "wait_for(poll(20), 1)")}
for way, (taken, offset) in found.items():
    print(f"{way:21}: {', '.join(taken)}; committed up to {offset}")

as_found = list(found.values()) == [(["first", "second", "third"], 3), (["first", "third"], 3)]
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
