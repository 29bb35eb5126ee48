"""Messages that will not be handled: counted, handed to a hook, otherwise logged."""

import dataclasses
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

import threadpool_mb as mb
from tests.helpers import run_together
from threadpool_mb.dead_letters import DeadLetterOffice

R = mb.DeadLetterReason


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    return [record.getMessage() for record in caplog.records]


def test_every_dead_letter_is_counted_by_its_reason() -> None:
    office = DeadLetterOffice[str, int]("<Pool>", lambda letter: None)

    for reason in (R.REFUSED, R.REFUSED, R.POOL_CLOSED):
        office.take("key", 1, reason)

    assert office.counts() == {R.REFUSED: 2, R.POOL_CLOSED: 1}


def test_an_office_that_had_no_dead_letter_counts_none() -> None:
    assert DeadLetterOffice[str, int]("<Pool>").counts() == {}


def test_counts_are_a_snapshot() -> None:
    office = DeadLetterOffice[str, int]("<Pool>", lambda letter: None)
    before = office.counts()

    office.take("key", 1, R.REFUSED)

    assert before == {}


def test_the_hook_gets_each_dead_letter_and_nothing_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    letters: list[mb.DeadLetter[str, int]] = []
    office = DeadLetterOffice[str, int]("<Pool>", letters.append)

    office.take("a", 1, R.UNKNOWN_KEY)
    office.take("b", 2, R.WORKER_ENDED)
    office.flush()

    assert letters == [
        mb.DeadLetter("a", 1, R.UNKNOWN_KEY),
        mb.DeadLetter("b", 2, R.WORKER_ENDED),
    ]
    assert caplog.records == []


def test_a_hook_that_raises_is_logged_and_the_letter_counted_and_the_next_still_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    letters: list[mb.DeadLetter[str, int]] = []

    def hook(letter: mb.DeadLetter[str, int]) -> None:
        letters.append(letter)
        raise LookupError(letter.message)

    office = DeadLetterOffice("<Pool 'io'>", hook)

    for message in (1, 2):
        office.take("key", message, R.REFUSED)

    assert [letter.message for letter in letters] == [1, 2]
    assert office.counts() == {R.REFUSED: 2}
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert [record.getMessage() for record in caplog.records] == [
        "<Pool 'io'>: on_dead_letter raised"
    ] * 2
    assert "LookupError: 1" in caplog.text


def test_the_hook_may_ask_the_office_that_calls_it() -> None:
    counts = []

    def hook(letter: mb.DeadLetter[str, int]) -> None:
        counts.append(office.counts())

    office = DeadLetterOffice("<Pool>", hook)

    office.take("key", 1, R.REFUSED)

    assert counts == [{R.REFUSED: 1}]


def test_without_a_hook_the_first_of_a_kind_is_logged_with_owner_key_and_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    office = DeadLetterOffice[str, int]("<Pool 'io'>", now=Clock())

    office.take("a", 1, R.REFUSED)
    office.take("b", 1, R.POOL_CLOSED)

    assert lines(caplog) == [
        "<Pool 'io'>: dead letter for key 'a': refused by the limit",
        "<Pool 'io'>: dead letter for key 'b': pool closed",
    ]


def test_those_that_follow_within_a_second_are_summed_up_in_the_next_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    office = DeadLetterOffice[str, int]("<Pool>", now=clock)

    for seconds in (0.0, 0.0, 0.5, 0.499, 0.001, 0.0):
        clock.seconds += seconds
        office.take("a", 1, R.REFUSED)

    assert lines(caplog) == [
        "<Pool>: dead letter for key 'a': refused by the limit",
        "<Pool>: dead letter for key 'a': refused by the limit (3 more before it)",
    ]
    assert office.counts() == {R.REFUSED: 6}


def test_what_was_kept_back_is_logged_at_the_end_once(caplog: pytest.LogCaptureFixture) -> None:
    office = DeadLetterOffice[str, int]("<Pool>", now=Clock())
    for reason in (R.REFUSED, R.REFUSED, R.REFUSED, R.POOL_CLOSED):
        office.take("a", 1, reason)
    caplog.clear()

    office.flush()
    office.flush()

    assert lines(caplog) == ["<Pool>: 2 more dead letters: refused by the limit"]


def test_a_key_that_cannot_be_shown_is_logged_by_its_type(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Shy:
        def __repr__(self) -> str:
            raise LookupError

    office = DeadLetterOffice[Shy, int]("<Pool>", now=Clock())

    office.take(Shy(), 1, R.REFUSED)

    assert lines(caplog) == [
        "<Pool>: dead letter for key <Shy whose repr raises LookupError>: refused by the limit"
    ]


def test_a_message_is_never_shown_in_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    office = DeadLetterOffice[str, str]("<Pool>", now=Clock())

    office.take("a", "the secret", R.REFUSED)

    assert "the secret" not in caplog.text


def test_a_dead_letter_is_a_value() -> None:
    letter = mb.DeadLetter("key", 1, R.REFUSED)

    assert letter == mb.DeadLetter("key", 1, R.REFUSED)
    assert letter != mb.DeadLetter("key", 2, R.REFUSED)
    with pytest.raises(dataclasses.FrozenInstanceError):
        letter.message = 2  # type: ignore[misc]


def test_every_reason_reads_as_words() -> None:
    assert {str(reason) for reason in R} == {
        "unknown key",
        "refused by the limit",
        "worker removed",
        "worker ended",
        "worker failed",
        "worker idle",
        "worker evicted",
        "expired",
        "not due yet",
        "pool closed",
        "duplicate initialize",
        "displaced",
        "demultiplex failed",
        "node lost",
        "unreadable",
    }


def test_every_reason_is_told_of_in_the_design() -> None:
    design = (Path(__file__).parents[1] / "docs/design.md").read_text("utf-8")

    assert [str(reason) for reason in R if f'`"{reason}"`' not in design] == []


@pytest.mark.racing
def test_the_dead_letters_of_many_threads_are_each_counted_and_each_reach_the_hook() -> None:
    letters: list[mb.DeadLetter[int, int]] = []
    office = DeadLetterOffice[int, int]("<Pool>", letters.append)

    def take(key: int) -> Callable[[], None]:
        def run() -> None:
            for message in range(100):
                office.take(key, message, R.REFUSED)

        return run

    run_together(*(take(key) for key in range(4)))

    assert office.counts() == {R.REFUSED: 400}
    by_key = {key: [le.message for le in letters if le.key == key] for key in range(4)}
    assert by_key == {key: list(range(100)) for key in range(4)}


@pytest.mark.racing
def test_what_many_threads_had_kept_back_is_summed_up_exactly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    office = DeadLetterOffice[int, int]("<Pool>", now=Clock())

    def take() -> None:
        for message in range(100):
            office.take(0, message, R.REFUSED)

    run_together(take, take, take)
    office.flush()

    assert lines(caplog)[1:] == ["<Pool>: 299 more dead letters: refused by the limit"]


def test_a_dead_letter_that_comes_while_another_one_is_counted_is_counted_too() -> None:
    office: DeadLetterOffice[str, int] = DeadLetterOffice("io", lambda letter: None)

    def take() -> None:
        office.take("a", 1, R.REFUSED)

    nested = FirstCall(take)
    sys.setprofile(nested)
    take()
    sys.setprofile(None)

    assert office.counts() == {"refused by the limit": 2}


class FirstCall:
    """Calls a function where the first Python function begins that `take` calls."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function: Callable[[], object] | None = function

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        caller = None if frame.f_back is None else frame.f_back.f_code
        function = self._function
        if event == "call" and caller is DeadLetterOffice.take.__code__ and function is not None:
            self._function = None
            function()
