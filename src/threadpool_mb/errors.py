"""What the library raises.

Every error subclasses what people already catch::

    queue.Empty ── MailboxEmpty           nothing came within the timeout
    queue.ShutDown ── MailboxClosed       closed: nothing more goes in, or comes out
                        └── PoolClosed    the pool was closed or cancelled
    RuntimeError ── ThreadRefused         the system gave no thread that is needed
    BaseException ── Cancelled            this worker was asked to stop

`Cancelled` is a `BaseException`, so that an `except Exception` in a worker does not swallow it.
"""

import queue

__all__ = ["Cancelled", "MailboxClosed", "MailboxEmpty", "PoolClosed", "ThreadRefused"]


class MailboxEmpty(queue.Empty):
    """No message came within the timeout."""


class MailboxClosed(queue.ShutDown):
    """The mailbox is closed: it takes no more messages, and all it held were received."""


class PoolClosed(MailboxClosed):
    """The pool takes no more messages: it was closed or cancelled."""


class ThreadRefused(RuntimeError):
    """The system refused to start a thread that a pool, a broker or an executor needs."""


class Cancelled(BaseException):
    """The worker that receives from this mailbox was asked to stop.

    Let it pass: it ends the worker well, and `finally` and `with` blocks run on its way out.
    """
