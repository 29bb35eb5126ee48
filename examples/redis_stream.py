"""A consumer of Redis Streams: parallel by key, in order per key, acknowledged when it is done.

**Problem.** As in kafka_consumer.py. But Redis hands the entries of a stream to any consumer of a
group: two of them would handle entries of one key at once. And what was handed to a dead consumer
stays its own until another one claims it.

**Solution.** There are several streams, and a key's hash says which is its own. One consumer at a
time reads a stream, the holder of its lease. Retries are those of kafka_consumer.py.

- **Taking over.** The new holder first claims what the last one has not acknowledged. That is older
  than all that is read next, so that the order stays. Only that can be done twice.
- **Back-pressure.** At most `high` entries are in flight; Redis keeps what nobody reads.
- **The end.** `stop` finishes and acknowledges what is in flight, and gives the leases back.
"""

import contextlib
import itertools
import logging
import queue
import shutil
import subprocess
import tempfile
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final

import redis
from redis.exceptions import LockError, ResponseError
from redis.lock import Lock

import threadpool_mb as mb

LEASE: Final = 5.0  # seconds until the streams of a dead consumer go to others
_log: Final = logging.getLogger("redis_stream")


type Entry = tuple[str, bytes, dict[bytes, bytes]]
"""A stream, an entry's number, and its fields, of which `key` is one."""


class _Stream:
    """A stream while its lease is held."""

    def __init__(self, name: str, lease: Lock) -> None:
        self.name: Final = name
        self.lease: Final = lease
        self.claimed: bytes | None = b"0-0"  # up to here; None when all is claimed
        self.given_back = False  # then the workers begin no more of its entries


def stream_of(key: str, streams: Sequence[str]) -> str:
    """Return the stream in which a key's entries are."""
    return streams[zlib.crc32(key.encode()) % len(streams)]


class KeyedConsumer:
    """Handles the entries of some streams until it is stopped."""

    def __init__(
        self,
        client: redis.Redis,
        group: str,
        streams: Sequence[str],
        handle: Callable[[Entry], object],
        give_up: Callable[[Entry, Exception], object],
        *,
        threads: int = 16,
        high: int = 1000,
        pauses: Sequence[float] = (0.01, 0.1, 1.0),
    ) -> None:
        """Make one that has not begun.

        Args:
            client: whose answers are not decoded.
            group: made if it is not there.
            streams: their names.
            handle: called by a thread of the pool, again if it raises an `Exception`. Anything else
                ends the consumer, as if its process had died; so does what `give_up` raises.
            give_up: called with an entry that has failed each time.
            threads: the most that handle entries.
            high: the most entries in flight; as many can be done twice after a crash.
            pauses: seconds before each attempt but the first.
        """
        self.in_flight = 0  # entries that are taken, and not acknowledged
        self._client: Final = client
        self._group: Final = group
        self._handle: Final = handle
        self._give_up: Final = give_up
        self._high: Final = high
        self._pauses: Final = pauses
        self._names: Final = streams
        self._held: Final[dict[str, _Stream]] = {}
        self._back: Final = queue.SimpleQueue[tuple[_Stream, bytes | None]]()
        self._stopped: Final = threading.Event()
        self._crash: BaseException | None = None
        self._next_look = 0.0
        self._pool: Final = mb.Pool(
            self._handle_in_order,
            max_threads=threads,
            start="on_demand",
            idle_timeout=60.0,
            on_worker_exit=self._ended,
            on_dead_letter=lambda _: None,  # after a crash: not acknowledged, so not lost
        )
        for name in streams:
            with contextlib.suppress(ResponseError):  # it is there
                client.xgroup_create(name, group, id="0", mkstream=True)

    def stop(self) -> None:
        """Let `run` finish what is in flight, and return. From any thread."""
        self._stopped.set()

    def run(self) -> None:
        """Consume; raise what ended the consumer, if that was not `stop`."""
        with self._pool:
            while not self._stopped.is_set():
                self._keep_leases()
                self._settle(0.0 if self._read() else 0.01)
            while self._crash is None and self.in_flight:
                self._keep_leases()
                self._settle(0.1)
        for stream in self._held.values():
            stream.lease.release()
        if self._crash is not None:
            raise self._crash

    def _keep_leases(self) -> None:
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LEASE / 4
        for name in self._names:
            if (stream := self._held.get(name)) is not None:
                try:
                    stream.lease.extend(LEASE, replace_ttl=True)
                except LockError:
                    _log.warning("%s: the lease is lost", name)
                    self._held.pop(name).given_back = True
            elif not self._stopped.is_set():
                lease = self._client.lock(f"{name}:lease", LEASE, thread_local=False)
                if lease.acquire(blocking=False):
                    self._held[name] = _Stream(name, lease)

    def _read(self) -> bool:
        """Take as many entries as there is room for; return whether there were any."""
        before = self.in_flight
        for stream in self._held.values():
            if stream.claimed is not None and self.in_flight < self._high:
                self._claim(stream, stream.claimed)
        new: dict[Any, Any] = {s.name: ">" for s in self._held.values() if s.claimed is None}
        share = (self._high - self.in_flight) // max(len(new), 1)  # it is for each stream
        if new and share:
            block = None if self.in_flight else 50  # ms; what is in flight is acknowledged soon
            read: Any = self._client.xreadgroup(self._group, "holder", new, share, block)
            for name, entries in read:
                for number, fields in entries:
                    self._hand_out(self._held[name.decode()], number, fields)
        return self.in_flight > before

    def _claim(self, stream: _Stream, start: bytes) -> None:
        room, name = self._high - self.in_flight, stream.name
        reply: Any = self._client.xautoclaim(name, self._group, "holder", 0, start, room)
        behind, entries, trimmed = reply
        for number in trimmed:
            _log.error("%s: entry %s was trimmed before it was done", name, number)
        for number, fields in entries:
            self._hand_out(stream, number, fields)
        stream.claimed = None if behind == b"0-0" else behind

    def _hand_out(self, stream: _Stream, number: bytes, fields: dict[bytes, bytes]) -> None:
        """Give an entry to the worker of its key: the one place at which more come to wait."""
        self.in_flight += 1
        self._pool.dispatch(fields[b"key"], (stream, (stream.name, number, fields)))

    def _handle_in_order(self, _key: bytes) -> Generator[Any, tuple[_Stream, Entry]]:
        while True:
            stream, entry = yield
            number = None
            for pause in [*self._pauses, None]:
                if stream.given_back or self._crash is not None:
                    break
                try:
                    self._handle(entry)
                except Exception as error:  # noqa: BLE001 - the entry is to blame, whatever it is
                    if pause is not None:
                        yield from mb.sleep(pause)
                        continue
                    self._give_up(entry, error)
                number = entry[1]
                break
            self._back.put((stream, number))

    def _ended(self, worker: mb.WorkerExit[bytes]) -> None:
        if worker.error is not None:
            self._crash = worker.error
            self._stopped.set()

    def _settle(self, timeout: float) -> None:
        """Acknowledge what is done; wait for the first of it."""
        done = defaultdict[str, list[bytes]](list)
        with contextlib.suppress(queue.Empty):
            while self._crash is None:
                stream, number = self._back.get(timeout=0.0 if done else timeout)
                self.in_flight -= 1
                if number is not None:
                    done[stream.name].append(number)
        for name, numbers in done.items():
            self._client.xack(name, self._group, *numbers)


@contextlib.contextmanager
def redis_server() -> Generator[str]:
    """Run a server that keeps nothing on disk; yield the path of its socket."""
    program = shutil.which("redis-server")
    if program is None:
        raise FileNotFoundError("redis-server is not on PATH: apt-get install redis-server")
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", "0", "--unixsocket", f"{folder}/socket", "--dir", folder, "--save", ""]
        with subprocess.Popen([program, *options], stdout=subprocess.DEVNULL) as server:  # noqa: S603
            try:
                yield f"{folder}/socket"
            finally:
                server.terminate()


def main() -> None:
    """Consume two streams, with a stop on the way; print what became of their entries."""
    booked, calls = defaultdict[str, list[int]](list), itertools.count(1)
    streams = ["orders:0", "orders:1"]

    def book(entry: Entry) -> None:
        booked[entry[2][b"key"].decode()].append(int(entry[2][b"value"]))
        if next(calls) in {400, 1000}:
            consumer.stop()

    with redis_server() as path, redis.Redis(unix_socket_path=path) as client:
        for number in range(1000):
            key = f"account {number % 5}"
            client.xadd(stream_of(key, streams), {"key": key, "value": number})
        for _ in range(2):
            consumer = KeyedConsumer(client, "books", streams, book, print, high=100)
            consumer.run()
    for key, numbers in sorted(booked.items()):
        print(f"{key}: {len(numbers)} entries, in order: {numbers == sorted(set(numbers))}")


if __name__ == "__main__":
    main()
