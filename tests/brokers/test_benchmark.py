"""The benchmark of brokers runs, and finds nothing wrong with the example; it finds what is."""

import logging
from collections.abc import Iterator

import pytest
from confluent_kafka import Message

from benchmarks import brokers


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    # The benchmark turns the library's log off.
    logger = logging.getLogger("threadpool_mb")
    level = logger.level
    yield
    logger.setLevel(level)


def test_nothing_is_lost_and_all_contenders_are_timed(capsys: pytest.CaptureFixture[str]) -> None:
    assert brokers.main(["--scale", "0.02", "--rounds", "1"]) == 0

    printed = capsys.readouterr().out
    assert "2,000 records, 0 lost" in printed
    assert printed.count("records a second") == 3


def test_a_record_that_is_not_handled_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = brokers.Seen.handle
    calls: list[object] = []

    def losing(seen: brokers.Seen, message: Message) -> None:
        calls.append(message)
        if len(calls) != 100:
            handle(seen, message)

    monkeypatch.setattr(brokers.Seen, "handle", losing)

    assert brokers.speed(brokers.Load(1000, 10), rounds=1)
