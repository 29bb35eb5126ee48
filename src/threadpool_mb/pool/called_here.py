"""A call that is handled on its caller's thread, by the lane of an idle generator worker.

**Guarantees.** One thread at a time runs a lane, the caller's or a shared one. What an interrupt of
the caller leaves undone is done all the same: the lane is let go, or scheduled.
"""

import _thread
import contextvars
from typing import Any, override

from threadpool_mb.line.inlet import IDLE
from threadpool_mb.pool.generators import suspended
from threadpool_mb.pool.lane_lives import LivedLane
from threadpool_mb.threads.here import Inner, here

__all__ = ["CalledHere"]


class CalledHere[K, M](LivedLane[K, M]):
    """A lane, as a caller sees it that has its call handled at once."""

    __slots__ = ()

    # Said again for `pyright --verifytypes`: what a subclass sets, it is to give a type.
    counted: int
    unattended: int
    _busy: Any
    _context: Any
    _generator: Any

    @override
    def handle_here(self, message: M, *, inline_calls: bool | None, on_loop: bool = False) -> bool:
        """Have one message handled on the caller's thread; see `Incarnation.handle_here`.

        The order is kept, because an idle lane has no other message. One thread at a time still
        runs the lane, because the caller acquires the lock, as a thread that schedules it does.
        """
        inner = here.inner
        if self.unattended != IDLE or not inner.allows(inline_calls=inline_calls, on_loop=on_loop):
            return False
        if inner.is_main:
            return self._handle_on_main_thread(message, inner)
        busy: Any = self._busy
        if not busy.acquire(False):  # noqa: FBT003 - of a lock
            return False
        self.unattended = 0
        if self.closed or self.qsize():
            self._let_go()
            return False
        try:
            goes_on = self._handle(message, inner)
        except BaseException:  # no memory, say
            self.common.threads.schedule(self)
            raise
        if goes_on:
            # `_let_go`, written out. A message that has come meanwhile is for a shared thread.
            self.unattended = IDLE
            busy.release()
            if self.qsize():
                self.attend()
        else:
            self.common.threads.schedule(self)
        return True

    def _handle_on_main_thread(self, message: M, inner: Inner) -> bool:
        """Do the same on the main thread, where an interrupt comes between any two calls.

        `held` says whether this thread has yet to let go of the lane. No interrupt comes between
        letting go and the writing of `held`. So what an interrupt has left undone is done all the
        same.
        """
        busy: Any = self._busy
        # Loops; see `Lane.attend`. Each takes three times as long as the call that it makes.
        for got in map(busy.acquire, (False,)):  # pragma: no branch - it is left by hand
            if not got:
                break
            self.unattended = 0
            held = True
            taken = False
            try:
                taken = not (self.closed or self.qsize())
                if not taken or self._handle_in_kept_context(message, inner):
                    # As in `_let_go`.
                    self.unattended = IDLE
                    for _ in iter(busy.release, 0):  # pragma: no branch - it has no end
                        held = False
                        break
                    if self.qsize():
                        self.attend()
                else:
                    for _ in map(self.common.threads.put, (self,)):
                        held = False
                    self.common.threads.grow_if_needed()
            except BaseException:
                if held:
                    self.unattended = 0
                    # Not `schedule`: the next interrupt could come before its `put`.
                    self.common.threads.put(self)
                    self.common.threads.grow_if_needed()
                else:
                    self.common.threads.grow_if_needed()
                    if self.qsize():
                        self.attend()
                raise
            return taken
        return False

    def _handle_in_kept_context(self, message: M, inner: Inner) -> bool:
        """Do what `_handle` does; an interrupt does not lose what the worker has set meanwhile."""
        is_new = self._context is None
        if is_new:
            self._context = contextvars.Context()
        goes_on = self._handle(message, inner)
        if goes_on and is_new and not len(self._context):
            self._context = None
        return goes_on

    def _handle(self, message: M, inner: Inner) -> bool:
        """Handle one message that is in no queue; `False` if a turn has to end the worker."""
        self.counted += 1
        if self.dormant:
            self._wake_up()
        # There is a generator: an idle lane has had the turn that sets the worker up.
        generator: Any = self._generator
        context = self._context
        if context is None:
            context = contextvars.Context()
        try:
            inner.append(self)
            if (value := context.run(generator.send, message)) is not None:
                # A turn begins the wait.
                self._generator = suspended(generator, value, message)
                return False
        # Whatever comes next: no interrupt comes between an `except` and a tuple that is built.
        except StopIteration:
            self._generator = ("returned", generator)
            return False
        except BaseException as error:  # noqa: BLE001 - reported, whatever it is
            self._generator = ((error, message), generator)
            if isinstance(error, KeyboardInterrupt) and inner.is_main:
                # It was meant for the thread that calls: it comes again there.
                _thread.interrupt_main()
            return False
        finally:
            del inner[-1]
            if len(context):
                self._context = context
        return True
