"""The threads that workers run on, and what happens when the system gives none."""

import contextvars
import logging
import re
import threading
from typing import Any

import pytest

from tests.helpers import DEADLINE, leaving, until
from tests.insides import threads_of
from tests.pool.witness import END, Witness, finish, named
from threadpool_mb import Mailbox, Pool, ThreadRefused

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def until_all_idle(pool: Pool[Any, Any]) -> None:
    """Wait until every thread that has run a worker waits for the next one."""
    cache = threads_of(pool)
    until(lambda: not leaving(pool) and len(pool) == 0 and len(cache._idle) == len(cache))


@pytest.mark.parametrize("witness", ["function"], indirect=True)
def test_workers_one_after_the_other_reuse_a_thread(witness: Witness) -> None:
    seen: list[tuple[threading.Thread, str]] = []

    def worker(key: object, mailbox: Mailbox[object]) -> None:
        thread = threading.current_thread()
        seen.append((thread, thread.name))

    with witness.pool(worker, name="io") as pool:
        for key in range(5):
            pool.initialize(key)
            until_all_idle(pool)

        assert pool.stats().threads == 2

    assert len({thread for thread, _ in seen}) == 1
    assert [name for _, name in seen] == [f"io-{key}" for key in range(5)]


@pytest.mark.parametrize("witness", ["function"], indirect=True)
def test_each_worker_sees_an_empty_context_also_on_a_reused_thread(witness: Witness) -> None:
    seen: list[tuple[threading.Thread, str, int]] = []

    def worker(key: object, mailbox: Mailbox[object]) -> None:
        context = contextvars.copy_context()
        seen.append((threading.current_thread(), variable.get(), len(context)))
        variable.set(f"set by {key}")

    def start_pool() -> None:
        # A thread copies its starter's context on 3.14t: the dispatcher that starts the workers'
        # threads has this one.
        variable.set("set by the pool's owner")
        with witness.pool(worker, name="io") as pool:
            for key in range(3):
                pool.initialize(key)
                until_all_idle(pool)

    contextvars.copy_context().run(start_pool)

    assert len({thread for thread, _, _ in seen}) == 1
    assert [rest for _, *rest in seen] == [["unset", 0]] * 3


def test_a_worker_without_a_thread_fails_with_a_clear_error_and_the_pool_lives_on(
    witness: Witness, refusing: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    with witness.pool(name="io") as pool:
        refusing.set()
        assert pool.initialize("a", 1)
        until(lambda: witness.exits)
        assert pool.dispatch("a", 2) is False
        refusing.clear()
        assert pool.initialize("a", 3)
        report = finish(pool)

    refused, later = witness.exits
    assert isinstance(refused.error, ThreadRefused)
    assert re.search(r"the system started no thread .*\(0 are running\)", str(refused.error))
    assert "can't start new thread" in str(refused.error)
    assert later.error is None
    assert witness.dead == [("a", 1, "worker failed"), ("a", 2, "unknown key")]
    assert witness.handled == [("a", 3)]
    assert report.failed == 1
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == f"io: the worker of key 'a' was not started: {refused.error}"
    assert record.exc_info is None


@pytest.mark.parametrize("witness", ["function"], indirect=True)
def test_workers_that_have_a_thread_are_unaffected_by_one_that_gets_none(
    witness: Witness, refusing: threading.Event
) -> None:
    with witness.pool() as pool:
        witness.start(pool, "a")
        gate = witness.hold(pool, "a")
        refusing.set()
        pool.initialize("b", 1)
        until(lambda: witness.exits)
        pool.dispatch("a", 2)
        gate.open()
        finish(pool)

    assert witness.handled == [("a", 2)]
    assert witness.dead == [("b", 1, "worker failed")]


@pytest.mark.parametrize("witness", ["function"], indirect=True)
def test_a_worker_needs_no_new_thread_where_one_is_idle(
    witness: Witness, refusing: threading.Event
) -> None:
    with witness.pool(name="io") as pool:
        pool.initialize("a", END)
        until_all_idle(pool)
        refusing.set()
        pool.initialize("b", 1)
        finish(pool)

    assert witness.handled == [("b", 1)]


def test_a_pool_without_a_dispatcher_thread_is_refused_clearly_and_warns_of_nothing(
    witness: Witness, refusing: threading.Event, recwarn: pytest.WarningsRecorder
) -> None:
    refusing.set()

    with pytest.raises(ThreadRefused, match="no thread for the pool 'io': can't start new thread"):
        Pool(witness.work, name="io")

    assert list(recwarn) == []
    assert named("io") == []


@pytest.mark.parametrize("witness", ["function"], indirect=True)
def test_hundreds_of_short_workers_share_few_threads(witness: Witness) -> None:
    with witness.pool() as pool:
        for batch in range(30):
            for number in range(10):
                pool.initialize((batch, number), END)
            until_all_idle(pool)

        threads_of_workers = pool.stats().threads - 1
        assert 1 <= threads_of_workers <= 10

    assert len(witness.exits) == 300


@pytest.mark.parametrize("witness", ["function"], indirect=True)
def test_each_of_the_workers_that_run_at_once_has_a_thread_of_its_own(witness: Witness) -> None:
    together = threading.Barrier(50)
    seen: list[threading.Thread] = []

    def worker(key: object, mailbox: Mailbox[object]) -> None:
        together.wait(DEADLINE)
        seen.append(threading.current_thread())

    with witness.pool(worker) as pool:
        for key in range(50):
            pool.initialize(key)
        finish(pool)

    assert len(set(seen)) == 50
