"""Heartbeats: each device is polled at a fixed interval, connected anew if need be, or given up.

**Problem.** Each of many devices is to be polled every so many milliseconds. A poll may fail: then
the connection is made anew, after a pause that grows. A device that fails again and again is given
up and reported, and nothing more is sent to it. The others go on.

**Solution.** A device is a key. `dispatch_every` sends its worker a tick at each interval, from a
thread that the pool has anyway. A worker that raises is started again by `mb.Restart`, as often as
that says; ticks wait meanwhile. The pool calls `on_worker_exit` at each end of a worker, before a
restart as well: a key that has a worker no more, `key not in pool`, has ended for good. This is the
supervisor: it cancels the ticks of that device and reports it.

Devices are started by hand here, not on demand: a tick must not start one that was given up.

Read: `Device`, which stands for hardware; `Monitor`, above all `_poll` and `_ended`.
"""

import logging
import queue
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import threadpool_mb as mb


class Device:
    """Gives one reading after the other; an `OSError` among them is raised."""

    def __init__(self, readings: Iterable[int | OSError]) -> None:
        self.connections = 0
        self._readings: Final = iter(readings)

    def connect(self) -> None:
        """Connect, so that it can be polled."""
        self.connections += 1

    def poll(self) -> int | None:
        """Return the next reading, `None` if there is none any more."""
        reading = next(self._readings, None)
        if isinstance(reading, OSError):
            raise reading
        return reading


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a device."""

    readings: tuple[int, ...]
    error: BaseException | None
    """Why it was given up; `None` if it has given all its readings."""


class Monitor:
    """Polls devices until each has ended or was given up."""

    def __init__(self, devices: dict[str, Device], *, interval: float, restart: mb.Restart) -> None:
        """Poll each device once in `interval` seconds, and connect anew as `restart` says."""
        self._devices: Final = devices
        self._interval: Final = interval
        self._readings: Final = {name: list[int]() for name in devices}
        self._timers: Final[dict[str, mb.Timer]] = {}
        self._ends: Final[queue.SimpleQueue[mb.WorkerExit[str]]] = queue.SimpleQueue()
        self._pool: Final[mb.Pool[str, None]] = mb.Pool(
            self._poll,
            restart=restart,
            on_worker_exit=self._ended,
            on_dead_letter=lambda _: None,  # a tick of a device that has just ended
            name="monitor",
        )

    def _poll(self, name: str) -> Generator[None]:
        device = self._devices[name]
        device.connect()
        while True:
            yield  # the next tick
            reading = device.poll()
            if reading is None:
                return
            self._readings[name].append(reading)

    def _ended(self, worker: mb.WorkerExit[str]) -> None:
        if worker.key not in self._pool:  # it is not started again
            self._timers[worker.key].cancel()
            self._ends.put(worker)

    def run(self) -> dict[str, Outcome]:
        """Poll; return what became of each device."""
        with self._pool as pool:
            for name in self._devices:
                # Before the worker starts, and may end: that cancels the ticks.
                self._timers[name] = pool.dispatch_every(self._interval, name, None)
                pool.initialize(name)
            ends = [self._ends.get() for _ in self._devices]
        errors = {end.key: end.error for end in ends}
        return {
            name: Outcome(tuple(readings), errors[name])
            for name, readings in self._readings.items()
        }


def show(outcomes: dict[str, Outcome], devices: dict[str, Device]) -> Sequence[str]:
    """Return a line for each device."""
    return [
        f"{name}: {len(outcome.readings)} readings, {devices[name].connections} connections, "
        + ("complete" if outcome.error is None else f"given up: {outcome.error}")
        for name, outcome in outcomes.items()
    ]


def main() -> None:
    """Poll a good device, one that fails at times, and one that fails for good."""
    logging.getLogger("threadpool_mb").setLevel(logging.CRITICAL)  # it logs each failure
    devices = {
        "good": Device(range(20)),
        "shaky": Device([1, OSError("no answer"), 2, 3, OSError("no answer"), 4]),
        "dead": Device([1, 2, *(OSError(f"no answer, {number}") for number in range(1, 10))]),
    }
    restart = mb.Restart(max_restarts=3, delay=0.002, factor=2.0)
    outcomes = Monitor(devices, interval=0.005, restart=restart).run()
    print("\n".join(show(outcomes, devices)))


if __name__ == "__main__":
    main()
