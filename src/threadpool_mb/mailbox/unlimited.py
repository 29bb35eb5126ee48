"""`Unlimited`: a `queue.SimpleQueue`, and as little as possible around it."""

import dataclasses
import queue
from collections.abc import Callable, Iterator
from typing import Final, cast, final

from threadpool_mb.mailbox.protocols import Input, Mailbox
from threadpool_mb.mailbox.receiving import ReceivingEnd
from threadpool_mb.mailbox.sending import End, SendingEnd, refuse, sweep

__all__ = ["Unlimited"]


@final
@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Unlimited:
    """Mailboxes without a limit: `deliver` never waits and never refuses.

    From the original's `BlockingUnlimited`.
    """

    @property
    def limit(self) -> None:
        """No limit."""
        return None

    def create[T](self, *, on_dead_letter: Callable[[T], object] | None = None) -> Mailbox[T]:
        """Create a mailbox; see `MailboxConfig.create`."""
        return _UnlimitedMailbox(_UnlimitedInput(on_dead_letter))


def _delivering[T](
    messages: "queue.SimpleQueue[T | type[End]]", on_dead_letter: Callable[[T], object] | None
) -> tuple[Callable[[T], bool], Callable[[], None], Callable[[], None]]:
    """Return `deliver`, what makes it refuse, and what makes it sweep after it has put."""
    # Closures: reading a cell saves a third of `deliver`'s time on 3.13t against reading `self`
    # (108 ns for 164; none on 3.14t). `benchmarks/mailboxes.py`, "Unlimited 1:1".
    put: Callable[[T], object] = messages.put
    done = False

    def deliver(message: T, /) -> bool:
        put(message)
        if done:
            sweep(messages, on_dead_letter)
        return True

    def shut() -> None:
        nonlocal put
        put = refuse

    def finish() -> None:
        nonlocal done
        done = True

    return deliver, shut, finish


@final
class _UnlimitedInput[T](SendingEnd[T]):
    __slots__ = ("_finish", "_shut", "deliver")

    def __init__(self, on_dead_letter: Callable[[T], object] | None) -> None:
        super().__init__(on_dead_letter)
        deliver, self._shut, self._finish = _delivering(self.queue, on_dead_letter)
        self.deliver: Callable[[T], bool] = deliver
        """Put one message into the mailbox; see `Input.deliver`. Never blocks, returns `True`."""

    def shut(self) -> None:
        self._shut()
        super().shut()

    def finish(self) -> None:
        super().finish()
        self._finish()


@final
class _UnlimitedMailbox[T](ReceivingEnd[T]):
    __slots__ = ("_input",)

    def __init__(self, sending: _UnlimitedInput[T]) -> None:
        super().__init__(sending)
        # pyright takes a callable in a slot for a method and binds it; it is none.
        self._input: Final = cast("Input[T]", sending)

    def new_input(self) -> Input[T]:
        """Return a sending end; see `Mailbox.new_input`."""
        return self._input

    def receive(self, *, timeout: float | None = None) -> T:
        """Take the oldest message; see `Mailbox.receive`."""
        if timeout is None and self._plain:
            message = self._get()
            if message is not End:
                return cast("T", message)
            self._take_end()
        return super().receive(timeout=timeout)

    def __iter__(self) -> Iterator[T]:
        """Receive message after message; see `Mailbox.__iter__`."""
        get = self._get
        while self._plain:
            message = get()
            if message is End:
                self._take_end()
                break
            yield cast("T", message)
            # The last message must not be kept alive while the next one is waited for.
            del message
        yield from super().__iter__()
