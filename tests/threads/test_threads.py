"""`ThreadCache`: threads that are started when needed, reused, and joined at the end."""

import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.helpers import DEADLINE, in_thread, until
from threadpool_mb import ThreadRefused
from threadpool_mb.arguments import Deadline
from threadpool_mb.threads import cached
from threadpool_mb.threads.cached import ThreadCache

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@contextlib.contextmanager
def caching(*, idle_seconds: float = 60) -> Iterator[ThreadCache]:
    """Make a cache; close and join it at the end of the block."""
    cache = ThreadCache("c", idle_seconds=idle_seconds)
    try:
        yield cache
    finally:
        cache.close()
        assert cache.join(Deadline(DEADLINE))


class Job:
    """Tells on which thread it runs, and stays there until it is let go."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self._started = threading.Event()
        self._go = threading.Event()

    def __call__(self) -> None:
        """Run."""
        self.thread = threading.current_thread()
        self._started.set()
        assert self._go.wait(DEADLINE)

    def wait_until_started(self) -> threading.Thread:
        """Return the thread that the job runs on."""
        assert self._started.wait(DEADLINE)
        assert self.thread is not None
        return self.thread

    def go(self) -> None:
        """Let the job return."""
        self._go.set()


def run(cache: ThreadCache) -> threading.Thread:
    """Run a job, wait until its thread is idle again, and return the thread."""
    job = Job()
    idle = len(cache._idle)
    cache.start(job)
    thread = job.wait_until_started()
    job.go()
    until(lambda: len(cache._idle) >= max(idle, 1))
    return thread


def test_a_job_runs_on_a_thread_that_is_no_daemon() -> None:
    with caching() as cache:
        thread = run(cache)

        assert thread is not threading.current_thread()
        assert thread.daemon is False
        assert len(cache) == 1


def test_jobs_one_after_the_other_share_a_thread() -> None:
    with caching() as cache:
        used = {run(cache) for _ in range(10)}

        assert len(used) == 1
        assert len(cache) == 1


def test_no_job_waits_for_another_to_end() -> None:
    jobs = [Job() for _ in range(5)]

    with caching() as cache:
        for job in jobs:
            cache.start(job)
        used = {job.wait_until_started() for job in jobs}
        for job in jobs:
            job.go()

    assert len(used) == 5


def test_the_thread_that_was_used_last_is_used_next() -> None:
    first, second = Job(), Job()

    with caching() as cache:
        cache.start(first)
        cache.start(second)
        threads_used = [first.wait_until_started(), second.wait_until_started()]
        second.go()
        until(lambda: len(cache._idle) == 1)
        first.go()
        until(lambda: len(cache._idle) == 2)

        assert run(cache) is threads_used[0]


def test_an_idle_thread_is_named_after_the_cache_whatever_its_job_has_named_it() -> None:
    def job() -> None:
        threading.current_thread().name = "named by the job"

    with caching() as cache:
        cache.start(job)
        until(lambda: cache._idle)

        assert [thread.name for thread in cache._threads] == ["c-idle"]


def test_a_thread_that_was_idle_for_its_time_ends() -> None:
    with caching(idle_seconds=0.001) as cache:
        job = Job()
        cache.start(job)
        thread = job.wait_until_started()
        job.go()

        until(lambda: not thread.is_alive())

        assert len(cache) == 0
        assert thread not in cache
        assert len(cache._idle) == 0


def test_after_its_threads_have_ended_the_cache_starts_new_ones() -> None:
    with caching(idle_seconds=0.001) as cache:
        seen: list[threading.Thread] = []
        for _ in range(3):
            cache.start(lambda: seen.append(threading.current_thread()))
            until(lambda: len(cache) == 0)

    assert len(set(seen)) == 3


class StagedJobs(queue.SimpleQueue[Callable[[], object] | None]):
    """Jobs for which an idle thread waits until the test says that its time has run out."""

    def __init__(self) -> None:
        self.times_out = threading.Event()
        self.waits = threading.Event()
        self._first = True

    def get(self, block: bool = True, timeout: float | None = None) -> Callable[[], object] | None:  # noqa: FBT001, FBT002 - as in the original
        if timeout is None or self._first:
            self._first = False
            return super().get(block, timeout)
        self.waits.set()
        assert self.times_out.wait(DEADLINE)
        raise queue.Empty


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> list[StagedJobs]:
    """Return the queues of the threads that a cache makes from now on."""
    made: list[StagedJobs] = []
    original = cached._CachedThread.__init__

    def init(self: cached._CachedThread, cache: ThreadCache, name: str) -> None:
        original(self, cache, name)
        made.append(StagedJobs())
        object.__setattr__(self, "jobs", made[-1])

    monkeypatch.setattr(cached._CachedThread, "__init__", init)
    return made


def test_a_job_that_comes_when_the_idle_time_has_just_run_out_is_run(
    staged: list[StagedJobs],
) -> None:
    seen: list[threading.Thread] = []

    with caching() as cache:
        cache.start(lambda: seen.append(threading.current_thread()))
        until(lambda: len(staged) > 0 and staged[0].waits.is_set())

        cache.start(lambda: seen.append(threading.current_thread()))
        staged[0].times_out.set()

        until(lambda: len(seen) == 2)

    assert len(staged) == 1
    assert seen[0] is seen[1]


def test_a_cache_that_is_closed_when_the_idle_time_has_just_run_out_ends(
    staged: list[StagedJobs],
) -> None:
    with caching() as cache:
        cache.start(lambda: None)
        until(lambda: len(staged) > 0 and staged[0].waits.is_set())

        cache.close()
        staged[0].times_out.set()

        assert cache.join(Deadline(DEADLINE))
        assert len(cache) == 0


def test_a_job_that_comes_after_the_thread_has_given_up_gets_a_new_thread(
    staged: list[StagedJobs],
) -> None:
    seen: list[threading.Thread] = []

    with caching() as cache:
        cache.start(lambda: seen.append(threading.current_thread()))
        until(lambda: len(staged) > 0 and staged[0].waits.is_set())
        staged[0].times_out.set()
        until(lambda: len(cache) == 0)

        cache.start(lambda: seen.append(threading.current_thread()))
        until(lambda: len(seen) == 2)
        staged[1].times_out.set()

    assert len(set(seen)) == 2


def test_each_job_runs_in_an_empty_context() -> None:
    seen: list[tuple[str, int]] = []

    def job() -> None:
        seen.append((variable.get(), len(contextvars.copy_context())))
        variable.set("set by the job before")

    def start_jobs() -> None:
        variable.set("set by the starter")  # whose context a new thread has on 3.14t
        with caching() as cache:
            for number in range(3):
                cache.start(job)
                until(lambda: len(seen) == number + 1 and cache._idle)  # noqa: B023 - runs at once

    contextvars.copy_context().run(start_jobs)

    assert seen == [("unset", 0)] * 3


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError("none")])
def test_a_refused_thread_raises_a_clear_error_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    held = Job()

    def refuse(thread: threading.Thread) -> None:
        raise error

    with caching() as cache:
        cache.start(held)
        held.wait_until_started()
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(ThreadRefused) as caught:
                cache.start(held)
        after = len(cache), len(cache._threads)
        held.go()
        until(lambda: cache._idle)
        run(cache)

    assert str(caught.value) == (
        f"the system started no thread for a worker (1 are running): {error}"
    )
    assert caught.value.__cause__ is error
    assert after == (1, 1)


def test_close_ends_idle_threads_at_once_and_busy_ones_after_their_job() -> None:
    busy = Job()
    done = Job()

    with caching() as cache:
        cache.start(busy)
        cache.start(done)
        busy_thread, idle_thread = busy.wait_until_started(), done.wait_until_started()
        done.go()
        until(lambda: cache._idle)

        cache.close()

        idle_thread.join(DEADLINE)
        assert not idle_thread.is_alive()
        assert busy_thread.is_alive()
        assert len(cache) == 1
        assert cache.join(Deadline(0)) is False
        busy.go()
        assert cache.join(Deadline(DEADLINE)) is True
        assert len(cache) == 0


def test_close_can_be_repeated() -> None:
    with caching() as cache:
        run(cache)

        cache.close()
        cache.close()

        assert cache.join(Deadline(DEADLINE))


def test_join_waits_for_the_threads() -> None:
    job = Job()

    with caching() as cache:
        cache.start(job)
        job.wait_until_started()
        cache.close()
        with in_thread(lambda: cache.join(Deadline(None))) as joining:
            assert joining.running
            job.go()

            assert joining.result() is True


def test_a_cache_without_threads_is_joined_at_once() -> None:
    with caching() as cache:
        cache.close()

        assert cache.join(Deadline(0)) is True


def test_a_cache_contains_its_threads_and_no_others() -> None:
    with caching() as cache:
        thread = run(cache)

        assert thread in cache
        assert threading.current_thread() not in cache


def test_what_a_job_holds_is_dropped_while_its_thread_is_idle() -> None:
    class Held:
        pass

    freed = threading.Event()

    def job_holding(held: Held) -> Callable[[], object]:
        return lambda: held

    class Freeing(Held):
        def __del__(self) -> None:
            freed.set()

    with caching() as cache:
        cache.start(job_holding(Freeing()))
        until(lambda: cache._idle)

        until(freed.is_set)


class Unserved:
    """A thread that lives as long as the test says, and never serves."""

    def __init__(self, *lives: bool) -> None:
        self._lives = list(lives)

    def is_alive(self) -> bool:
        """Return what the test says."""
        return self._lives.pop(0)


def test_a_thread_that_takes_its_time_is_waited_for_and_one_that_has_died_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cached, "_LOOK_SECONDS", 0.001)
    made: Any = cached._CachedThread.__new__(cached._CachedThread)
    made.serves = queue.SimpleQueue()
    made.thread = Unserved(True, True, False)  # noqa: FBT003 - at each look

    with pytest.raises(MemoryError, match="the thread died before it could run anything"):
        made.check_serves()

    assert made.thread._lives == []
    made.serves.put(None)
    made.check_serves()
