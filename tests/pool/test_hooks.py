"""`on_worker_exit` and `on_dead_letter`."""

import contextlib
import logging
import threading

import pytest

from tests.helpers import until
from tests.pool.doubles import Boom, raising
from tests.pool.witness import END, Witness, finish
from threadpool_mb import Cancelled, DeadLetter, Pool, WorkerExit


def test_the_exit_hook_runs_on_the_workers_thread_once_its_leftovers_are_dead_letters(
    witness: Witness,
) -> None:
    seen: list[tuple[str, int, bool]] = []

    def hook(exit_: WorkerExit[str]) -> None:
        name = threading.current_thread().name
        on_its_thread = name.startswith(witness.thread_name("io", exit_.key))
        seen.append((on_its_thread, len(witness.letters), exit_.key in pool))

    with witness.pool(on_worker_exit=hook, name="io") as pool:
        pool.initialize("a", END)
        finish(pool)
    with witness.pool(on_worker_exit=hook, name="io") as pool:
        gate = witness.hold(pool, "b")
        pool.dispatch("b", END)
        pool.dispatch("b", "left")
        gate.open()
        finish(pool)

    assert seen == [(True, 0, False), (True, 1, False)]


def test_the_exit_hook_may_start_the_next_worker_of_the_key(witness: Witness) -> None:
    def restart(exit_: WorkerExit[str]) -> None:
        witness.exits.append(exit_)
        if exit_.error is not None:
            pool.initialize(exit_.key, "restarted")

    error = Boom()

    with witness.pool(on_worker_exit=restart) as pool:
        pool.initialize("a", error)
        until(lambda: witness.handled)
        assert pool.dispatch("a", "next")
        finish(pool)

    assert witness.ended == [("a", error), ("a", None)]
    assert witness.handled == [("a", "restarted"), ("a", "next")]


def test_the_exit_hook_may_dispatch_the_messages_that_were_left_to_a_successor(
    witness: Witness,
) -> None:
    def rescue(exit_: WorkerExit[str]) -> None:
        if exit_.error is not None and pool.initialize(exit_.key):
            for letter in witness.letters:
                pool.dispatch(letter.key, letter.message)

    with witness.pool(on_worker_exit=rescue) as pool:
        gate = witness.hold(pool, "a")
        for message in (Boom(), 1, 2):
            pool.dispatch("a", message)
        gate.open()
        until(lambda: len(witness.handled) == 2)

    assert witness.handled == [("a", 1), ("a", 2)]


def test_the_exit_hook_is_not_called_for_a_worker_that_never_started(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.remove("a")
        pool.initialize("a")
        pool.remove("a")
        gate.open()
        finish(pool)

    assert [exit_.incarnation for exit_ in witness.exits] == [1]


@pytest.mark.parametrize("error", [Boom(), SystemExit(), KeyboardInterrupt(), Cancelled()])
def test_an_exit_hook_that_raises_is_logged_and_changes_nothing_else(
    witness: Witness, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    with witness.pool(on_worker_exit=raising(error), name="io") as pool:
        gate = witness.hold(pool, "a")
        pool.remove("a", drain=True)
        pool.initialize("a", 1)
        gate.open()
        report = finish(pool)

    assert witness.handled == [("a", 1)]
    assert report.failed == 0
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [error, error]
    assert all(record.levelno == logging.ERROR for record in caplog.records)


def test_a_dead_letter_hook_that_raises_is_logged_and_loses_no_other_message(
    witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    error = Boom()

    def hook(letter: DeadLetter[str, int]) -> None:
        witness.letters.append(letter)
        raise error

    with witness.pool(on_dead_letter=hook) as pool:
        assert pool.dispatch("unknown", 1) is False
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 2)
        pool.dispatch("a", 3)
        pool.remove("a")
        gate.open()
        report = finish(pool)

    assert [message for _, message, _ in witness.dead] == [1, 2, 3]
    assert report.dead_letters == {"unknown key": 1, "worker removed": 2}
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [error] * 3


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt(), Cancelled()])
@pytest.mark.parametrize("worker", ["running", "dropped"])
def test_a_dead_letter_hook_that_raises_a_base_exception_loses_no_other_message(
    witness: Witness, caplog: pytest.LogCaptureFixture, error: BaseException, worker: str
) -> None:
    def hook(letter: DeadLetter[str, int]) -> None:
        witness.letters.append(letter)
        raise error

    with witness.pool(on_dead_letter=hook) as pool:
        gate = witness.hold(pool, "a")
        if worker == "dropped":
            pool.remove("a")
            pool.initialize("a")
        for number in range(3):
            pool.dispatch("a", number)
        # On the caller's thread it is the caller's (Ctrl-C), once all are dead letters.
        with pytest.raises(type(error)) if worker == "dropped" else contextlib.nullcontext():
            pool.cancel()
        gate.open()
        report = pool.join()

    logged = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [message for _, message, _ in witness.dead] == [0, 1, 2]
    assert report.dead_letters == {"pool closed": 3}
    assert logged == ([] if worker == "dropped" else [error])


def test_without_a_hook_dead_letters_are_logged_with_rate_limiting_and_summed_up_at_the_end(
    witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    with Pool(witness.work, name="io") as pool:
        for number in range(5):
            pool.dispatch("unknown", number)
        report = finish(pool)

    assert report.dead_letters == {"unknown key": 5}
    first, last = [record.getMessage() for record in caplog.records]
    assert first == "io: dead letter for key 'unknown': unknown key"
    assert last == "io: 4 more dead letters: unknown key"
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_the_dead_letter_hook_may_use_the_pool(witness: Witness) -> None:
    def hook(letter: DeadLetter[str, int]) -> None:
        pool.initialize("dead letters")
        pool.dispatch("dead letters", (letter.key, letter.message))

    with witness.pool(on_dead_letter=hook) as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)
        pool.remove("a")
        gate.open()
        until(lambda: witness.handled)

    assert witness.handled == [("dead letters", ("a", 1))]
