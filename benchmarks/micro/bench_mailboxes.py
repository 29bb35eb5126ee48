"""One message through a mailbox, on one thread: `pytest benchmarks/micro`."""

import queue

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import threadpool_mb as mb

CONFIGS: list[mb.MailboxConfig] = [
    mb.Unlimited(),
    mb.Blocking(256),
    mb.NonBlocking(256),
    mb.Waiting(256, deliver_timeout=1.0),
    mb.CatchAll(mb.Unlimited()),
]


@pytest.mark.benchmark(group="deliver and receive")
@pytest.mark.parametrize("make", [queue.SimpleQueue, queue.Queue])
def bench_put_and_get(benchmark: BenchmarkFixture, make: type[queue.Queue[int]]) -> None:
    """The peers."""
    messages = make()
    put, get = messages.put, messages.get

    def put_and_get() -> int:
        put(1)
        return get()

    assert benchmark(put_and_get) == 1


@pytest.mark.benchmark(group="deliver and receive")
@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def bench_deliver_and_receive(benchmark: BenchmarkFixture, config: mb.MailboxConfig) -> None:
    """Every kind of mailbox."""
    mailbox: mb.Mailbox[int] = config.create()
    deliver, receive = mailbox.new_input().deliver, mailbox.receive

    def deliver_and_receive() -> int:
        deliver(1)
        return receive()

    assert benchmark(deliver_and_receive) == 1
