"""Futures that are cheap to make, and know for which key their task runs.

A `concurrent.futures.Future` makes a condition and two lists when it is made, which costs more than
all else that is done for a small task. This one makes them when they are first needed
(`benchmarks/`, "executor").

**Guarantees.** It works with `concurrent.futures.wait` and `as_completed` and with `asyncio`. The
first two enter the conditions of all their futures, look at each `_state`, count those that are
unfinished, add themselves to `_waiters`, and leave. They rely on it that no state changes between,
or their count is wrong, and they return too early or never.

**How.** The condition is made late, but its lock is there from the beginning, and is the only one:
`_mutex`. To hold the condition is to hold `_mutex`. The waiting thread does (1) and (2), the
thread that finishes the future (a):

1. It has the condition made under `_mutex`; the first thread that asks makes it.
2. Under `_mutex` it finds the future unfinished, and adds itself to the condition or to `_waiters`.
a. Under `_mutex`: it sets the result and then the state, tells those in `_waiters`, and if there is
   a condition, notifies all.

(2) and (a) exclude each other. If (2) comes first, so did (1): (a) finds the condition, and the one
thread that waits in it. If (a) comes first, (2) finds the future finished, and does not wait.

`_state` is read without the lock where it is only asked whether it is final: it is written last,
and no final state becomes an unfinished one again.

In a child of `os.fork`, a thread that is not there may hold `_mutex`, and the locks of those in
`_waiters`, which are all other threads'. So what may be called there lets go of both first, once
for each future, before it takes the lock (`freed`).
"""

import operator
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError
from typing import Any, Final, Protocol, cast, final, override

from threadpool_mb.arguments import NEVER, Deadline, describe
from threadpool_mb.forking import MADE_BEFORE_FORK, free_once, remake
from threadpool_mb.keyed.tally import Tally
from threadpool_mb.logs import Logger
from threadpool_mb.threads.here import here
from threadpool_mb.threads.pinned import waiting_upon
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.waiting import Waiters, parked
from threadpool_mb.values import Uncopied

__all__ = ["PENDING", "RUNNING", "KeyedFuture", "NoKey", "declare_attributes"]

_logger = Logger(__name__)

# The words of `concurrent.futures`, which `wait` and `as_completed` compare with.
PENDING: Final = "PENDING"
RUNNING: Final = "RUNNING"
_CANCELLED: Final = "CANCELLED"
_CANCELLED_AND_NOTIFIED: Final = "CANCELLED_AND_NOTIFIED"
_FINISHED: Final = "FINISHED"
_UNDONE: Final = (PENDING, RUNNING)

_LATER: Final = ("_state", "_result", "_exception", "_made", "_listeners", "_callbacks")
"""What only some futures have of their own, or not from the beginning."""

_make_mutex: Final[Callable[[], Any]] = getattr(threading, "_CRLock", None) or threading.RLock
"""`threading.RLock` without its frame of Python: each task has one. Under gevent there is none."""


class _Lanes(Protocol):
    @property
    def threads(self) -> SharedThreads:
        """What runs the tasks."""
        ...

    @property
    def tally(self) -> Tally:
        """What counts the tasks that are left out."""
        ...

    @property
    def in_child(self) -> bool:
        """Whether the tasks are those of the process that has forked this one."""
        ...

    def runs_here(self, key: object, /) -> bool:
        """Return whether this thread runs a task of the key just now."""
        ...

    def stands_behind_this(self, key: object, /) -> bool:
        """Return whether what waits for the key waits for a task that this thread runs."""
        ...


@final
class NoKey:
    """The key of a task without one: equal to itself alone."""

    __slots__ = ()


class _Condition(threading.Condition):
    """A condition that `with` enters and leaves with no frame of Python.

    `concurrent.futures.wait` and `as_completed` enter it so, to leave a future. In a frame of
    Python, an interrupt behind the acquiring, or before the release, would leave the lock held, and
    the task would never end. Getting these methods calls nothing of Python, either.
    """

    __enter__ = property(operator.attrgetter("_lock.__enter__"))  # pyright: ignore[reportAssignmentType]
    __exit__ = property(operator.attrgetter("_lock.__exit__"))  # pyright: ignore[reportAssignmentType]


class KeyedFuture[R](Uncopied, Future[R]):
    """A `concurrent.futures.Future` that raises where waiting for it would never end.

    Threads: internally synchronized.
    """

    # What a pending future has: on the class, so that making one writes three attributes only.
    _state: str = PENDING
    of_all: bool = False
    """Whether its task is one of all keys."""
    told_twice: bool = False
    """Whether more than one thread may ask whether it is to be run, if it was cancelled."""
    _result: R | None = None
    _exception: BaseException | None = None
    _made: threading.Condition | None = None
    _listeners: Waiters | None = None
    _callbacks: list[Callable[[Future[R]], object]] | None = None
    # After how many forks it was let go of what threads of the parent may hold.
    freed: int = 0

    def __init__(self, lanes: _Lanes, key: object) -> None:  # pyright: ignore[reportMissingSuperCall]
        """Make a pending future of a task of `key`."""
        # Not the base's, which makes a condition.
        #
        # See above. No thread waits for anything but the condition under it. Reentrant, as the
        # base's is: a signal handler, or a finalizer, may look at the future that its thread has in
        # hand.
        self._mutex = _make_mutex()
        self._lanes = lanes
        self._key = key

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        if self._lanes.in_child:
            self.forked()
        return self._own_condition()

    def _own_condition(self) -> threading.Condition:
        """Return the condition, for what does not wait in a child of `os.fork`."""
        made = self._made
        if made is None:
            with self._mutex:
                fresh = _Condition(self._mutex)
                # Looked at after that call, in which a signal handler may have made one.
                if self._made is None:
                    self._made = fresh
                made = self._made
        return made

    @property
    def _waiters(self) -> list[Any]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        if self._lanes.in_child:
            self.forked()
        with self._mutex:
            if self._listeners is None:
                self._listeners = Waiters(self._lanes.threads)
            return self._listeners

    def forked(self) -> None:
        """Let go of what threads that are not in this child of `os.fork` may hold."""
        free_once(self, self._let_go)

    def _let_go(self) -> None:
        remake(self._mutex)
        self._listeners = None

    @override
    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
        return self._state in {_CANCELLED, _CANCELLED_AND_NOTIFIED}

    @override
    def running(self) -> bool:
        """Return whether its task runs."""
        return self._state == RUNNING

    def has_begun(self) -> bool:
        """Return whether its task runs, or has run."""
        return self._state in {RUNNING, _FINISHED}

    @override
    def done(self) -> bool:
        """Return whether it was cancelled or has a result."""
        return self._state not in _UNDONE

    @override
    def cancel(self) -> bool:
        """Cancel it if its task does not run yet; return whether it is cancelled."""
        in_child = self._lanes.in_child
        if in_child:
            self.forked()
        with self._mutex:
            if self._state != PENDING:
                return self.cancelled()
            self._state = _CANCELLED
            if self._made is not None:
                self._made.notify_all()
            if in_child:
                # No thread comes to leave it out. Not what frees its room, which is the parent's.
                KeyedFuture.set_running_or_notify_cancel(self)  # pyright: ignore[reportUnknownMemberType]
        if self._callbacks is not None:
            self._call_back(self._callbacks)
        return True

    @override
    def set_running_or_notify_cancel(self) -> bool:
        """Return whether the task is to be run: for the thread that runs it."""
        with self._mutex:
            if self._state == PENDING:
                self._state = RUNNING
                return True
            if self._state != _CANCELLED:
                if self._state == _CANCELLED_AND_NOTIFIED and self.told_twice:
                    return False
                raise RuntimeError(f"not to be run: {self!r}")
            self._state = _CANCELLED_AND_NOTIFIED
            self._lanes.tally.count_left_out()
            for listener in self._listeners or ():
                listener.add_cancelled(self)
        return False

    def tell_cancelled(self) -> None:
        """Tell those that wait for several that it was cancelled, if no thread has done so."""
        with self._mutex:
            if self._state == _CANCELLED:
                self.set_running_or_notify_cancel()

    @override
    def set_result(self, result: R) -> None:
        """Finish with a result: for the thread that runs the task."""
        with self._mutex:
            if self._state not in _UNDONE:
                raise InvalidStateError(f"{self._state}: {self!r}")
            self._result = result
            self._state = _FINISHED
            if self._listeners is not None:
                for listener in self._listeners:
                    listener.add_result(self)
            if self._made is not None:
                self._made.notify_all()
        # No lock: once it is done, nothing is added.
        if self._callbacks is not None:
            self._call_back(self._callbacks)

    @override
    def set_exception(self, exception: BaseException | None) -> None:
        """Finish with an exception: for the thread that runs the task."""
        with self._mutex:
            if self._state not in _UNDONE:
                raise InvalidStateError(f"{self._state}: {self!r}")
            self._exception = exception
            self._state = _FINISHED
            for listener in self._listeners or ():
                listener.add_exception(self)
            if self._made is not None:
                self._made.notify_all()
        if self._callbacks is not None:
            self._call_back(self._callbacks)

    @override
    def add_done_callback(self, fn: Callable[[Future[R]], object]) -> None:
        """Call `fn(self)` when it is done, at once if it is; what it raises is logged.

        Blocks: as long as `fn` does, if it is done.
        """
        if self._lanes.in_child:
            self.forked()
        with self._mutex:
            if self._state in _UNDONE:
                if self._callbacks is None:
                    self._callbacks = []
                self._callbacks.append(fn)
                return
        self._call(fn)

    def _call_back(self, callbacks: list[Callable[[Future[R]], object]]) -> None:
        for callback in callbacks:
            self._call(callback)

    def _call(self, callback: Callable[[Future[R]], object]) -> None:
        try:
            callback(self)
        except Exception:
            _logger.exception("exception calling callback for %r", self)

    @override
    def result(self, timeout: float | None = None) -> R:
        """Return the task's result, or raise what it raised.

        Blocks: until it is done, at most `timeout` seconds (`None`: for ever; less than 0: not at
        all). In a task of the same executor it does not hold up the executor: where all its threads
        wait so, there is one more.

        Raises:
            TimeoutError: if the timeout ran out.
            ValueError: if it is no number of seconds, unless the future is done.
            CancelledError: if it was cancelled.
            RuntimeError: in a task of the same key, unless this one is done: it runs only after
                the task that asks. In a task of a pinned executor, if this one needs its thread. In
                a child of `os.fork`, if it was not done at the fork.
        """
        # `exception`, written out for what is done: the result is written before the state.
        if self._state == _FINISHED and self._exception is None:
            return self._result  # type: ignore[return-value]  # pyright: ignore[reportReturnType]
        try:
            error = self.exception(timeout)
            if error is not None:
                raise error
            return cast("R", self._result)
        finally:
            # The error's traceback holds this frame.
            error = None
            del self

    @override
    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the task raised, `None` if nothing; waits and raises as `result` does."""
        if self._state in _UNDONE:
            if self._lanes.in_child:
                raise RuntimeError(f"{self!r} was {MADE_BEFORE_FORK}: its task is not run here")
            self.wait(NEVER if timeout is None else Deadline(timeout, real=True))
        if self.cancelled():
            raise CancelledError
        return self._exception

    @property
    def _why_not(self) -> str:
        """Why a task that this one comes after cannot wait for it."""
        return (
            "a task cannot wait for its own future"
            if isinstance(self._key, NoKey)
            else f"a task of key {describe(self._key)} cannot wait for another one of its key,"
            " which runs only after it"
        )

    def wait(self, deadline: Deadline) -> None:
        """Wait until it is done; raises as `result` does, but nothing of the task's."""
        if self._state not in _UNDONE:
            return
        if self._lanes.runs_here(self._key):
            raise RuntimeError(self._why_not)
        self._check_stands_not_behind_this()
        if deadline.remaining() == 0:
            raise TimeoutError
        condition = self._own_condition()
        threads = self._lanes.threads
        with waiting_upon(threads, self), parked(threads) as waiting:
            while True:
                # Not `condition`, whose `__enter__` is Python: behind its acquiring an interrupt
                # may come, and nothing would release the lock.
                with self._mutex:
                    if self._state in _UNDONE:
                        left = deadline.remaining()
                        if left == 0:
                            raise TimeoutError
                        condition.wait(waiting.at_most(left))
                    if self._state not in _UNDONE:
                        return
                waiting.go_on()
                # Again: what it stands behind may have been in another thread's hand just then.
                self._check_stands_not_behind_this()

    def _check_stands_not_behind_this(self) -> None:
        if here.serving is not None and self._lanes.stands_behind_this(self._key):
            if self._state not in _UNDONE:
                return
            raise RuntimeError(
                f"a task cannot wait for one of key {describe(self._key)}, which stands behind it:"
                " behind a task of several keys, or of all, that waits for it"
            )


def declare_attributes(kind: type[KeyedFuture[Any]], *names: str) -> None:
    """Have all futures of a class share one table of the names that any of them will have.

    CPython keeps an object's attributes without a dict as long as the class's table has their
    names, and takes one place of that table from later names with each object that is made. So
    where many futures are made before one is done, each would get a dict of its own as it is done:
    on 3.13t that costs 1.2 µs, and 200 bytes.
    """
    future: KeyedFuture[Any] = kind.__new__(kind)
    for name in ("_mutex", "_lanes", "_key", *_LATER, *names):
        setattr(future, name, None)


declare_attributes(KeyedFuture)
