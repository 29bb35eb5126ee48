"""Receiving from a mailbox in asyncio: the task waits for a message, and no thread does."""

import asyncio
from collections.abc import AsyncIterator

from threadpool_mb.aio.loops import running_loop
from threadpool_mb.aio.signals import Signal
from threadpool_mb.describing import describe
from threadpool_mb.errors import MailboxClosed, MailboxEmpty
from threadpool_mb.mailbox.own_kinds import own_mailbox
from threadpool_mb.mailbox.protocols import Mailbox

__all__ = ["async_messages"]

_IN_A_ROW = 64
"""How many messages that wait are yielded before other tasks have their turn."""


async def async_messages[T](mailbox: Mailbox[T], /) -> AsyncIterator[T]:
    """Receive message after message, in an `async for` loop.

    Ends when the mailbox is closed and empty. The messages that wait are yielded one after the
    other; other tasks have their turn after 64 of them at the latest.

    Blocks: never the loop.
    Threads: one task receives from a mailbox, and nobody else; any thread delivers.

    Raises:
        Cancelled: if the receiver was asked to stop.
        MailboxEmpty: if the mailbox has a `receive_timeout`, and no message came within it.
        CancelledError: if the task was cancelled; no message is lost.
        RuntimeError: outside of a task of asyncio; no message was received.
        TypeError: if the mailbox is not one of this library's.
    """
    own = own_mailbox(mailbox)
    if own is None:
        raise TypeError(f"a mailbox must be one of threadpool_mb's, not {describe(mailbox)}")
    running_loop("async_messages")
    signal = Signal()
    stop_waking = own.wake_with(signal.tell)
    receive = mailbox.receive
    in_a_row = 0
    cleared = False
    # A message is given out of this, and held by nothing here: a call that the task drops is
    # dropped, though the task has not come back.
    given: list[T] = []
    try:
        while True:
            try:
                given.append(receive(timeout=0))
            except MailboxClosed:
                return
            except MailboxEmpty:
                in_a_row = 0
                if not cleared:
                    # And a second look; not before each look, which would have every sender tell.
                    signal.clear()
                elif not await signal.wait(own.receive_timeout):
                    raise
                cleared = not cleared
                continue
            cleared = False
            yield given.pop()
            in_a_row += 1
            if in_a_row == _IN_A_ROW:
                in_a_row = 0
                await asyncio.sleep(0)
    finally:
        stop_waking()
