"""What runs on this thread: its workers, and how the thread itself serves them.

Below all layers, so that whatever parks a thread (a full mailbox, a reply, a future) can tell the
pool that the thread belongs to.
"""

import sys
import threading
import types
from collections.abc import Callable
from typing import Any, Final, Protocol, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.forking import in_children

__all__ = ["Awaited", "Holder", "Home", "Inner", "Serving", "Source", "Waiter", "here"]

_DEEPEST: Final = 16
"""How many workers may call each other on one thread; the next call changes threads."""

# Bound once: a call that is handled in place takes 2 µs in all.
_exception: Final = sys.exception
_modules: Final = sys.modules
_deepest_frame: Final = sys.getrecursionlimit
_module_of_frame: Final = sys._getframemodulename  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


class Awaited(Protocol):
    """A reply that a thread waits for; or room for a call."""

    waiter: "Waiter | None"
    """The thread that waits for it; the last one that began to, if there are several."""

    @property
    def holder(self) -> "Holder | None":
        """The worker that has the call, or that receives from the full mailbox."""
        ...

    def deadlock(self, chain: str, key: object, /) -> Exception:
        """Return what is raised in the place of a wait that would never end.

        Args:
            chain: the workers that wait for each other, as text.
            key: that of the worker that was to answer, or to receive.
        """
        ...

    @property
    def answered(self) -> bool:
        """Whether the answer is there, so that no thread waits for it any more."""
        ...

    @property
    def in_transit(self) -> bool:
        """Whether the call is being handed over to a worker that may not get it."""
        ...

    def holder_gone(self, holder: "Holder", /) -> None:
        """Take note that `holder` has ended. It neither blocks nor raises."""
        ...


class Waiter(Protocol):
    """A thread that waits."""

    @property
    def workers(self) -> "tuple[Holder, ...]":
        """The workers that run on the thread, each called by the one before it."""
        ...

    def goes_on(self) -> None:
        """Take note that what the thread waits for is there; see `Serving.goes_on`."""
        ...


class Home(Protocol):
    """The one thread to which workers are pinned."""

    @property
    def occupant(self) -> "Holder | None":
        """The worker that has the thread's turn; `None` if none has it."""
        ...


class Holder(Protocol):
    """A worker that has a call in its mailbox or in hand.

    A worker has these for as long as it lives, most of them without ever being called: so they are
    three slots of the worker itself, and `None` at first.
    """

    gone: bool
    """Whether it has ended; what waited in its mailbox was informed before that."""
    watchers: dict[Awaited, None] | None
    """The replies that a thread waits for."""
    waits_for: Awaited | None
    """The reply that the worker itself waits for; `None` if it does not wait."""

    @property
    def predecessor(self) -> "Holder | None":
        """The worker that has to end before this one may start; `None` once it may."""
        ...

    @property
    def title(self) -> str:
        """What the worker is called in an error's text."""
        ...

    @property
    def key(self) -> object:
        """The worker's key."""
        ...

    @property
    def backlog(self) -> int:
        """How many messages wait for the worker."""
        ...

    def nudge(self) -> None:
        """Have threads that may keep a dropped call alive run for a moment; see `calls.answer`."""
        ...

    def expedite(self) -> None:
        """Have the worker take its turn before others that wait for theirs. Blocks: never."""
        ...

    @property
    def home(self) -> Home | None:
        """The thread to which it is pinned; `None` if any may run it."""
        ...

    def receives_from(self, mailbox: object, /) -> bool:
        """Return whether `mailbox` is the one that the worker's messages come out of."""
        ...

    def handler_raised(self, error: Exception, /) -> None:
        """Take note of what a server's handler has raised for the message that it has in hand.

        On the worker's thread. For observers: the caller has the error already.
        """
        ...

    @property
    def end_reason(self) -> str:
        """Why the worker has ended."""
        ...

    @property
    def end_error(self) -> BaseException | None:
        """What the worker has raised, if it has failed; set before any of its calls is told."""
        ...


class Source[T](Protocol):
    """What a thread waits at for what comes next: a queue, or what stands in its place."""

    def get(self, block: bool = True, timeout: float | None = None) -> T:  # noqa: FBT001, FBT002 - as there
        """Take it out; `queue.Empty` if the timeout, or the patience of the waiter, ran out."""
        ...

    def qsize(self) -> int:
        """Return how many there are."""
        ...


class Serving(Protocol):
    """A thread that takes turns of many workers."""

    progress: object
    """What counts down while a turn goes on that is watched; see `threads.watching`."""

    @property
    def holder(self) -> Holder | None:
        """The worker that has the turn; `None` if no worker that can be called has it."""
        ...

    @property
    def home(self) -> Home | None:
        """The same, if workers are pinned to this thread."""
        ...

    def blocked(self, upon: object = None, /) -> None:
        """Take note that the thread will wait for another worker, which may need a thread.

        `upon` is what runs that worker, if the caller gives it; `unblocked` is to be given the
        same.
        """
        ...

    @property
    def wait(self) -> int:
        """The number of the thread's wait, for `goes_on`."""
        ...

    def goes_on(self, wait: int, /) -> None:
        """Take note that the thread has what it waits for, and runs in a moment.

        Does nothing once that wait is over. The thread that gives the waiting thread what it waits
        for calls this first, before the waiting thread can know of it. So no further thread is
        asked for in its place, however long the system takes to wake it. Blocks: never.
        """
        ...

    @property
    def starved(self) -> bool:
        """Whether all other threads of its kind wait, so that this thread is the last one."""
        ...

    def source[T](self, items: Source[T], deadline: Deadline, /) -> Source[T]:
        """Return what the thread is to wait at for `items`, which it does until the deadline.

        The queue itself; in a `threadpool_mb.testing.SeededPool`, what takes others' turns.
        """
        ...

    def still_blocked(self) -> None:
        """Take note that the thread still waits, and that one more may be needed all the same."""
        ...

    def unblocked(self, upon: object = None, /) -> None:
        """Take note that the thread goes on."""
        ...


@final
class Inner(list[Holder]):
    """The workers that run on a thread beside the one that has its turn.

    Each was called by the one before it without a change of threads; or it is the worker that owns
    the thread.
    """

    __slots__ = ("is_main",)

    def __init__(self) -> None:
        super().__init__()
        self.is_main: bool = threading.current_thread() is threading.main_thread()
        """Whether signal handlers run on this thread."""

    def allows(self, *, inline_calls: bool | None, on_loop: bool = False) -> bool:
        """Return whether another worker may run here, called by what runs now.

        Its pool was told so by `inline_calls`; `None`: unless an interrupt of the main thread would
        hit it.

        Not where the workers that call each other here are many already, nor deep in a recursion:
        the worker must not run out of stack because of its caller. It needs half of the stack.

        Nor where it would find something of the caller's. That is the exception that the caller
        handles: it would be the worker's `sys.exception()`, the `__context__` of what the worker
        raises, and what a bare `raise` raises. Or it is an event loop that runs: the worker could
        run none itself; it may run there all the same if it is `on_loop` that it was called.
        """
        if (  # noqa: SIM103 - as a value, it would be a third longer
            (self.is_main if inline_calls is None else not inline_calls)
            or len(self) >= _DEEPEST
            # The module of the frame that is so deep, `None` if there is none: a look, without a
            # walk in Python.
            or _module_of_frame(_deepest_frame() // 2) is not None
            or _exception() is not None
            or (_loop_of_asyncio() is not None and not on_loop)
            or ("trio.lowlevel" in _modules and _trio_runs())
        ):
            return False
        return True


@final
class _Here(threading.local):
    """What runs on this thread."""

    def __init__(self) -> None:
        self.serving: Serving | None = None
        """What the pool knows this thread as, if it takes turns."""
        self.inner: Final = Inner()
        """The workers that run here beside the worker that has the turn."""

    @property
    def is_main(self) -> bool:
        """Whether signal handlers run on this thread."""
        return self.inner.is_main

    def workers(self) -> tuple[Holder, ...]:
        """Return the workers that run here, each called by the one before it."""
        outer = None if self.serving is None else self.serving.holder
        return tuple(self.inner) if outer is None else (outer, *self.inner)

    def worker(self) -> Holder | None:
        """Return the worker that runs now; `None` if none does."""
        workers = self.workers()
        return workers[-1] if workers else None


def _look_for_asyncio() -> object:
    """Return the event loop of asyncio that runs on this thread, if any.

    Neither asyncio nor trio is imported from here. The function of asyncio is the one that its
    documentation has for event loops: `get_running_loop` would raise where none runs.

    Once asyncio is there, its function stands in the place of this one, if it is the one of C. That
    one reads what the interpreter keeps for each thread, which is the same for any copy of the
    module. As asyncio is being imported, it has one of Python for a while.
    """
    global _loop_of_asyncio  # noqa: PLW0603 - one for the process
    # Not `get`, which waits for itself on 3.13t, each time (`pool.routes`): it was more than half
    # of a call. And no `KeyError` where asyncio was never imported: one part in twelve.
    if "asyncio.events" not in _modules:
        return None
    try:
        find: Any = getattr(_modules["asyncio.events"], "_get_running_loop", None)
    except KeyError:
        return None  # another thread has made the interpreter forget the module
    if type(find) is types.BuiltinFunctionType:
        _loop_of_asyncio = find
    return None if find is None else find()


_loop_of_asyncio: Callable[[], object] = _look_for_asyncio


def _trio_runs() -> bool:
    """Return whether a loop of trio runs on this thread."""
    try:
        find: Callable[[], object] | None = getattr(_modules["trio.lowlevel"], "in_trio_run", None)
    except KeyError:
        return False  # another thread has made the interpreter forget the module
    return find is not None and bool(find())


here: Final = _Here()
"""What runs on the thread that looks."""


@in_children
def _be_main() -> None:
    """The thread that has forked is the main thread of the child."""
    here.inner.is_main = True
