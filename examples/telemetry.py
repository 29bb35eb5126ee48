"""Telemetry: readings of very many devices, a few of which have a worker at any time.

**Problem.** A million devices send readings now and then. Each reading changes what is known of its
device, in order. To keep everything of every device in memory is too much, and a lock around a
shared table would be one for all.

**Solution.** A device is a key. `start="on_demand"` starts its worker at a reading, `max_keys` ends
the worker of the device that is quiet longest when there are too many, and `idle_timeout` ends each
one that is quiet for so long. A worker loads the device's summary as it starts and stores it as it
ends. It needs no lock: the next worker of a key starts only after the one before it has ended, its
`finally` included. A reading that comes in the midst of an end waits for the next worker.

A worker that has a reading waiting is not quiet, and is not ended for another one. So the readings
are taken in batches, with a `flush` after each: it waits until all of the batch are handled, which
holds up a sender that is faster than the workers.

Scale it: `python examples/telemetry.py 100000`.

Read: `Summary`; `Station.device`, the worker; `run`, which sends.
"""

import itertools
import sys
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import threadpool_mb as mb


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device sends."""

    number: int
    """Its first reading has number 0, the next one 1."""
    celsius: float


@dataclass(slots=True)
class Summary:
    """What is known of a device."""

    readings: int = 0
    lowest: float = float("inf")
    highest: float = float("-inf")
    out_of_order: int = 0

    def add(self, reading: Reading) -> None:
        """Take one reading into account."""
        self.out_of_order += reading.number != self.readings
        self.readings += 1
        self.lowest = min(self.lowest, reading.celsius)
        self.highest = max(self.highest, reading.celsius)


class Station:
    """Takes readings in; leaving its block stores all summaries."""

    def __init__(self, *, max_keys: int, idle_timeout: float) -> None:
        """Take in readings.

        Args:
            max_keys: how many devices are to have a worker at the same time.
            idle_timeout: seconds after which the worker of a quiet device ends.
        """
        self.archive: dict[int, Summary] = {}
        """The summaries of the devices that have no worker; it stands for a database."""
        self.ends: Counter[mb.ExitCause] = Counter()
        """Why workers have ended; complete when the pool has ended."""
        self._causes: list[mb.ExitCause] = []
        self._batch: Final = max_keys
        self.pool: mb.Pool[int, Reading] = mb.Pool(
            self._device,
            start="on_demand",
            max_keys=max_keys,
            idle_timeout=idle_timeout,
            on_worker_exit=lambda worker: self._causes.append(worker.cause),
            name="station",
        )

    def _device(self, number: int) -> Generator[None, Reading]:
        summary = self.archive.pop(number, None) or Summary()
        try:
            while True:
                summary.add((yield))
        finally:
            self.archive[number] = summary

    def take(self, readings: Iterable[tuple[int, Reading]]) -> None:
        """Take in readings, each with the number of its device; return when all are stored."""
        with self.pool:
            for batch in itertools.batched(readings, self._batch, strict=False):
                self.pool.dispatch_all(batch)
                self.pool.flush()
        self.ends = Counter(self._causes)


def in_rounds(devices: int, rounds: int) -> Iterator[tuple[int, Reading]]:
    """Return a reading of each device, then another one of each, and so on."""
    for number in range(rounds):
        for device in range(devices):
            yield device, Reading(number, device % 40 + number / 2)


def main(devices: int = 2_000) -> None:
    """Take in three readings of each device, with a worker for one in ten of them."""
    station = Station(max_keys=max(1, devices // 10), idle_timeout=10.0)
    station.take(in_rounds(devices, rounds=3))
    summaries = station.archive.values()
    print(f"{len(summaries)} devices, {sum(each.readings for each in summaries)} readings")
    print(f"{sum(each.out_of_order for each in summaries)} out of order")
    print(f"from {min(each.lowest for each in summaries)} °C")
    print(f"to {max(each.highest for each in summaries)} °C")
    print("workers were evicted:", station.ends["evicted"] > 0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
