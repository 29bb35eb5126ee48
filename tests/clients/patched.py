"""What has to work where gevent or eventlet has patched the standard library: a program.

`python patched.py gevent` patches first, as both ask for; then threads are greenlets of one thread,
and locks and queues are theirs. It prints the scenarios that it went through.
"""

# ruff: noqa: E402, T201 - what is patched has to be patched before it is imported; a program prints

import importlib
import sys
from collections.abc import Callable, Generator
from typing import Any

LIBRARY = sys.argv[1]
if LIBRARY == "gevent":
    importlib.import_module("gevent.monkey").patch_all()
else:
    importlib.import_module("eventlet").monkey_patch()

import concurrent.futures
import logging
import queue
import threading
import time

import threadpool_mb as mb

PATIENCE = 30.0


class Double(mb.Command[int]):
    """Asks for twice a number."""

    def __init__(self, number: int) -> None:
        self.number = number


class Fail(mb.Command[int]):
    """Asks a worker to raise."""


def _handle(message: Any, seen: list[Any]) -> None:  # noqa: ANN401 - a call or a number
    match message:
        case mb.Call(Double(number=number), box):
            box.reply(2 * number)
        case mb.Call(Fail(), _):
            raise LookupError("asked to")
        case _:
            seen.append(message)


class Workers:
    """Both kinds of worker, and what they have seen."""

    def __init__(self) -> None:
        self.seen: dict[str, list[Any]] = {key: [] for key in "abc"}

    def generator(self, key: str) -> Generator[None, Any]:
        while True:
            _handle((yield), self.seen[key])

    def function(self, key: str, mailbox: mb.Mailbox[Any]) -> None:
        for message in mailbox:
            _handle(message, self.seen[key])


def _pools() -> Generator[tuple[Workers, mb.Pool[str, Any]]]:
    for config in (mb.Unlimited(), mb.Blocking(2), mb.Waiting(2, deliver_timeout=PATIENCE)):
        for inline in (False, True):
            workers = Workers()
            yield from _with(
                workers,
                mb.Pool(workers.generator, mailbox=config, max_threads=2, inline_calls=inline),
            )
        workers = Workers()
        yield from _with(workers, mb.Pool(workers.function, mailbox=config))


def _with(
    workers: Workers, made: mb.Pool[str, Any]
) -> Generator[tuple[Workers, mb.Pool[str, Any]]]:
    with made as pool:
        for key in workers.seen:
            pool.initialize(key)
        yield workers, pool


def messages() -> None:
    """All messages are handled, in the order of their key."""
    for workers, pool in _pools():
        for number in range(100):
            for key in workers.seen:
                assert pool.dispatch(key, number)
        assert pool.drain(timeout=PATIENCE).finished
        assert workers.seen == {key: list(range(100)) for key in workers.seen}, workers.seen


def senders() -> None:
    """Several threads send to the same keys: each one's order is kept."""
    for workers, pool in _pools():

        def send(sender: int, pool: mb.Pool[str, Any] = pool) -> None:
            for number in range(30):
                for key in "abc":
                    assert pool.dispatch(key, (sender, number))

        threads = [threading.Thread(target=send, args=(sender,)) for sender in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert pool.drain(timeout=PATIENCE).finished
        for seen in workers.seen.values():
            for sender in range(4):
                assert [each for each in seen if each[0] == sender] == [
                    (sender, number) for number in range(30)
                ]


def calls() -> None:
    """Calls are answered, with a timeout and without, from several threads, and they fail."""
    logging.disable()  # the failures, which are asked for
    for _, pool in _pools():
        ref = pool.ref("a")
        assert mb.call(ref, Double(21)) == 42
        assert mb.call(ref, Double(4), timeout=PATIENCE) == 8
        with concurrent.futures.ThreadPoolExecutor(4) as callers:
            answers = list(
                callers.map(lambda number, ref=ref: mb.call(ref, Double(number)), range(40))
            )
        assert answers == [2 * number for number in range(40)]
        try:
            mb.call(ref, Fail())
        except mb.WorkerGone:
            pass
        else:
            raise AssertionError("a call to a worker that failed has not failed")


def a_call_that_times_out() -> None:
    """A call that nobody answers in time raises, and the library's clock goes on."""
    with mb.Pool(lambda key, mailbox: list(mailbox)) as pool:  # type: ignore[arg-type,return-value]
        pool.initialize("a")
        begun = time.monotonic()
        try:
            mb.call(pool.ref("a"), Double(1), timeout=0.05)
        except mb.CallTimedOut:
            assert time.monotonic() - begun >= 0.04
        else:
            raise AssertionError("nobody has answered")


def bounds_and_rates() -> None:
    """Senders wait for room, of a pool and of an executor; a rate, and ages, are looked at."""
    kinds: list[dict[str, Any]] = [
        {"max_waiting": 3},
        {"max_waiting": 3, "rate": mb.Rate(1e6)},
        {"message_ttl": 3600},
    ]
    for options in kinds:
        workers = Workers()
        for _, pool in _with(workers, mb.Pool(workers.generator, max_threads=2, **options)):
            for number in range(100):
                for key in workers.seen:
                    assert pool.dispatch(key, number)
            assert pool.flush(timeout=PATIENCE)
            assert workers.seen == {key: list(range(100)) for key in workers.seen}, workers.seen
    with mb.KeyedExecutor(max_workers=2, max_waiting=3) as executor:
        futures = [executor.submit_keyed(number % 5, abs, -number) for number in range(100)]
        assert [future.result(PATIENCE) for future in futures] == list(range(100))


def tasks() -> None:
    """Tasks of a key run in order, one at a time; views, maps and callbacks work."""
    for max_workers in (1, 3):
        with mb.KeyedExecutor(max_workers=max_workers) as executor:
            seen: dict[str, list[int]] = {"a": [], "b": []}
            for number in range(100):
                for key, numbers in seen.items():
                    executor.submit_keyed(key, numbers.append, number)
            assert executor.submit_keyed("a", len, seen["a"]).result(PATIENCE) == 100
            assert executor.for_key("b").submit(len, seen["b"]).result(PATIENCE) == 100
            assert seen == {key: list(range(100)) for key in seen}
            assert list(executor.map(abs, range(-5, 0))) == [5, 4, 3, 2, 1]
            assert list(executor.map_keyed(abs, range(-5, 0), key=bool)) == [5, 4, 3, 2, 1]
            told: queue.SimpleQueue[concurrent.futures.Future[int]] = queue.SimpleQueue()
            executor.submit(abs, -3).add_done_callback(told.put)
            assert told.get(timeout=PATIENCE).result() == 3
            futures = [executor.submit_keyed(key, divmod, 1, 0) for key in "ab"]
            done, pending = concurrent.futures.wait(futures, PATIENCE)
            assert not pending
            assert all(isinstance(each.exception(), ZeroDivisionError) for each in done)


def a_thread_that_sleeps_holds_nobody_up() -> None:
    """Where one task sleeps, or waits for an event, the others go on."""
    with mb.KeyedExecutor(max_workers=2) as executor:
        go = threading.Event()
        waiting = executor.submit_keyed("a", go.wait, PATIENCE)
        assert executor.submit_keyed("b", time.sleep, 0.01).result(PATIENCE) is None
        assert executor.submit_keyed("b", abs, -1).result(PATIENCE) == 1
        assert not waiting.done()
        go.set()
        assert waiting.result(PATIENCE)


def mailboxes_by_hand() -> None:
    """A mailbox of one's own is read by another thread."""
    for config in (mb.Unlimited(), mb.Blocking(2)):
        mailbox: mb.Mailbox[int] = config.create()
        with concurrent.futures.ThreadPoolExecutor(1) as reader:
            received = reader.submit(list, mailbox)
            sending = mailbox.new_input()
            for number in range(100):
                sending.deliver(number)
            mailbox.close()
            assert received.result(PATIENCE) == list(range(100))


def a_broker() -> None:
    """A broker creates, handles and cleans."""
    told: list[object] = []

    def handle(key: str, message: str, resource: str) -> mb.KeepResource:
        told.append((key, message, resource))
        return mb.KeepResource()

    config: mb.BrokerConfig[str, str, str] = mb.BrokerConfig(
        demultiplex=lambda message: (
            mb.Initialize(message[1]) if message[0] == "+" else mb.Dispatch(message[0], message)
        ),
        create=lambda key, message: key.upper(),
        handle=handle,
        clean=lambda key, resource: told.append(("clean", key, resource)),
    )
    for max_threads in (None, 2):
        told.clear()
        with mb.Broker(config, max_threads=max_threads) as broker:
            broker.input.deliver("+a")
            for number in range(10):
                broker.input.deliver(f"a{number}")
            broker.close()
            broker.join()
        assert told[-1] == ("clean", "a", "A"), told
        assert [each for each in told if each[0] != "clean"][-10:] == [
            ("a", f"a{number}", "A") for number in range(10)
        ], told


SCENARIOS: list[Callable[[], None]] = [
    messages,
    senders,
    calls,
    a_call_that_times_out,
    bounds_and_rates,
    tasks,
    a_thread_that_sleeps_holds_nobody_up,
    mailboxes_by_hand,
    a_broker,
]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}[sys.argv[2]]
    chosen()
    print("done")
