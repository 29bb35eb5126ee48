"""An interrupt in the middle of a call, of a reply, or of what is told of a worker's end."""

import contextlib
import functools
import subprocess
import sys
import threading
from typing import Any

import pytest

from tests.calls.doubles import Boom, Echo, FakeWorker, Place, answer_of, error_of, held_by
from tests.helpers import DEADLINE, Running, until
from tests.points import interrupted_at_each_point
from threadpool_mb import DuplicateReply, Reply, ReplyBox, WorkerGone, ask, call
from threadpool_mb.threads.here import here

INLINE_ON_THE_MAIN_THREAD = """
import contextlib, logging, os, signal, sys, traceback
import threadpool_mb as mb
from tests.calls.doubles import Do, Echo, Place, end, fail, obey
from tests.points import Point
from threadpool_mb.threads.here import here

logging.disable()
signal.signal(signal.SIGINT, lambda number, frame: None)
does = {"answers": Echo("1"), "fails": Do(fail), "ends": Do(end)}[sys.argv[1]]
started = []


def worker(key):
    started.append(key)
    while obey((yield)):
        pass


def interrupt():
    where.extend(f"{frame.name}:{frame.lineno}" for frame in traceback.extract_stack()[-6:-3])
    raise KeyboardInterrupt


def ask(pool, command, **options):
    with contextlib.suppress(KeyboardInterrupt, mb.WorkerGone, mb.CallNotDelivered):
        mb.call(pool.ref("a"), command, **options)


number, reached = 0, True
while reached:
    number += 1
    started.clear()
    where, faults = [], []
    pool = Place().idle("a", worker=worker, inline_calls=True)
    point = Point(number, interrupt)
    point.run(lambda: ask(pool, does))
    reached = point.reached
    try:
        mb.ask(pool.ref("a"), Echo("2")).result(timeout=8)
    except (mb.WorkerGone, mb.CallNotDelivered):
        pass
    except mb.CallTimedOut:
        faults.append("the worker does not answer")
    pool.cancel()
    if here.inner:
        faults.append("the worker seems to run here still")
    finished = pool.join(timeout=8).finished
    if not finished or started != ["a"] or faults:
        print(number, where, faults, started, finished)
        break
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.parametrize("what", ["answers", "fails", "ends"])
def test_a_call_on_the_main_thread_may_be_interrupted_anywhere_and_the_pool_ends_all_the_same(
    what: str,
) -> None:
    # In a process of its own: what does not end would keep this one from ending.
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-W", "ignore", "-c", INLINE_ON_THE_MAIN_THREAD, what],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
    )

    assert done.stdout == ""


def asking(worker: FakeWorker) -> tuple[Reply[Any], ReplyBox[Any], Running[object]]:
    """Return both ends of a call, and who waits for the answer."""
    reply, box = held_by(worker)

    def wait() -> object:
        try:
            return reply.result()
        except WorkerGone as error:
            return error.reason

    waits = Running(wait)
    until(lambda: len(answer_of(reply)._log) == 1)
    return reply, box, waits


class Two:
    """Two who wait for one reply, which comes once the first one waits: the test's own thread.

    The reply wakes one of them, mostly who has waited longer; the other one is woken by that one.
    """

    def __init__(self, *, first_is_earlier: bool) -> None:
        self.reply, self.box = held_by(FakeWorker())
        self.me, self.other = FakeWorker("me"), FakeWorker("other")
        self._first_is_earlier = first_is_earlier
        self._started: list[Running[object]] = []
        self._interrupted = threading.Event()
        if not first_is_earlier:
            self._start_other()
        self._answering = Running(self._answer_when_waited_for)

    def _start_other(self) -> None:
        self._started.append(Running(lambda: self._wait_as(self.other)))
        until(lambda: self.other.waits_for)

    def _wait_as(self, worker: FakeWorker) -> object:
        here.inner.append(worker)
        try:
            return self.reply.result()
        finally:
            here.inner.clear()

    def _answer_when_waited_for(self) -> None:
        until(lambda: self.me.waits_for or self._interrupted.is_set())
        if self._first_is_earlier:
            self._start_other()
        self.box.reply("1")

    def waits(self) -> None:
        """Wait as the first one."""
        self._wait_as(self.me)

    def join(self) -> object:
        """Return what the other one gets."""
        self._interrupted.set()
        self._answering.result()
        return self._started[0].result()


@pytest.mark.usefixtures("_nobody_looks_again")
@pytest.mark.parametrize("first_is_earlier", [False, True])
def test_who_was_interrupted_while_he_waited_leaves_no_other_one_waiting(
    first_is_earlier: bool,  # noqa: FBT001
) -> None:
    for scene in interrupted_at_each_point(
        lambda: Two(first_is_earlier=first_is_earlier), Two.waits
    ):
        assert scene.join() == "1"


def test_a_reply_that_was_interrupted_has_come_or_can_be_sent_again() -> None:
    worker = FakeWorker()

    def prepare() -> tuple[Reply[Any], ReplyBox[Any], Running[object]]:
        return asking(worker)

    for reply, box, waits in interrupted_at_each_point(prepare, lambda scene: scene[1].reply("1")):
        came = reply.done()
        with contextlib.suppress(DuplicateReply):
            box.reply("2")

        assert waits.result() == ("1" if came else "2")
        assert reply.result() == waits.result()


def test_a_failure_that_was_interrupted_has_come_or_can_be_sent_again() -> None:
    for reply, box, waits in interrupted_at_each_point(
        functools.partial(asking, FakeWorker()), lambda scene: scene[1].fail(Boom())
    ):
        if not reply.done():
            box.reply("2")
            assert waits.result() == "2"
        else:
            assert isinstance(error_of(reply.result).__cause__, Boom)
            with pytest.raises(Exception, match="failed: Boom"):
                waits.result()


@pytest.mark.parametrize("kind", ["function", "generator"])
def test_a_caller_that_was_interrupted_leaves_nothing_behind(place: Place, kind: str) -> None:
    pool = place.pool(kind, "a", inline_calls=False)

    for _ in interrupted_at_each_point(
        lambda: None, lambda _: call(pool.ref("a"), Echo("1"), timeout=DEADLINE)
    ):
        assert call(pool.ref("a"), Echo("2"), timeout=DEADLINE) == "2"

    assert here.inner == []


def test_adding_a_callback_that_was_interrupted_calls_it_at_most_once() -> None:
    called: list[object] = []

    def prepare() -> tuple[Reply[Any], ReplyBox[Any]]:
        called.clear()
        return held_by(FakeWorker())

    for reply, box in interrupted_at_each_point(
        prepare, lambda scene: scene[0].add_done_callback(called.append)
    ):
        box.reply("1")

        assert called in ([], [reply])


def test_a_worker_whose_end_was_told_and_interrupted_has_ended_for_who_asks() -> None:
    def prepare() -> tuple[FakeWorker, Reply[Any]]:
        worker = FakeWorker()
        reply, _box = held_by(worker)
        answer_of(reply).watch()
        prepared.append(_box)
        return worker, reply

    prepared: list[ReplyBox[Any]] = []
    for worker, reply in interrupted_at_each_point(prepare, lambda scene: scene[0].end()):
        if worker.gone:
            assert type(error_of(lambda: reply.result(timeout=0))) is WorkerGone  # noqa: B023


def test_asking_without_waiting_may_be_interrupted(place: Place, kind: str) -> None:
    pool = place.pool(kind, "a")

    for _ in interrupted_at_each_point(lambda: None, lambda _: ask(pool.ref("a"), Echo("1"))):
        assert call(pool.ref("a"), Echo("2"), timeout=DEADLINE) == "2"
