"""What workers have raised, until a test has seen to it."""

from threadpool_mb import WorkerExit
from threadpool_mb.testing.failures import Failures


def test_an_error_that_one_worker_raises_twice_has_one_note_of_it() -> None:
    error = ValueError("no")
    failures = Failures[str](7)

    for _ in range(2):
        failures.add(_exit("alice", error))

    assert failures.take() == [error, error]
    assert error.__notes__ == ["raised by the worker of key 'alice'; seed 7"]
    assert failures.take() == []


def test_an_error_that_two_workers_raise_has_a_note_of_each() -> None:
    error = ValueError("no")
    failures = Failures[str](None)

    failures.add(_exit("alice", error))
    failures.add(_exit("bob", error))
    failures.take()

    assert error.__notes__ == [
        "raised by the worker of key 'alice'",
        "raised by the worker of key 'bob'",
    ]


def _exit(key: str, error: Exception) -> WorkerExit[str]:
    return WorkerExit(key, 1, error, "failed")
