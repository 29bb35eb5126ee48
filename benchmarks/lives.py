"""What lives of keys cost, and whether anything is lost in them: `benchmarks.lives`.

`zipf`: four senders, keys drawn by Zipf's law (s = 1) that start on demand, end when idle, and make
room for others; each message is checked to be handled once, in its sender's order. `storm`: one
message in a hundred makes its worker fail, which is restarted and tries it again. `sleep`: 10,000
workers sleep at the same time on two threads, in `mb.sleep` and in `time.sleep`. `waits`: 1,000
workers in a row that ask each other with `mb.wait`. `timers`: very many that are not due.
"""

import argparse
import array
import dataclasses
import gc
import logging
import math
import random
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

import threadpool_mb as mb
from benchmarks.machine import resident_memory

SENDERS: Final = 4
PATIENCE: Final = 600.0
"""Seconds after which a flush is held to be stuck."""

_IN_ONE_GO: Final = 1000
"""How many messages a sender has function workers handle until it waits for these."""

type Message = tuple[int, int]
"""A sender, and its how-manieth message of this key."""


def numbers(keys: int) -> list[array.array[int]]:
    """Return a number for each sender and key, all -1; all memory for these is taken now."""
    return [array.array("i", [-1]) * keys for _ in range(SENDERS)]


class Seen:
    """What workers have handled, by sender and key; only the worker of a key writes its entries."""

    def __init__(self, keys: int) -> None:
        """Have seen nothing of so many keys."""
        self.last: Final = numbers(keys)
        """The number of the last message."""
        self.wrong: Final[list[tuple[int, Message, int]]] = []

    def take(self, key: int, message: Message) -> None:
        """Note a message; it is to follow the one before it."""
        sender, number = message
        mine = self.last[sender]
        before = mine[key]
        if number != before + 1:
            self.wrong.append((key, message, before))
        mine[key] = number


def worker_of(kind: str, take: Callable[[int, Any], object]) -> Any:  # noqa: ANN401 - of either kind
    """Return a worker that has each message taken."""

    def generator(key: int) -> Generator[None, Any]:
        while True:
            take(key, (yield))

    def function(key: int, mailbox: mb.Mailbox[Any]) -> None:
        for message in mailbox:
            take(key, message)

    return generator if kind == "generator" else function


def by_zipf(keys: int, seed: int, count: int) -> Iterator[int]:
    """Draw keys: the n-th is drawn as often as 1 / n."""
    draw, scale = random.Random(seed).random, math.log(keys)  # noqa: S311 - no secret
    for _ in range(count):
        yield min(keys - 1, int(math.exp(draw() * scale)) - 1)


def zipf(messages: int, keys: int, max_keys: int, kind: str) -> list[str]:
    """Send messages to keys that live by themselves; return what went wrong."""
    seen, sent = Seen(keys), numbers(keys)
    letters: list[object] = []
    pool: mb.Pool[int, Message] = mb.Pool(
        worker_of(kind, seen.take),
        start="on_demand",
        idle_timeout=0.05,
        max_keys=max_keys,
        on_dead_letter=letters.append,
    )

    progress = [0] * SENDERS

    def send(sender: int) -> None:
        mine = sent[sender]
        for key in by_zipf(keys, sender, messages // SENDERS):
            number = mine[key] = mine[key] + 1
            progress[sender] += 1
            if not pool.dispatch(key, (sender, number)):
                letters.append((key, number))
            # Functions have no `max_waiting`: each sender waits now and then until all is handled.
            if kind == "function" and not progress[sender] % _IN_ONE_GO:
                pool.flush()

    start, used = time.perf_counter(), time.process_time()
    with pool:
        threads = [threading.Thread(target=send, args=(sender,)) for sender in range(SENDERS)]
        for thread in threads:
            thread.start()
        looks = _looks(threads, pool, lambda: sum(progress) * 10 // messages)
        flushed = pool.flush(timeout=PATIENCE)
    seconds, cpu = time.perf_counter() - start, time.process_time() - used
    stats = pool.stats()
    count = sum(map(sum, sent)) + keys * SENDERS
    print(
        f"zipf, {kind}: {count:,} messages, {stats.started:,} workers started,"
        f" {seconds:.0f} s, {cpu / count * 1e6:.1f} µs of a core each"
    )
    for name, index in (("threads", 0), ("keys", 1), ("MiB", 2)):
        values = [look[index] for look in looks] or [0]
        tenths = [values[len(values) * tenth // 10] for tenth in range(10)]
        print(f"  {name}, at each tenth: {tenths}, most {max(values)}")
    print(f"  whole maps equal: {sent == seen.last}; out of order: {len(seen.wrong)};"
          f" dead letters: {len(letters)}")  # fmt: skip
    faults = [f"out of order, twice or lost: {each}" for each in seen.wrong[:5]]
    faults += [f"dead: {each}" for each in letters[:5]]
    if not flushed:
        faults.append("a flush did not return")
    if sent != seen.last:
        faults.append("not all that was sent was handled")
    return faults


def _looks(
    threads: list[threading.Thread], pool: mb.Pool[int, Message], tenths: Callable[[], int]
) -> list[tuple[int, int, int]]:
    """Look until all threads have ended; return how many threads, keys and MiB there were."""
    start, said = time.perf_counter(), 0
    looks: list[tuple[int, int, int]] = []
    while any(thread.is_alive() for thread in threads):
        for thread in threads:
            thread.join(0.1)
        looks.append((threading.active_count(), len(pool), resident_memory() // 2**20))
        if tenths() > said:
            said, seconds = tenths(), time.perf_counter() - start
            print(
                f"  {said * 10} % sent after {seconds:.1f} s; threads, keys, MiB: {looks[-1]}",
                flush=True,
            )
    return looks


class Planned(Exception):
    """What a worker raises in `storm`."""


def storm(messages: int, keys: int) -> list[str]:
    """Send messages of which one in a hundred fails once; return what went wrong."""
    logging.getLogger("threadpool_mb").setLevel(logging.CRITICAL)
    seen = Seen(keys)
    letters: list[mb.DeadLetter[int, Message]] = []
    failed: set[tuple[int, Message]] = set()

    def take(key: int, message: Message) -> None:
        if (hash((key, message)) % 100 == 0) and (key, message) not in failed:
            failed.add((key, message))
            raise Planned
        seen.take(key, message)

    per_key = messages // keys // SENDERS
    start = time.perf_counter()
    with mb.Pool(
        worker_of("generator", take),
        start="on_demand",
        restart=mb.Restart(max_restarts=messages, delay=0.001, max_delay=0.01, in_hand="retry"),
        on_dead_letter=letters.append,
    ) as pool:

        def send(sender: int) -> None:
            for number in range(per_key):
                for key in range(keys):
                    pool.dispatch(key, (sender, number))

        threads = [threading.Thread(target=send, args=(sender,)) for sender in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        flushed = pool.flush(timeout=PATIENCE)
    seconds = time.perf_counter() - start
    wanted = [array.array("i", [per_key - 1]) * keys for _ in range(SENDERS)]
    print(
        f"storm: {per_key * keys * SENDERS:,} messages, {pool.stats().restarted:,} restarts,"
        f" {seconds:.1f} s; whole maps equal: {wanted == seen.last};"
        f" out of order: {len(seen.wrong)}; dead letters: {len(letters)}"
    )
    faults = [f"out of order, twice or lost: {each}" for each in seen.wrong[:5]]
    faults += [f"dead: {each}" for each in letters[:5]]
    if wanted != seen.last or not flushed:
        faults.append("not all that was sent was handled")
    return faults


def sleeping(workers: int, seconds: float, *, holding: bool) -> list[float]:
    """Have workers sleep at the same time on two threads; return how late each woke, in seconds."""
    late: list[float] = []

    def worker(_key: int) -> Generator[None, Any]:
        while True:
            yield
            due = time.monotonic() + seconds
            if holding:
                time.sleep(seconds)
            else:
                yield from mb.sleep(seconds)
            late.append(time.monotonic() - due)

    start = time.perf_counter()
    with mb.Pool(worker, start="on_demand", max_threads=2) as pool:
        for key in range(workers):
            pool.initialize(key)
        pool.flush()
        begun = time.perf_counter()
        for key in range(workers):
            pool.dispatch(key, None)
        pool.flush()
        end = time.perf_counter()
    late.sort()
    name = "time.sleep" if holding else "mb.sleep"
    print(
        f"sleep: {workers:,} workers, {seconds * 1e3:g} ms in {name}: started in"
        f" {begun - start:.2f} s, all over in {end - begun:.2f} s; late by"
        f" {late[len(late) // 2] * 1e3:.1f} ms (median), {late[-1] * 1e3:.1f} ms (most)"
    )
    return late


def _sleep(scale: float) -> list[str]:
    sleeping(max(1, int(1e4 * scale)), 0.01, holding=False)
    sleeping(max(1, int(500 * scale)), 0.01, holding=True)
    return []


@dataclasses.dataclass(frozen=True, slots=True)
class Ask(mb.Command[int]):
    """Asks how many workers stand behind."""


def waits(workers: int) -> list[str]:
    """Have workers in a row ask each other, then in a circle; return what went wrong."""
    deadlocks: list[mb.CallDeadlock] = []

    def worker(key: int) -> Generator[None, mb.Call[int]]:
        while True:
            call = yield
            behind = 0
            if key != last[0] and not deadlocks:
                try:
                    behind = 1 + (yield from mb.wait(mb.ask(pool.ref((key + 1) % workers), Ask())))
                except mb.CallDeadlock as error:
                    deadlocks.append(error)
            call.reply_box.reply(behind)

    last = [workers - 1]
    with mb.Pool(worker, start="on_demand", max_threads=2) as pool:
        start = time.perf_counter()
        answer = mb.ask(pool.ref(0), Ask()).result(timeout=PATIENCE)
        seconds, threads = time.perf_counter() - start, pool.stats().threads
        last[0] = -1
        circle = mb.ask(pool.ref(0), Ask()).result(timeout=PATIENCE)
    print(
        f"waits: {workers:,} workers in a row answered {answer:,} in {seconds:.2f} s with {threads}"
        f" threads of the pool's; in a circle {len(deadlocks)} was told, and {circle:,} waited"
    )
    return [] if (answer, len(deadlocks)) == (workers - 1, 1) and threads <= 3 else ["waits"]  # noqa: PLR2004


def due_at_once(count: int) -> float:
    """Have messages dispatched at the same time; return the µs for each until all are handled."""
    due: list[float] = []

    def noting(_key: int) -> Generator[None, float]:
        while True:
            when = yield
            due.append(time.monotonic() - when)

    with mb.Pool(noting, start="on_demand") as pool:
        when = time.monotonic() + 1.0
        for number in range(count):
            pool.dispatch_later(max(0.0, when - time.monotonic()), number % 100, when)
        while len(due) < count:
            time.sleep(0.01)
    return max(due) / count * 1e6


def timers(count: int) -> list[str]:
    """Set very many timers that are not due; return what went wrong."""

    def worker(_key: int) -> Generator[None]:
        while True:
            yield

    with mb.Pool(worker, start="on_demand", on_dead_letter=lambda _: None) as pool:
        pool.dispatch(0, None)
        pool.flush()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        made = [pool.dispatch_later(3600.0, 0, None) for _ in range(count // 2)]
        while pool.stats().timers < len(made):
            time.sleep(0.01)
        # The list, and what is still being sorted in, do not count.
        each = (tracemalloc.get_traced_memory()[0] - before - sys.getsizeof(made)) / len(made)
        tracemalloc.stop()
        for timer in made:
            timer.cancel()
        del timer, made
        start = time.perf_counter()
        rest = [pool.dispatch_later(3600.0 + number % 97, 0, None) for number in range(count)]
        inserted = time.perf_counter()
        for timer in rest:
            timer.cancel()
        cancelled = time.perf_counter()
        del timer, rest
        gc.collect()
        while pool.stats().timers > count // 2 + 128:
            time.sleep(0.01)
        left = pool.stats().timers
    print(
        f"timers: {each:.0f} bytes each; of {count:,}, set in"
        f" {(inserted - start) / count * 1e6:.2f} µs, cancelled in"
        f" {(cancelled - inserted) / count * 1e6:.2f} µs each, {left:,} left;"
        f" {count // 10:,} that are due at once: handled in {due_at_once(count // 10):.1f} µs each"
    )
    # Of few, what lists and queues have in reserve counts.
    too_big = each > 200 and count >= 1e6  # noqa: PLR2004
    return ["a timer takes more than 200 bytes"] if too_big else []


def main(words: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lives",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="*", help="zipf, storm, sleep, waits, timers")
    parser.add_argument(
        "--functions",
        type=float,
        default=1e5,
        help="of zipf, the messages to function workers, over a tenth as many keys (1e5)",
    )
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=("generator", "function"),
        default=("generator", "function"),
        help="of zipf, the kinds of workers (both)",
    )
    parser.add_argument("--scale", type=float, default=1.0, help="more or less work (1.0)")
    arguments = parser.parse_args(words)
    scale: float = arguments.scale
    functions: float = max(1e3, arguments.functions * scale)
    sizes = {
        "generator": (int(1e7 * scale), int(1e6 * scale), 1000),
        "function": (int(functions), int(functions / 10), min(1000, int(functions / 1000))),
    }
    things: dict[str, Callable[[], list[str]]] = {
        "zipf": lambda: [fault for kind in arguments.kinds for fault in zipf(*sizes[kind], kind)],
        "storm": lambda: storm(int(1e6 * scale), max(1, int(1000 * scale))),
        "sleep": lambda: _sleep(scale),
        "waits": lambda: waits(max(2, int(1000 * scale))),
        "timers": lambda: timers(max(1000, int(1e6 * scale))),
    }
    unknown = [name for name in arguments.what if name not in things]
    if unknown:
        parser.error(f"no such thing: {', '.join(unknown)} (there are: {', '.join(things)})")
    print(f"CPython {sys.version}")
    faults = [fault for name in arguments.what or things for fault in things[name]()]
    for fault in faults:
        print(f"FAULT: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
