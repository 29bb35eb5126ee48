"""A consumer of a partitioned log, as of Kafka: parallel by key, committed in order by partition.

Shows a `KeyedExecutor` and a `Pool` together: work by one key, book-keeping by another.

Read: `PartitionedLog`, which stands for Kafka; `Consumer`: `run`, which polls, `_process`, which is
called with each record, and `_commit_in_order`, a worker for each partition.

Leans on:

- **In order per key, parallel across keys.** `submit_keyed` runs the records of a key one at a
  time, in the order of the log (Kafka has all records of a key in one partition), and those of
  other keys on other threads. Keys need not be known before, and leave no trace.
- **One at a time.** A partition is a key of the pool, so that it takes no lock to note which of its
  offsets are processed, and to commit up to the first that is not.
- **Draining.** Leaving the blocks waits for all records, then for all commits.

**At least once.** An offset is committed when all records before it are processed. Whoever starts
after a crash starts there, and processes again what was processed and not committed yet.

**Back-pressure.** A record takes one of `in_flight` tickets before it is handed out, and gives it
back when it is committed, not when it is processed: so that is also the most that can be processed
twice. A key that is slow holds up the others once it has so many records behind it.

**Poison.** A record whose handler raises each time goes to the dead letters, and counts as
processed: else it would hold up its partition for ever.
"""

import threading
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import threadpool_mb as mb


@dataclass(frozen=True, slots=True)
class Record:
    """A record, and where it stands."""

    partition: int
    offset: int
    key: str
    value: str


class PartitionedLog:
    """Records in partitions by key, and how far each partition is processed."""

    def __init__(self, partitions: int) -> None:
        self.partitions: list[list[Record]] = [[] for _ in range(partitions)]
        self.committed = [0] * partitions
        """For each partition the offset to go on from."""

    def append(self, key: str, value: str) -> None:
        """Add a record to the partition of its key."""
        partition = zlib.crc32(key.encode()) % len(self.partitions)
        records = self.partitions[partition]
        records.append(Record(partition, len(records), key, value))

    def poll(self) -> Iterator[Record]:
        """Return what is not committed, from all partitions in turn, each in order."""
        offsets = list(self.committed)
        while any(offset < len(self.partitions[part]) for part, offset in enumerate(offsets)):
            for partition, offset in enumerate(offsets):
                if offset < len(self.partitions[partition]):
                    offsets[partition] += 1
                    yield self.partitions[partition][offset]

    def commit(self, partition: int, offset: int) -> None:
        """Note that all records before the offset are processed."""
        self.committed[partition] = offset


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that could not be processed, and why."""

    record: Record
    error: Exception


class Consumer:
    """Processes records, and goes on where the one before it was when it ended."""

    def __init__(
        self,
        log: PartitionedLog,
        handle: Callable[[Record], object],
        dead_letters: list[Poison],
        *,
        in_flight: int = 16,
        attempts: int = 3,
    ) -> None:
        """Make one that has not begun.

        Args:
            log: where the records are.
            handle: processes a record. If it raises an `Exception` it is called again; anything
                else ends the consumer, as if its process had died.
            dead_letters: where records go that cannot be processed.
            in_flight: the most records that are handed out and not committed.
            attempts: how often to call `handle` with a record.
        """
        self._log = log
        self._handle = handle
        self._dead_letters = dead_letters
        self._attempts = attempts
        self._tickets = threading.Semaphore(in_flight)
        self._crashes: list[BaseException] = []

    def run(self) -> None:
        """Process all records that are not committed."""
        offsets = mb.Pool(self._commit_in_order, name="offsets", on_worker_exit=self._ended)
        with offsets, mb.KeyedExecutor() as executor:
            for partition in range(len(self._log.partitions)):
                offsets.initialize(partition)
            for record in self._log.poll():
                self._tickets.acquire()
                if self._crashes:
                    break
                executor.submit_keyed(record.key, self._process, record, offsets)
        if self._crashes:
            raise self._crashes[0]

    def _process(self, record: Record, offsets: mb.Pool[int, int]) -> None:
        if self._crashes:
            return
        try:
            error = self._try(record)
        except BaseException as crash:  # noqa: BLE001 - it is for the thread that runs this
            self._crash(crash)
            return
        if error is not None:
            self._dead_letters.append(Poison(record, error))
        offsets.dispatch(record.partition, record.offset)

    def _try(self, record: Record) -> Exception | None:
        """Handle a record; return what was raised the last time, if it was raised each time."""
        error: Exception | None = None
        for _ in range(self._attempts):
            try:
                self._handle(record)
            except Exception as raised:  # noqa: BLE001 - the record is to blame, whatever it is
                error = raised
            else:
                return None
        return error

    def _commit_in_order(self, partition: int) -> Generator[None, int]:
        committed, processed = self._log.committed[partition], set[int]()
        while True:
            processed.add((yield))
            before = committed
            while committed in processed:
                processed.remove(committed)
                committed += 1
            if committed > before:
                self._log.commit(partition, committed)
                self._tickets.release(committed - before)

    def _ended(self, worker: mb.WorkerExit[int]) -> None:
        if worker.error is not None:  # it could not commit
            self._crash(worker.error)

    def _crash(self, error: BaseException) -> None:
        self._crashes.append(error)
        self._tickets.release()  # for the thread that runs this


class PowerCut(BaseException):
    """The end of a process."""


def main() -> None:
    """Consume a log with a poisoned record, and a power cut on the way; print what became of it."""
    keys = ["ann", "bob", "cid", "eve", "ida"]
    log = PartitionedLog(3)
    for number in range(20):
        for key in keys:
            log.append(key, str(number))
    processed: dict[str, list[int]] = {key: [] for key in keys}
    power_cuts = [("cid", "11")]
    dead_letters: list[Poison] = []

    def handle(record: Record) -> None:
        if (record.key, record.value) in power_cuts:
            power_cuts.clear()
            raise PowerCut
        if (record.key, record.value) == ("bob", "3"):
            raise ValueError("not a record")
        processed[record.key].append(int(record.value))

    try:
        Consumer(log, handle, dead_letters).run()
    except PowerCut:
        print("a power cut")
    Consumer(log, handle, dead_letters).run()

    for key, numbers in processed.items():
        firsts = list(dict.fromkeys(numbers))
        print(f"{key}: {len(firsts)} records, in order: {firsts == sorted(firsts)}")
    print(f"committed: {log.committed} of {[len(records) for records in log.partitions]}")
    print("given up:", {(poison.record.key, poison.record.value) for poison in dead_letters})


if __name__ == "__main__":
    main()
