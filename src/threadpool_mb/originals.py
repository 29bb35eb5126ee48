"""What only serves parity with the Haskell originals; loaded when it is first used.

A program of one's own rarely needs any of it. docs/originals.md says what became of each name of
`rio-process-pool` and `unliftio-messagebox`.
"""

from threadpool_mb.calls.cell import late_replies
from threadpool_mb.calls.messages import Request
from threadpool_mb.mailbox.using import handle_message
from threadpool_mb.numbers import CallId, Counter
from threadpool_mb.values import Missing

__all__ = ["CallId", "Counter", "Missing", "Request", "handle_message", "late_replies"]
