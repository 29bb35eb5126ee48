#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16.0) on CPython 3.14t: pause() and resume() cost a second.
#
# Expected: pausing partitions while there is no room for more records, and resuming them when there
# is, is how one holds a consumer back; what it has fetched already should be there at once.
#
# What happens: pause() throws away what the client has fetched ahead. resume() clears a flag, and does
# not wake the thread that sends Fetch requests (`rd_kafka_toppar_pause_resume` in
# rdkafka_partition.c); with nothing to fetch that thread sleeps for up to a second
# (`rd_kafka_broker_ops_io_serve` in rdkafka_broker.c, 1000 ms). So the first record after a resume
# comes up to a second later, and the records are sent once more. A consumer that pauses when it has
# 1,000 records in hand, and resumes when they are done, handles about a thousand a second, however
# fast it is. Not to poll for a while costs nothing: the client stops fetching by itself. The broker
# is the one that librdkafka brings for tests; the thread that sleeps is the client's.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check confluent-kafka==2.16.1

"$folder/venv/bin/python" - <<'PROGRAM'
import importlib.metadata
import json
import statistics
import sys
import time

from confluent_kafka import Consumer, Producer, libversion

print("Python", sys.version.split()[0], "confluent-kafka",
      importlib.metadata.version("confluent-kafka"), "librdkafka", libversion()[0])
producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})
(broker,) = producer.list_topics(timeout=10).brokers.values()
for number in range(50_000):
    producer.produce("records", str(number), str(number % 1000))
    producer.poll(0)
producer.flush()
ROUNDS = 8


def rounds(pausing):
    """Take 1,000 records, do without more for 50 ms, take the next; return the waits for those."""
    fetched = {}
    consumer = Consumer({
        "bootstrap.servers": f"{broker.host}:{broker.port}",
        "group.id": str(pausing),
        "group.protocol": "consumer",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "log_level": 0,
        "statistics.interval.ms": 100,
        "stats_cb": lambda text: fetched.update(json.loads(text)),
    })
    consumer.subscribe(["records"])
    waits, taken = [], 0
    for number in range(ROUNDS + 1):
        asked, got = time.monotonic(), 0
        while got < 1000:
            messages = consumer.consume(1000 - got, 0.01)
            if messages and not got and number:
                waits.append(time.monotonic() - asked)
            got += len(messages)
        taken += got
        if pausing:
            consumer.pause(consumer.assignment())
            assert consumer.poll(0) is None
        time.sleep(0.05)
        if pausing:
            consumer.resume(consumer.assignment())
    while time.monotonic() < asked + 2:
        if pausing:
            consumer.pause(consumer.assignment())
        consumer.consume(1, 0.1) if pausing else time.sleep(0.1)
    consumer.close()
    partitions = fetched["topics"]["records"]["partitions"].values() if fetched else []
    return statistics.median(waits), max(waits), sum(part["rxmsgs"] for part in partitions), taken


found = {pausing: rounds(pausing) for pausing in (True, False)}
for pausing, (median, longest, received, taken) in found.items():
    how = "pause() and resume()" if pausing else "no poll() meanwhile "
    print(f"{how}: the next record came after {median:.3f} s (median), {longest:.3f} s (longest)")
print(f"with pause() and resume() {found[True][3]:,} records were taken, {found[True][2]:,} received")

as_found = found[True][1] > 0.5 and found[True][0] > 50 * found[False][0] and found[False][1] < 0.1
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
