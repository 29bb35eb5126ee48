"""Mailboxes against `queue.SimpleQueue` and `queue.Queue`: one receiver, one or ten senders."""

import functools
import itertools
import queue
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import threadpool_mb as mb
from benchmarks.bounded_designs import DESIGNS
from benchmarks.measuring import Result, compare, run_threads


class _Queue(Protocol):
    def put(self, message: int, /) -> object: ...
    def get(self) -> int: ...


def _stream(
    deliver: Callable[[int], object],
    receive: Callable[[Callable[[int], object], int], object],
    senders: int,
    messages: int,
) -> float:
    """Send `messages` from `senders` threads to one; return the seconds until the last is there.

    Checked afterwards: every message of every sender arrived, in the sender's order.
    """
    every = messages // senders * senders
    received: list[int] = []
    times: list[float] = []

    def send(sender: int) -> None:
        times.append(time.perf_counter())
        for number in range(sender, every, senders):
            deliver(number)

    def take() -> None:
        receive(received.append, every)
        times.append(time.perf_counter())

    run_threads(take, *[functools.partial(send, sender) for sender in range(senders)])
    for sender in range(senders):
        if [n for n in received if n % senders == sender] != list(range(sender, every, senders)):
            raise AssertionError(f"messages of sender {sender} are missing or out of order")
    return max(times) - min(times)


def _by_hand(make: Callable[[], _Queue], senders: int, messages: int) -> float:
    messages_queue = make()
    get = messages_queue.get

    def receive(handle: Callable[[int], object], count: int) -> None:
        for _ in range(count):
            handle(get())

    return _stream(messages_queue.put, receive, senders, messages)


def _loop(config: mb.MailboxConfig, senders: int, messages: int) -> float:
    mailbox: mb.Mailbox[int] = config.create()

    def receive(handle: Callable[[int], object], count: int) -> None:
        for message in itertools.islice(mailbox, count):
            handle(message)

    return _stream(mailbox.new_input().deliver, receive, senders, messages)


def _calls(config: mb.MailboxConfig, senders: int, messages: int) -> float:
    mailbox: mb.Mailbox[int] = config.create()

    def receive(handle: Callable[[int], object], count: int) -> None:
        get = mailbox.receive
        for _ in range(count):
            handle(get())

    return _stream(mailbox.new_input().deliver, receive, senders, messages)


def _many(config: mb.MailboxConfig, senders: int, messages: int) -> float:
    mailbox: mb.Mailbox[int] = config.create()

    def receive(handle: Callable[[int], object], count: int) -> None:
        while count:
            batch = mailbox.receive_many(100)
            for message in batch:
                handle(message)
            count -= len(batch)

    return _stream(mailbox.new_input().deliver, receive, senders, messages)


def unlimited(rounds: int, scale: float) -> Iterable[tuple[str, list[Result]]]:
    """`Unlimited` against `SimpleQueue`, 1:1 and 10:1."""
    messages = int(200_000 * scale)
    config = mb.Unlimited()
    for senders in (1, 10):
        contenders: dict[str, Callable[[], float]] = {
            "SimpleQueue": functools.partial(_by_hand, queue.SimpleQueue, senders, messages),
            "Unlimited, for loop": functools.partial(_loop, config, senders, messages),
            "Unlimited, receive()": functools.partial(_calls, config, senders, messages),
            "Unlimited, receive_many(100)": functools.partial(_many, config, senders, messages),
        }
        yield (
            f"Unlimited {senders}:1",
            compare(contenders, rounds=rounds, messages=messages),
        )


def bounded(rounds: int, scale: float) -> Iterator[tuple[str, list[Result]]]:
    """`Blocking(256)` and the designs that were not kept against `queue.Queue(256)`."""
    messages = int(60_000 * scale)
    limit = 256
    for senders in (1, 10):
        contenders: dict[str, Callable[[], float]] = {
            "queue.Queue(256)": functools.partial(
                _by_hand, functools.partial(queue.Queue, limit), senders, messages
            ),
            "Blocking(256), for loop": functools.partial(
                _loop, mb.Blocking(limit), senders, messages
            ),
            "Blocking(256), receive()": functools.partial(
                _calls, mb.Blocking(limit), senders, messages
            ),
        }
        for name, design in DESIGNS.items():
            contenders[f"not kept: {name}"] = functools.partial(
                _by_hand, functools.partial(design, limit), senders, messages
            )
        yield (
            f"Blocking(256) {senders}:1",
            compare(contenders, rounds=rounds, messages=messages),
        )
