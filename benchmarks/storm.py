"""Call workers that are removed, cancelled and fail all the time: `benchmarks.storm`.

Many clients call a few keys, in every way there is; meanwhile the keys' workers are removed, with
their backlog or without it, are made to fail, are told to drop a call, or hand calls on to each
other; and now and then the whole pool is cancelled and another one takes its place. Each call has
to be answered, with its own number or an error, and once; no number may be handled twice. The same
clients ask actors of Pykka that are stopped and fail as often; an ask that has no answer after a
second counts as lost there.
"""

import argparse
import dataclasses
import faulthandler
import logging
import random
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Generator
from typing import Final, Protocol, final

import pykka

import threadpool_mb as mb
from benchmarks.measuring import PATIENCE

KEYS: Final = 16
CLIENTS: Final = 8
EVERY: Final = 10
"""Calls from one disturbance to the next."""
POOLS: Final = 20
"""How many pools there are, one after the other."""
LOST_AFTER: Final = 1.0
"""Seconds after which an ask of Pykka's is held to be lost."""


class Planned(Exception):
    """What a worker raises when it is told to fail."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Ask(mb.Command[int]):
    """Asks for its own number."""

    number: int


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Forward(mb.Command[int]):
    """As `Ask`, but another key is to answer."""

    number: int
    to: int


@final
class Fail(mb.Notice):
    """Tells a worker to fail."""

    __slots__ = ()


class Stormed(Protocol):
    """Who is called."""

    def ask(self, number: int) -> bool:
        """Ask; return whether there was a value. What is wrong is told to the faults."""
        ...

    def disturb(self, chance: random.Random) -> None:
        """Do something to a worker."""
        ...

    def next_pool(self) -> None:
        """Cancel all workers at once, and start others."""
        ...

    def close(self) -> None:
        """End all workers."""
        ...


@final
class Pools:
    """Pools, one after the other."""

    def __init__(self, calls: int, faults: list[str]) -> None:
        """Make the first one."""
        self._faults: Final = faults
        self._calls: Final = calls
        self.handled: Final = bytearray(calls)
        self.called_back: Final = bytearray(calls)
        self._pool = self._new()

    def _new(self) -> "mb.Pool[int, mb.originals.Request]":
        pool: mb.Pool[int, mb.originals.Request] = mb.Pool(
            self._worker,
            mailbox=random.choice([mb.Unlimited(), mb.Blocking(3), mb.NonBlocking(50)]),  # noqa: S311
            on_dead_letter=lambda _: None,
            on_worker_exit=self._ended,
        )
        for key in range(KEYS):
            pool.initialize(key)
        return pool

    def _ended(self, worker_exit: mb.WorkerExit[int]) -> None:
        if worker_exit.error is not None and not isinstance(worker_exit.error, Planned):
            self._faults.append(f"a worker failed: {worker_exit.error!r}")

    def _worker(self, _key: int) -> Generator[None, mb.originals.Request]:
        dropped = 0
        while True:
            match (yield):
                case mb.Call(Ask(number), box):
                    self.handled[number] += 1
                    if number % 97 == 0:
                        dropped += 1
                    else:
                        box.reply(number)
                    del box
                case mb.Call(Forward(number, to)) as call:
                    mb.delegate(self._pool.ref(to), call, Ask(number))
                    del call
                case mb.Cast():
                    raise Planned

    def ask(self, number: int) -> bool:
        """Call in one of the ways."""
        key = number % KEYS
        target = self._pool.ref(key)
        command: Ask | Forward = Ask(number)
        if number % 5 == 0:
            command = Forward(number, (key + 1) % KEYS)
        try:
            match number % 3:
                case 0:
                    value = mb.call(target, command)
                case 1:
                    value = mb.call(target, command, timeout=PATIENCE)
                case _:
                    reply = mb.ask(target, command)
                    reply.add_done_callback(lambda _: self._call_back(number))
                    value = reply.result()
        except mb.CallTimedOut:
            self._faults.append(f"call {number} had no answer")
            return False
        except mb.CallError:
            return False
        if value != number:
            self._faults.append(f"call {number} had the answer {value}")
        if self.handled[number] != 1:
            self._faults.append(f"call {number} was handled {self.handled[number]} times")
        return True

    def _call_back(self, number: int) -> None:
        self.called_back[number] += 1

    def disturb(self, chance: random.Random) -> None:
        """Remove a worker, or make it fail; and see to it that there is one."""
        pool, key = self._pool, chance.randrange(KEYS)
        try:
            match chance.randrange(4):
                case 0:
                    pool.remove(key)
                case 1:
                    pool.remove(key, drain=True)
                case 2:
                    mb.cast(pool.ref(key), Fail())
                case _:
                    pool.remove(key)
                    pool.initialize(key)
            for each in range(KEYS):
                if each not in pool:  # one that has failed since
                    pool.initialize(each)
        except mb.PoolClosed:
            return

    def next_pool(self) -> None:
        """Cancel the pool, and let another one take its place."""
        old, self._pool = self._pool, self._new()
        old.cancel()
        old.join()

    def close(self) -> None:
        """Cancel the last pool, and look at what was counted."""
        self._pool.cancel()
        self._pool.join()
        doubled = [number for number in range(self._calls) if self.handled[number] > 1]
        if doubled:
            self._faults.append(f"{len(doubled)} calls were handled twice, {doubled[0]} among them")
        asked = [number for number in range(self._calls) if number % 3 == 2]  # noqa: PLR2004
        wrong = [number for number in asked if self.called_back[number] != 1]
        if wrong:
            self._faults.append(f"{len(wrong)} callbacks not called once, of {wrong[0]} among them")


@final
class _Actor(pykka.ThreadingActor):
    def on_receive(self, message: int) -> int:
        if message < 0:
            raise Planned
        return message


@final
class Actors:
    """Actors of Pykka, one for each key."""

    def __init__(self, _calls: int, faults: list[str]) -> None:
        """Start them."""
        self._faults: Final = faults
        self._actors: Final = {key: _Actor.start() for key in range(KEYS)}

    def ask(self, number: int) -> bool:
        """Ask, and wait for a second."""
        try:
            value: int = self._actors[number % KEYS].ask(number, timeout=LOST_AFTER)
        except pykka.Timeout:
            self._faults.append(f"ask {number} had no answer")
            return False
        except (pykka.ActorDeadError, Planned):
            return False
        return value == number

    def disturb(self, chance: random.Random) -> None:
        """Stop an actor, or make it fail, and start another one."""
        key = chance.randrange(KEYS)
        actor = self._actors[key]
        try:
            if chance.randrange(2):
                actor.stop(block=False)
            else:
                actor.tell(-1)
        except pykka.ActorDeadError:
            pass
        self._actors[key] = _Actor.start()

    def next_pool(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Stop them all."""
        pykka.ActorRegistry.stop_all()


def storm(
    make: Callable[[int, list[str]], Stormed], calls: int, *, seed: int = 0
) -> tuple[int, float, list[str]]:
    """Let the clients call, `calls` times in all.

    Returns:
        How many had a value, the seconds, and what went wrong.
    """
    faults: list[str] = []
    stormed = make(calls, faults)
    answered, values = [0] * CLIENTS, [0] * CLIENTS

    def client(place: int) -> None:
        for number in range(place, calls, CLIENTS):
            values[place] += stormed.ask(number)
            answered[place] += 1

    clients = [threading.Thread(target=client, args=(place,)) for place in range(CLIENTS)]
    start = time.perf_counter()
    for thread in clients:
        thread.start()
    _disturb(stormed, clients, answered, random.Random(seed), calls)  # noqa: S311
    took = time.perf_counter() - start
    stormed.close()
    if sum(answered) != calls:
        faults.append(f"{calls - sum(answered)} calls were not answered")
    return sum(values), took, faults


def _disturb(
    stormed: Stormed,
    clients: list[threading.Thread],
    answered: list[int],
    chance: random.Random,
    calls: int,
) -> None:
    """Disturb the workers once in so many calls, until the clients have ended."""
    due = 0
    moved = time.monotonic()
    while any(thread.is_alive() for thread in clients):
        now = sum(answered)
        if now < due:
            if time.monotonic() > moved + PATIENCE:
                faulthandler.dump_traceback(sys.__stderr__, all_threads=True)
                raise AssertionError(f"stuck after {now} of {calls} calls")
            time.sleep(0)  # the core is the clients'
            continue
        stormed.disturb(chance)
        if due // (calls // POOLS + 1) != now // (calls // POOLS + 1):
            stormed.next_pool()
        due, moved = now + EVERY, time.monotonic()


def main() -> int:
    """Storm as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storm", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000, help="1,000,000")
    parser.add_argument("--asks", type=int, default=50_000, help="of Pykka; 50,000")
    arguments = parser.parse_args()

    logging.disable()  # what fails as planned
    build = f"{sys.version.split()[0]}{'t' * bool(sysconfig.get_config_var('Py_GIL_DISABLED'))}"
    failed = False
    for name, make, calls in (
        ("threadpool_mb", Pools, arguments.calls),
        ("Pykka", Actors, arguments.asks),
    ):
        values, took, faults = storm(make, calls)
        print(
            f"{build}, {name}: {calls:,} calls in {took:.0f} s, {values:,} values,"
            f" {calls - values:,} errors, {len(faults)} FAULTS"
        )
        for fault in faults[:5]:
            print(f"  {fault}")
        failed = failed or (make is Pools and bool(faults))
    return failed


if __name__ == "__main__":
    sys.exit(main())
