"""The consumer: at least once, in order per key, committed in order, also after crashes."""

import threading
from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from examples.kafka_consumer import Consumer, PartitionedLog, Poison, PowerCut, Record
from tests.helpers import in_thread, until

SETTINGS = settings(max_examples=20, deadline=None)


class WatchedLog(PartitionedLog):
    """Looks at each commit whether all before it is processed."""

    def __init__(self, partitions: int, keys: list[str]) -> None:
        super().__init__(partitions)
        self.finished: set[Record] = set()
        for number, key in enumerate(keys):
            self.append(key, str(number))

    @property
    def records(self) -> list[Record]:
        return [record for records in self.partitions for record in records]

    def of_key(self, key: str) -> list[Record]:
        return [record for record in self.records if record.key == key]

    def commit(self, partition: int, offset: int) -> None:
        assert offset > self.committed[partition]
        assert self.finished >= set(self.partitions[partition][:offset])
        super().commit(partition, offset)


class Handler:
    """Processes records, and looks how it is called."""

    def __init__(self, log: WatchedLog, in_flight: int) -> None:
        self.log = log
        self.in_flight = in_flight
        self.poison: set[str] = set()
        self.crash_at: set[int] = set()
        self.runs: list[defaultdict[str, list[Record]]] = []
        self._busy: dict[str, threading.Lock] = {
            record.key: threading.Lock() for record in log.records
        }
        self._lock = threading.Lock()
        self._calls = 0
        self.wrong: list[str] = []

    def start(self) -> None:
        self.runs.append(defaultdict(list))

    def __call__(self, record: Record) -> None:
        if not self._busy[record.key].acquire(blocking=False):
            self.wrong.append(f"two at once: {record}")
            return
        try:
            with self._lock:
                self._calls += 1
                if self._calls in self.crash_at:
                    raise PowerCut
                self.runs[-1][record.key].append(record)
                started = {record for run in self.runs[-1].values() for record in run}
                open_ = [r for r in started if r.offset >= self.log.committed[r.partition]]
                if len(open_) > self.in_flight:
                    self.wrong.append(f"{len(open_)} in flight")
                self.log.finished.add(record)
            if record.value in self.poison:
                raise ValueError(record.value)
        finally:
            self._busy[record.key].release()

    def consume(self) -> list[Poison]:
        """Consume the log, starting again after each crash."""
        dead_letters: list[Poison] = []
        while True:
            self.start()
            try:
                Consumer(self.log, self, dead_letters, in_flight=self.in_flight, attempts=2).run()
            except PowerCut:
                continue
            return dead_letters


keys = st.lists(st.sampled_from("abcdef"), max_size=60)


@SETTINGS
@example(keys=["a"] * 4, partitions=1, in_flight=1, poison={"3"}, crash_at={2})
@given(
    keys=keys,
    partitions=st.integers(1, 4),
    in_flight=st.integers(1, 20),
    poison=st.sets(st.integers(0, 59).map(str), max_size=5),
    crash_at=st.sets(st.integers(1, 80), max_size=4),
)
def test_records_are_processed_at_least_once_in_order_and_committed_after_that(
    keys: list[str], partitions: int, in_flight: int, poison: set[str], crash_at: set[int]
) -> None:
    log = WatchedLog(partitions, keys)
    handler = Handler(log, in_flight)
    handler.poison, handler.crash_at = poison, crash_at

    dead_letters = handler.consume()

    assert handler.wrong == []
    assert log.committed == [len(records) for records in log.partitions]
    assert log.finished == set(log.records)
    assert {letter.record.value for letter in dead_letters} == {
        record.value for record in log.records if record.value in poison
    }
    assert {str(letter.error) for letter in dead_letters} <= poison
    for key in set(keys):
        of_key, reached = log.of_key(key), 0
        for run in handler.runs:
            handled = list(dict.fromkeys(run[key]))  # what is tried again is tried at once
            if handled:
                first = of_key.index(handled[0])
                assert first <= reached
                assert handled == of_key[first : first + len(handled)]
                reached = max(reached, first + len(handled))
        assert reached == len(of_key)


@SETTINGS
@given(keys=keys, partitions=st.integers(1, 3), crash_at=st.integers(1, 60))
def test_a_crash_has_no_more_processed_again_than_were_in_flight(
    keys: list[str], partitions: int, crash_at: int
) -> None:
    log = WatchedLog(partitions, keys)
    handler = Handler(log, in_flight=5)
    handler.crash_at = {crash_at}

    handler.consume()

    assert handler.wrong == []
    runs = [{record for records in run.values() for record in records} for run in handler.runs]
    assert len(runs) == (2 if crash_at <= len(keys) else 1)
    assert len(set.intersection(*runs)) < 5 or len(runs) == 1


def test_what_was_processed_and_not_committed_is_processed_again_after_a_crash() -> None:
    log = PartitionedLog(1)
    for key in ("slow", "fast", "fast"):
        log.append(key, "")
    fast_done, processed = threading.Semaphore(0), []

    def handle(record: Record) -> None:
        if record.key == "slow":
            if not processed.count("slow"):
                processed.append("slow")
                fast_done.acquire()
                fast_done.acquire()
                raise PowerCut
        else:
            fast_done.release()
        processed.append(record.key)

    with pytest.raises(PowerCut):
        Consumer(log, handle, []).run()
    assert log.committed == [0]
    Consumer(log, handle, []).run()

    assert log.committed == [3]
    assert processed.count("fast") == 4


def test_after_a_crash_nothing_more_of_its_key_is_processed() -> None:
    polled, begun = threading.Event(), []

    class TellingLog(PartitionedLog):
        def poll(self) -> Iterator[Record]:
            yield from super().poll()
            polled.set()

    log = TellingLog(1)
    for number in range(3):
        log.append("key", str(number))

    def handle(record: Record) -> None:
        begun.append(record.value)
        polled.wait()
        raise PowerCut

    with pytest.raises(PowerCut):
        Consumer(log, handle, []).run()

    assert begun == ["0"]
    assert log.committed == [0]


@pytest.mark.parametrize("in_flight", [1, 3])
def test_no_more_records_are_handed_out_than_may_be_in_flight(in_flight: int) -> None:
    log = PartitionedLog(2)
    for number in range(10):
        log.append(f"key {number}", "")
    go_on, begun = threading.Event(), []

    def handle(record: Record) -> None:
        begun.append(record)
        go_on.wait()

    with in_thread(lambda: Consumer(log, handle, [], in_flight=in_flight).run()):
        until(lambda: len(begun) == in_flight)
        polled = list(begun)
        go_on.set()

    assert len(polled) == in_flight
    assert len(begun) == 10


def test_a_record_that_can_be_processed_in_the_end_is_no_poison() -> None:
    log, attempts = PartitionedLog(1), []
    log.append("key", "value")

    def handle(record: Record) -> None:
        attempts.append(record)
        if len(attempts) < 3:
            raise ValueError

    dead_letters: list[Poison] = []
    Consumer(log, handle, dead_letters, attempts=3).run()

    assert dead_letters == []
    assert len(attempts) == 3
    assert log.committed == [1]


@pytest.mark.parametrize("in_flight", [1, 4])
def test_a_consumer_that_cannot_commit_ends(
    in_flight: int, caplog: pytest.LogCaptureFixture
) -> None:
    class FullLog(PartitionedLog):
        def commit(self, partition: int, offset: int) -> None:
            if offset == 2:
                raise OSError("no space left")
            super().commit(partition, offset)

    log = FullLog(1)
    for _ in range(100):
        log.append("key", "value")

    with pytest.raises(OSError, match="no space left"):
        Consumer(log, lambda _: None, [], in_flight=in_flight).run()

    assert log.committed == [1]
    assert "no space left" in caplog.text
