"""`Broker`: the handle of a table of resources and of the threads that use it."""

import _thread
import contextlib
import functools
import itertools
import warnings
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self, final

from threadpool_mb.aio.life import await_end
from threadpool_mb.arguments import (
    Deadline,
    Start,
    check_callable,
    check_limit,
    check_start,
    counted,
    describe,
)
from threadpool_mb.broker.config import BrokerConfig, BrokerDrainReport
from threadpool_mb.broker.ends import Ends, Leftovers
from threadpool_mb.broker.looking import LookedAt, Looking
from threadpool_mb.broker.loop import BrokerLoop
from threadpool_mb.broker.observed import observed
from threadpool_mb.broker.parallel import ParallelHandling
from threadpool_mb.dead_letters import (
    DeadLetter,
    DeadLetterOffice,
)
from threadpool_mb.errors import Cancelled, ThreadRefused
from threadpool_mb.line.inlet import INPUT_OF_PARENT
from threadpool_mb.mailbox.kinds import Unlimited
from threadpool_mb.mailbox.using import check_mailbox_config
from threadpool_mb.observer import Observer
from threadpool_mb.observing import attach, observers_of
from threadpool_mb.protocols import Input, Mailbox, MailboxConfig
from threadpool_mb.threads.exit_hook import close_at_exit
from threadpool_mb.threads.launching import new_thread
from threadpool_mb.threads.watchers import with_watcher
from threadpool_mb.values import Uncopied

__all__ = ["Broker"]

_UNLIMITED: Final = Unlimited()


_numbers: Final = itertools.count(1)
"""Numbers for names; `next` of a `count` is atomic (`tests/test_assumptions.py`)."""


@final
class Broker[M, K, W, R](LookedAt[K], Uncopied):
    """Owns a table of resources: connections, files, whatever has a key.

    A message from `input` is demultiplexed to a key. `Initialize` creates the key's resource,
    `Dispatch` hands a message to it, and `handle` says what becomes of it; see `BrokerConfig`. The
    thread runs from the construction on, until the broker is closed, cancelled, or stopped by an
    error; then every resource that is left is cleaned, in ascending order of the keys (in the order
    of creation if they have none), and what was not handled becomes a dead letter.

    With `max_threads` the messages of different keys are handled in parallel. Those of one key are
    handled in the order in which they came, whatever threads there are.

    As a context manager it has the backlog handled at the block's end, cleans, and joins; left with
    an exception it cancels. A broker that is still open when the interpreter exits is closed. One
    that is garbage-collected open warns `ResourceWarning` and is closed; so keep the broker, not
    only its `input`.

    From the original's `spawnBroker`. In the place of its asynchronous exceptions stand `cancel`,
    which takes effect before the next message, and exceptions of the four functions that are no
    `Exception`.
    """

    __slots__ = ("__weakref__", "_end", "_input", "_loop", "_name", "_thread")

    def __init__(
        self,
        config: BrokerConfig[M, K, W, R],
        *,
        mailbox: MailboxConfig = _UNLIMITED,
        max_threads: int | None = None,
        start: Start = "explicit",
        name: str | None = None,
        on_dead_letter: Callable[[DeadLetter[K, M | W]], object] | None = None,
        observe: Observer | Iterable[Observer] | None = None,
        stuck_after: float | None = None,
    ) -> None:
        """Create the mailbox and start the thread.

        Args:
            config: the four functions.
            mailbox: how `input` behaves when it is full. With a `Waiting` mailbox, the broker ends
                when no message came for its `receive_timeout`.
            max_threads: `None`: all four functions run on the broker's one thread. A number:
                `create`, `handle`, and `clean` of what is removed run on at most so many other
                threads, which are started when they are needed; those of different keys in
                parallel. Where the system starts none they run on the broker's own. If the mailbox
                has a limit, at most `limit + max_threads` messages are out of it and not handled:
                if all of them are of a key that is stuck, all keys wait.
            start: `"explicit"`: `Initialize` creates a key's resource, and a `Dispatch` for an
                unknown key is a dead letter; `"on_demand"`: such a `Dispatch` creates it, as an
                `Initialize` with its message would.
            name: stands in the `repr`, in log lines, and in the threads' names, `{name}-dispatcher`
                and `{name}-shared-1` and so on; `None` for the next of `broker-1`, `broker-2`, …
            on_dead_letter: called with each message that will not be handled, on the thread that
                finds it, with no lock held; with `max_threads` perhaps on several at once. An
                exception in it is logged. Without it dead letters are logged.
            observe: what is told of messages: an `Observer`, or several.
            stuck_after: seconds after which a message that is still being handled is told of, once:
                in the log, with the stack; in `stats()`; to `observe`.

        Raises:
            TypeError: if an argument is of the wrong kind, with the value in the text.
            ValueError: if `max_threads` is no `int` of at least 1, `stuck_after` is no number of
                seconds, or `start` is another word, with the value in the text.
            ThreadRefused: if the system gave no thread.

        What the mailbox's config raises passes; no thread is left.
        """
        if not isinstance(config, BrokerConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
            msg = f"config must be a BrokerConfig, not {describe(config)}"
            raise TypeError(msg)
        check_mailbox_config(mailbox)
        if max_threads is not None:
            check_limit(max_threads, "max_threads")
        if on_dead_letter is not None:
            check_callable(on_dead_letter, "on_dead_letter", "dead_letter")
        on_demand = check_start(start) == "on_demand"
        if name is None:
            name = f"broker-{next(_numbers)}"
        elif not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            msg = f"name must be a str or None, not {describe(name)}"
            raise TypeError(msg)
        owner = f"<Broker {name!r}>"
        all_observers, watcher = with_watcher(observe, "the message", stuck_after)
        observers = observers_of(all_observers, name, "broker")
        office = DeadLetterOffice[K, M | W](owner, on_dead_letter, observers)
        config, mailbox = observed(config, mailbox, office.observers)

        box: Mailbox[M] = mailbox.create(on_dead_letter=Leftovers(office))
        make_parallel = (
            None
            if max_threads is None
            else functools.partial(
                ParallelHandling[K, W, R],
                owner,
                name,
                max_threads=max_threads,
                limit=mailbox.limit,
            )
        )
        loop = BrokerLoop(owner, config, box, office, make_parallel, on_demand=on_demand)
        thread = new_thread(loop.run, f"{name}-dispatcher")
        self._name: Final = name
        self._input: Final[Input[M]] = box.new_input()
        self._thread: Final = thread
        close_at_exit(loop)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            msg = f"{owner}: the system gave no thread: {error}"
            raise ThreadRefused(msg) from error
        except BaseException:
            loop.cancel()  # interrupted while it waited for the thread, which runs
            raise
        self._ends = self._end = Ends(owner, loop, thread)
        self._looking = Looking[K](name, loop, office, thread, watcher)
        if watcher is not None and observers is not None:
            watcher.tell = observers.stuck
        attach(office.observers, self._looking.stats, loop.ending.when_reached)
        # Last, so that `__del__` finds it only where a thread runs.
        self._loop: Final = loop

    @property
    def name(self) -> str:
        """The name that was given, or counted."""
        return self._name

    @property
    def input(self) -> Input[M]:
        """Where senders deliver; it does not keep the broker alive."""
        return INPUT_OF_PARENT if self._loop.in_child else self._input

    def close(self) -> None:
        """Take no more messages; handle those that were taken, clean all resources, and end.

        Blocks: never. `join` waits for the end.
        Threads: safe from any thread, the broker's own included; a second call changes nothing.
        """
        self._loop.close()

    def cancel(self) -> None:
        """Take no more messages; clean all resources and end before the next message is handled.

        Calls of a user's functions that run just now are not interrupted. Messages that wait
        become dead letters.

        Blocks: never. `join` waits for the end.
        Threads: safe from any thread, the broker's own included; a second call changes nothing.

        From the original's `cancel` of the broker's `Async`.
        """
        self._loop.cancel()

    def join(self, *, timeout: float | None = None) -> None:
        """Wait for the end, and raise what stopped the broker if that was an error.

        After `cancel` it returns like after `close`. It does not raise `Cancelled`: in a worker of
        a pool, that would look as if the worker itself had been asked to stop. `exception` tells
        the two apart.

        Blocks: until all resources are cleaned, at most `timeout` seconds (`None`: for ever).
        Threads: safe from any thread but the broker's own ones.

        Raises:
            TimeoutError: if the timeout ran out; the broker goes on.
            RuntimeError: if one of the four functions calls it; or if the broker was made before
                `os.fork`, in the process that has forked this one.
            ValueError: if the timeout is no number of seconds.
            BaseException: what stopped the broker.

        From the original's `waitCatch` of the broker's `Async`; returning is `MkBrokerResult`.
        """
        self._wait(Deadline(timeout))
        error = self.exception()
        if error is None or isinstance(error, Cancelled):
            return
        try:
            raise error
        finally:
            # The error's traceback holds this frame, which must not hold the error.
            del error

    def drain(self, *, timeout: float | None) -> BrokerDrainReport:
        """Close, wait for the backlog to be handled, and cancel what is left after the timeout.

        For shutting down within a grace period. If the timeout ran out the broker was cancelled,
        and `join` waits for its end. What waits in it becomes dead letters, and is not among those
        of the report yet. An interrupt (Ctrl-C) cancels it, and is raised.

        Blocks: at most `timeout` seconds; `None`: until all resources are cleaned.
        Threads: safe from any thread but the broker's own ones.

        Returns:
            What was lost, and what stopped the broker, which is not raised; if the timeout ran out,
            also what was left.

        Raises:
            RuntimeError: if one of the four functions calls it.
            ValueError: if the timeout is no number of seconds.
        """
        deadline = Deadline(timeout)
        loop = self._loop
        if loop.in_child:
            return loop.report()
        self._end.refuse_own_thread(self, "drained")
        try:
            loop.close()
            loop.wait(deadline)
            # The latch is opened by the thread, which has yet to end itself.
            self._thread.join(deadline.remaining())
            report = loop.report()
        except BaseException:
            loop.cancel()
            raise
        if not report.finished:
            loop.cancel()
        return report

    def _wait(self, deadline: Deadline) -> None:
        if not self._loop.in_child:
            self._end.refuse_own_thread(self, "joined")
        self._thread.join(deadline.remaining())
        # After that: a signal handler may have forked meanwhile.
        if self._loop.in_child:
            msg = f"{self!r} cannot be joined: its thread is not in this process"
            raise RuntimeError(msg)
        # Not `is_alive`, which may be false too early (gh-137017, until 3.13.8 and 3.14.1).
        if not self._loop.ended:
            msg = f"{self!r} did not end within the timeout"
            raise TimeoutError(msg)

    def exception(self) -> BaseException | None:
        """Return what stopped the broker.

        `None` while it runs and after a normal end, the `Cancelled` after `cancel`, else the error.

        Blocks: never.
        Threads: safe from any thread.
        """
        return self._loop.error if self._loop.ended else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drain the broker, or cancel it if the block was left with an exception; then join it.

        As the `with` of a pool. What stopped the broker is raised unless the block raises already.
        An interrupt while it drains cancels it and is raised at once: `join` waits for its end.

        Blocks: until all resources are cleaned.

        Raises:
            BaseException: what has stopped the broker; see `join`.
        """
        try:
            (self.close if kind is None else self.cancel)()
            self._wait(Deadline(None))
        except BaseException as raised:
            self.cancel()
            # In a child of the process in which it was made it is left at once.
            if self._loop.in_child and isinstance(raised, RuntimeError):
                return
            raise
        if error is None:
            self.join()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Do what leaving a `with` block does; only this task waits, not its loop."""
        end = self.close if kind is None else self.cancel
        await await_end("async with", self._ends, end, self.cancel)
        if error is None and not self._loop.in_child:
            self.join()

    def __repr__(self) -> str:
        """Show how many resources there are, and whether it runs."""
        loop = self._loop
        resources = len(loop.resources)
        # Not what waits: that would ask each task, and a user's mailbox.
        return f"<Broker {self._name!r} [{counted(resources, 'resource')} | {loop.state}]>"

    def __del__(self) -> None:
        """Warn, and close, if nobody has.

        A finalizer runs wherever the garbage collector strikes: perhaps while this very thread
        holds a lock that `close` needs, the mailbox's own or, with a user's mailbox, any. So it
        takes none: it sets a bare thread going, which may wait for locks because it holds none.
        `Thread.start` would not do, it takes a lock of `threading`; `start_new_thread` takes none
        that Python code can hold.
        """
        loop = getattr(self, "_loop", None)
        if loop is None or loop.closing or loop.ended:
            return
        # No thread to be had: then the loop is closed when the interpreter exits.
        with contextlib.suppress(RuntimeError):
            _thread.start_new_thread(loop.close, ())
        msg = f"<Broker {self._name!r}> was not closed"
        warnings.warn(msg, ResourceWarning, source=self, stacklevel=1)
