"""An echo beside processes that want the cores: what giving a core away costs there."""

import contextlib
import os
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Final

import threadpool_mb as mb
from benchmarks.measuring import compare, ideal, ours, run_threads, scaled
from benchmarks.results import Comparison

MESSAGES: Final = 2000

type _End = tuple[Callable[[int], object], Callable[[], int]]
"""How a message is put, and how the next one is taken."""


@contextlib.contextmanager
def _busy(count: int) -> Iterator[None]:
    """Have other processes compute."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            process = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", "while True: pass"])
            )
            stack.callback(process.kill)
        yield


def _mailbox() -> _End:
    mailbox: mb.Mailbox[int] = mb.Unlimited().create()
    return mailbox.new_input().deliver, mailbox.receive


def _queue() -> _End:
    items = queue.SimpleQueue[int]()
    return items.put, items.get


def _echo(make: Callable[[], _End], count: int) -> float:
    """Send messages there and back, one at a time; return the seconds for each."""
    (ask, asked), (answer, answered) = make(), make()

    def echo() -> None:
        for _ in range(count):
            answer(asked())

    def send() -> None:
        for number in range(count):
            ask(number)
            if answered() != number:
                raise AssertionError(f"the answer to {number} is another one's")

    start = perf_counter()
    run_threads(echo, send)
    return (perf_counter() - start) / count


def crowded(rounds: int, scale: float) -> Iterator[Comparison]:
    """A message goes to another thread and back, then the next one: alone, and beside processes.

    As many processes as there are cores compute all the time. Two threads, 2,000 messages.
    """
    count = scaled(MESSAGES, scale)
    entries = [
        ideal("two SimpleQueues", _echo, _queue, count),
        ours("two mailboxes, Unlimited()", _echo, _mailbox, count),
    ]
    cores = os.process_cpu_count() or 1
    for title, processes in (("Alone", 0), (f"Beside {cores} busy processes", cores)):
        with _busy(processes):
            yield compare(title, "µs", entries, rounds=rounds, factor=1e6)
