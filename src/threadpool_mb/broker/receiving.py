"""Receiving that callers may take part in: whose message is the next one to be handled.

**Guarantees.** One thread at a time takes messages: the broker's, or a caller who has one handled
on its own thread. A caller does so only where no message is before its own, in the mailbox or in
the broker's hand: so the order of each sender's messages is kept.

**How.** Whoever takes a message out of the mailbox, and gives it its place among those of its key,
holds the *gate* meanwhile. The broker's thread waits without the gate, to be told that there is
something (`wake_with`), and takes nothing while it waits. A caller tries the gate, and looks into
the mailbox: what it has sent before is either there, or was taken out under the gate, and has its
place among those of its key by now.
"""

import queue
import threading
from collections.abc import Callable
from typing import Final, final

from threadpool_mb.errors import MailboxEmpty
from threadpool_mb.mailbox.own_kinds import own_mailbox
from threadpool_mb.mailbox.protocols import Mailbox
from threadpool_mb.mailbox.receiving import QueueMailbox

__all__ = ["SharedReceiving", "shared_receiving"]


@final
class _Bell:
    """Tells the broker's thread that there is something; see `aio.signals` for the order.

    Apart, so that the mailbox does not refer to itself through it.
    """

    __slots__ = ("_rings", "rung")

    def __init__(self) -> None:
        self._rings: Final[queue.SimpleQueue[None]] = queue.SimpleQueue()
        self.rung: bool = False

    def ring(self) -> None:
        if not self.rung:
            self.rung = True
            self._rings.put(None)

    def wait(self) -> None:
        self._rings.get()


@final
class SharedReceiving[M]:
    """The receiving end of a broker's mailbox.

    Threads: `take_next` is the broker's thread's, `take_here` is for any.
    """

    __slots__ = ("_bell", "_gate", "_mailbox")

    def __init__(self, mailbox: Mailbox[M], own: QueueMailbox[M]) -> None:
        """Receive from `mailbox`, which is `own`, or a `CatchAll` around it."""
        self._mailbox: Final = mailbox
        self._bell: Final = _Bell()
        # Held by whoever takes messages. The broker's thread waits for it while a caller asks for
        # its message's key; nobody else does.
        self._gate: Final = threading.Lock()
        own.wake_with(self._bell.ring)

    def take_next(self, take: Callable[[M], object]) -> None:
        """Take what comes next, and hand it to `take`.

        Blocks: until there is something.

        Raises:
            MailboxClosed: if the mailbox is closed and empty.
            Cancelled: if the receiver was asked to stop.
        """
        bell = self._bell
        while not self._take_one(take):
            # Before the look that finds nothing: what comes after that rings. Not before each look:
            # a bell that is answered by looking need not be rung for each message.
            bell.rung = False
            if self._take_one(take):
                return
            bell.wait()

    def _take_one(self, take: Callable[[M], object]) -> bool:
        with self._gate:
            try:
                # No name here holds the message.
                take(self._mailbox.receive(timeout=0))
            except MailboxEmpty:
                return False
        return True

    def take_here(self, submit: Callable[[], Callable[[], object] | bool]) -> bool:
        """Let the caller's message be the next one, if none is before it.

        Args:
            submit: gives the message its place among those of its key, and returns what handles
                it, if that is to be done here, or whether it was taken; called under the gate.

        Returns:
            `False` if it is not its turn.
        """
        handle: Callable[[], object] | bool = False
        # A loop, so that no interrupt can come between the gate and the `try`; see `lanes`.
        for got in map(self._gate.acquire, (False,)):
            if not got:
                return False
            try:
                if self._mailbox.closed or len(self._mailbox):
                    return False
                handle = submit()
            finally:
                self._gate.release()
        if isinstance(handle, bool):
            return handle
        handle()
        return True


def shared_receiving[M](mailbox: Mailbox[M]) -> SharedReceiving[M] | None:
    """Return the receiving end of a mailbox of this library; `None` for a user's own kind.

    And for one with a `receive_timeout`: what is handled without being received would not count.
    """
    own = own_mailbox(mailbox)
    if own is None or own.receive_timeout is not None:
        return None
    return SharedReceiving(mailbox, own)
