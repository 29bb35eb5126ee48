"""Mailboxes against `queue.SimpleQueue` and `queue.Queue`: one receiver, one or many senders."""

import functools
import itertools
import queue
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import threadpool_mb as mb
from benchmarks.measuring import Entry, compare, design, ours, peer, run_threads, scaled
from benchmarks.peers.bounded_designs import DESIGNS
from benchmarks.results import Comparison

LIMIT: Final = 256
CROWD: Final = 1000


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
    by_sender: list[list[int]] = [[] for _ in range(senders)]
    for number in received:
        by_sender[number % senders].append(number)
    for sender, numbers in enumerate(by_sender):
        if numbers != list(range(sender, every, senders)):
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


def _never_full(senders: int, messages: int) -> list[Entry[float]]:
    work = (senders, messages)
    roomy = mb.NonBlocking(messages)
    sorted_ = mb.Prioritized(mb.Unlimited(), float)
    return [
        peer("SimpleQueue", _by_hand, queue.SimpleQueue, *work),
        peer("queue.Queue()", _by_hand, queue.Queue, *work),
        ours("Unlimited, for loop", _loop, mb.Unlimited(), *work),
        ours("Unlimited, receive()", _calls, mb.Unlimited(), *work),
        ours("Unlimited, receive_many(100)", _many, mb.Unlimited(), *work),
        ours("CatchAll(Unlimited), for loop", _loop, mb.CatchAll(mb.Unlimited()), *work),
        ours("NonBlocking, never full, for loop", _loop, roomy, *work),
        ours("Sliding, never full, for loop", _loop, mb.Sliding(messages), *work),
        peer("queue.PriorityQueue()", _by_hand, queue.PriorityQueue, *work),
        ours("Prioritized(Unlimited), for loop", _loop, sorted_, *work),
        ours("Prioritized(Unlimited), receive_many(100)", _many, sorted_, *work),
    ]


def _often_full(senders: int, messages: int) -> list[Entry[float]]:
    work = (senders, messages)
    blocking = mb.Blocking(LIMIT)
    waiting = mb.Waiting(LIMIT, deliver_timeout=60.0)
    sorted_ = mb.Prioritized(blocking, float)
    return [
        peer(f"queue.Queue({LIMIT})", _by_hand, functools.partial(queue.Queue, LIMIT), *work),
        ours(f"Blocking({LIMIT}), for loop", _loop, blocking, *work),
        ours(f"Blocking({LIMIT}), receive()", _calls, blocking, *work),
        ours(f"Blocking({LIMIT}), receive_many(100)", _many, blocking, *work),
        ours(f"Waiting({LIMIT}), for loop", _loop, waiting, *work),
        ours(f"CatchAll(Blocking({LIMIT})), for loop", _loop, mb.CatchAll(blocking), *work),
        ours(f"Prioritized(Blocking({LIMIT})), for loop", _loop, sorted_, *work),
    ]


def _not_kept(senders: int, messages: int) -> list[Entry[float]]:
    return [
        design(f"not kept: {name}", _by_hand, functools.partial(made, LIMIT), senders, messages)
        for name, made in DESIGNS.items()
    ]


def mailboxes(rounds: int, scale: float) -> Iterator[Comparison]:
    """All kinds of mailboxes, with one receiver and 1, 10 or 1,000 senders.

    First those that are never full, then those that often are. "For loop" is
    `for message in mailbox`; by hand it is `while True: handle(queue.get())`. Timed from the first
    sender's start until the last message is there.
    """
    crowd = scaled(CROWD, min(1.0, scale), least=11)
    for senders in (1, 10, crowd):
        messages = scaled(100_000 if senders == crowd else 200_000, scale, least=senders)
        yield compare(
            f"never full, {senders}:1",
            "ns per message",
            _never_full(senders, messages),
            rounds=rounds,
            factor=1e9 / messages,
        )
        messages = scaled(60_000, scale, least=senders)
        designs = _not_kept(senders, messages) if senders < crowd else []
        yield compare(
            f"often full, {senders}:1",
            "ns per message",
            [*_often_full(senders, messages), *designs],
            rounds=rounds,
            factor=1e9 / messages,
        )
