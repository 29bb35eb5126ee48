"""The receiving half that all kinds share: waiting, ending, cancelling, claims.

**Guarantees.** Each message is returned once. `Cancelled` is raised before the next message is
taken. A closed mailbox gives out all it holds, then raises `MailboxClosed` for ever.

**Assumes.** One thread receives. Other threads may wait for futures: they take turns, see `claims`.
Of `SimpleQueue`, what `line.inlet` assumes of it.
"""

import contextlib
import itertools
import queue
from collections.abc import Callable, Iterable, Iterator
from typing import Final, cast, final

from threadpool_mb.arguments import Deadline, check_limit
from threadpool_mb.errors import Cancelled, MailboxClosed, MailboxEmpty
from threadpool_mb.line.flushing import holds_only_markers, open_next, waiting_at
from threadpool_mb.line.inlet import Marker
from threadpool_mb.mailbox.claims import Claims
from threadpool_mb.mailbox.iterating import EMPTY, is_message, noting
from threadpool_mb.mailbox.sending import MailboxInlet, Sending
from threadpool_mb.protocols import MailboxStats, MessageFuture
from threadpool_mb.threads.waiting import parked, receive_patiently
from threadpool_mb.values import Uncopied

__all__ = ["QueueMailbox"]


@final
class QueueMailbox[T](Sending[T], Uncopied):
    """Where messages come out, of all kinds of mailbox."""

    __slots__ = (
        "_ahead",
        "_askers",
        "_cancelled",
        "_claims",
        "_ending",
        "_free",
        "_get",
        "_plain",
        "_running",
        "_timeout",
        "next_tick",
        "receiver_waits",
    )

    def __init__(self, inlet: MailboxInlet[T], receive_timeout: float | None = None) -> None:
        """Receive what goes into `inlet`, by default within `receive_timeout` seconds."""
        super().__init__(inlet)
        self._get: Final = inlet.queue.get
        slots = inlet.slots
        self._free: Final = None if slots is None else slots.free
        self._askers: Final = () if slots is None else slots.askers
        self._timeout: Final = receive_timeout
        self._claims: Claims[T] | None = None
        # True while `receive` may take the short way: there is no default timeout, and the receiver
        # knows of no closing, cancelling or claim. Once False, it stays so.
        self._plain = receive_timeout is None
        # Empty once `_plain` is false: a flag that iterators of C can ask for its size. A lock
        # would not do as the flag: several threads may have to clear it.
        self._running: Final = [None]
        # The marker of the end was taken: the queue is only to be emptied.
        self._ending = False
        self._cancelled = False
        self._ahead = False  # whether it takes a message before it has handled the one before
        self.receiver_waits: int = False
        """Whether a thread, or a task, waits for the next message; for `WorkerStats.state`. Where
        there is a `next_tick`: the tick at which a thread has begun to wait."""
        self.next_tick: Callable[[], int] | None = None

    @property
    def cancelled(self) -> bool:
        """Whether the receiver was asked to stop. Long computations may look at it."""
        return self._cancelled

    def __len__(self) -> int:
        """Return the number of messages that wait; other threads may change it at once."""
        inlet = self.inlet
        markers = (inlet.marked != 0 and not self._ending) + waiting_at(inlet)
        return max(0, inlet.queue.qsize() - markers)

    def stats(self) -> MailboxStats:
        """Return a snapshot of the mailbox."""
        return MailboxStats(
            messages=len(self),
            senders_waiting=slots.waiting if (slots := self.slots) else 0,
            closed=self.closed,
            cancelled=self._cancelled,
        )

    def close(self) -> None:
        """Take no more messages; what is in the mailbox can still be received.

        Blocks: never. Senders that wait for room wake and raise `MailboxClosed`.
        """
        self._shut()

    def cancel(self) -> None:
        """Take no more messages and ask the receiver to stop.

        The receiver's next `receive` raises `Cancelled`, also when messages wait, and also when the
        receiver already waits in it.

        Blocks: never.
        """
        # In this order: a thread that sees that it is cancelled must find that no message is taken.
        self._leave_short_way()
        self._cancelled = True
        self.close()

    def forked(self) -> None:
        """Give and take nothing any more: what waits is the parent's; in a child of `os.fork`.

        A receiver on the thread that has forked gets `Cancelled`.
        """
        self._leave_short_way()
        self._cancelled = True
        self._refuse_in_child()

    def finish(self) -> None:
        """Have senders that come too late sweep the mailbox."""
        self._finish()

    @property
    def holds_nothing(self) -> bool:
        """Whether no message is left, but for those that are put just now."""
        inlet = self.inlet
        end = inlet.marked != 0 and not self._ending
        return holds_only_markers(inlet, inlet.queue.qsize, end)

    def abandon(self) -> None:
        """Say that no thread will receive any more: what is in the mailbox becomes dead letters.

        For the owner of the mailbox, once its receiver has ended. The mailbox is closed with it.

        Blocks: as long as the dead-letter function does.
        """
        self.close()
        self._finish()
        self.inlet.sweep()

    def receive(self, *, timeout: float | None = None) -> T:
        """Take the oldest message; see `Mailbox.receive`."""
        if timeout is None:
            if self._plain:
                try:
                    message = self._get(False)  # noqa: FBT003 - not to wait
                except queue.Empty:
                    pass
                else:
                    if message is not Marker:
                        if self._free is not None:
                            self._free(None)
                            if self._askers:
                                self._tell()
                        return message
                    message = self._look()
                    if message is not Marker:
                        return message
            timeout = self._timeout
        # Waits outside of the handler above: what interrupts a wait must not have `Empty` as its
        # context.
        return self._receive(Deadline(timeout))

    def receive_many(self, max_messages: int, *, timeout: float | None = None) -> list[T]:
        """Take at least one and at most `max_messages` messages; see `Mailbox.receive_many`."""
        check_limit(max_messages, "max_messages")
        messages = [self.receive(timeout=timeout)]
        self._ahead = True
        try:
            self._take_more(messages, max_messages)
        finally:
            self._ahead = False
        return messages

    def _take_more(self, messages: list[T], max_messages: int) -> None:
        """Take up to so many messages, behind one that is not handled yet."""
        if self._plain:
            get, free = self.inlet.queue.get_nowait, self._free
            for _ in range(min(max_messages - 1, self.inlet.queue.qsize())):
                try:
                    message = get()
                except queue.Empty:
                    break  # the thread that abandons the mailbox has taken them out
                if message is not Marker:
                    if free is not None:
                        free(None)
                        if self._askers:
                            self._tell()
                elif (message := self._look()) is Marker:
                    break
                messages.append(message)
            return
        with contextlib.suppress(MailboxEmpty, MailboxClosed, Cancelled):
            while len(messages) < max_messages:
                messages.append(self._receive(Deadline(0)))

    def __iter__(self) -> Iterator[T]:
        """Receive message after message; see `Mailbox.__iter__`."""
        return itertools.chain.from_iterable(self._stretches())

    def _stretches(self) -> Iterator[Iterable[T]]:
        """Yield iterables of messages that follow each other, as long as the mailbox is plain.

        A mailbox that has no limit gives out what waits through iterators of C alone. A generator
        in their place, resumed for each message, costs 60 ns of 130 on 3.13t and 10 of 80 on 3.14t
        (`benchmarks/`, "never full, 1:1"). None of the iterators holds a message that it has given
        out.
        """
        if self._free is not None:
            yield self._freeing(self._free)
        else:
            inlet, get, running = self.inlet, self._get, self._running
            qsize = inlet.queue.qsize
            while self._plain:
                if waiting := qsize():
                    # `get(True)` once for each, unless the receiver is stopped. It hardly ever
                    # waits: the thread that abandons the mailbox may take messages out, but leaves
                    # the marker.
                    all_taken: list[None] = []
                    unless_stopped = iter(cast("Callable[[], bool]", running.__sizeof__), EMPTY)
                    turns = itertools.chain(
                        itertools.islice(unless_stopped, waiting), noting(all_taken)
                    )
                    yield itertools.takewhile(is_message, map(get, turns))
                    if not running:
                        # It may have taken the marker just before, unless it came to the end.
                        self._ending = not all_taken and inlet.marked != 0
                        break
                    if all_taken:
                        continue
                    message = self._look()
                else:
                    message = self._await_next()
                    if message is Marker:
                        message = self._look()
                if message is Marker:
                    if self._ending:
                        break
                    continue
                # Given out of a list, so that nothing here holds it: a call that its receiver drops
                # is dropped at once, though the receiver has not come back here.
                given = [message]
                del message
                yield map(list[T].pop, (given,))
        yield self._rest()

    def _freeing(self, free: Callable[[None], None]) -> Iterator[T]:
        """Yield messages, and free the slot of each, as long as the mailbox is plain."""
        get, marker, askers = self._get, cast("T", Marker), self._askers
        empty = False
        while self._plain:
            try:
                message = get(False)
            except queue.Empty:
                message, empty = marker, True
            if message is marker:
                if empty:
                    empty = False
                    # Outside of the handler; see `receive`.
                    message = self._await_next()
                if message is marker:
                    returned = self._look()
                    if returned is marker:
                        if self._ending:
                            break
                        continue
                    # It has no slot.
                    yield returned
                    del returned, message
                    continue
            free(None)
            if askers:
                self._tell()
            # The message is held here until the receiver comes back: to give it out of a list, as
            # above, would cost 60 ns of 250.
            yield message
            # The last message must not be kept alive while this waits for the next one.
            del message

    def _rest(self) -> Iterator[T]:
        """Yield messages, whatever the mailbox's state, to its end."""
        try:
            while True:
                yield self.receive()
        except MailboxClosed:
            return

    @property
    def receive_timeout(self) -> float | None:
        """The seconds that `receive` waits where it is called without a timeout."""
        return self._timeout

    def try_receive(self) -> MessageFuture[T]:
        """Claim the next message that is not claimed yet; see `Mailbox.try_receive`."""
        if self._claims is None:
            self._claims = Claims(self.inlet.give_back)
        self._leave_short_way()
        return self._claims.new(self._take)

    def _tell(self) -> None:
        """Have a slot that was freed given to a sender that has asked for one."""
        if (slots := self.slots) is not None:
            slots.tell()

    def _leave_short_way(self) -> None:
        """Make the receiver look at claims and cancelling before each message."""
        self._plain = False
        self._running.clear()

    def _receive(self, deadline: Deadline) -> T:
        """Take the oldest message that no living future claims."""
        if self._claims is None or not self._claims.any():
            return self._take(deadline)
        future = self._claims.new(self._take)
        try:
            return future.wait(deadline)
        except BaseException:
            # Another thread that waits for a future may have filled this one since.
            if future.withdraw():
                raise
            return future.wait(deadline)

    def _take(self, deadline: Deadline) -> T:
        """Take the oldest message, also if a future claims it."""
        while True:
            if self._cancelled:
                msg = "the receiver was asked to stop"
                raise Cancelled(msg)
            message = self._last() if self._ending else self._next(deadline)
            if message is not Marker:
                if self._free is not None:
                    self._free(None)
                    if self._askers:
                        self._tell()
                return message
            message = self._look()
            if message is not Marker:
                return message
            if self._ahead:
                raise MailboxEmpty("a flush waits for what was taken")

    def _look(self) -> T:
        """Return the message that a marker stands for; the marker, if it stands for none."""
        inlet = self.inlet
        message = inlet.returned_message()
        if message is not Marker:
            return message
        # Not `marked`, which is written after the marker was put.
        if inlet.closed and not self._ending:
            self._ending = True
            self._leave_short_way()
        elif self._ahead:
            inlet.put_marker()  # a flush waits for messages that are not handled yet
        else:
            open_next(inlet)
        return cast("T", Marker)

    def _next(self, deadline: Deadline) -> T:
        """Wait for what comes next."""
        remaining = deadline.remaining()
        if remaining is None:
            return self._await_next()
        try:
            if remaining == 0:
                return self._get(timeout=0)
            self.receiver_waits = True if self.next_tick is None else self.next_tick()
            with parked() as wait:
                return wait.source(self.inlet.queue, deadline).get(timeout=remaining)
        except queue.Empty:
            pass
        finally:
            self.receiver_waits = False
        raise MailboxEmpty("no message came within the timeout")

    def _await_next(self) -> T:
        """Wait for what comes next into the queue, which was found empty."""
        self.receiver_waits = True if self.next_tick is None else self.next_tick()
        try:
            return receive_patiently(self.inlet.queue)
        finally:
            self.receiver_waits = False

    def _last(self) -> T:
        """Take what is left behind the marker; step 3 of the interleaving in `inlet`."""
        try:
            return self.inlet.queue.get_nowait()
        except queue.Empty:
            self._finish()
        try:
            return self.inlet.queue.get_nowait()
        except queue.Empty:
            raise self._closed_error() from None

    def _closed_error(self) -> MailboxClosed:
        error = MailboxClosed("the mailbox is closed, and all it held were received")
        error.receiver = self
        return error
