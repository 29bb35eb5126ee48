"""What a worker sees of its own end, for the managers of contexts that it has entered."""

import contextlib
from types import TracebackType
from typing import final

from threadpool_mb.errors import MailboxClosed
from threadpool_mb.here import here

__all__ = ["until_drained"]


@final
class until_drained(contextlib.AbstractContextManager[None, bool]):  # noqa: N801 - used like a function: `with until_drained()`
    """Let a clean end of the worker look like a normal one to what stands around it.

    A worker ends cleanly when it has handled its backlog: after the pool's `close`, at the end of
    its `with` block, after `remove(drain=True)`. A generator worker is closed at its `yield` then,
    by `GeneratorExit`; a function worker gets `MailboxClosed` from `receive`. Both are exceptions,
    on which a database connection rolls back. Innermost in a worker's `with`, this swallows them:

    ```python
    def ledger(account: str) -> Generator[None, Entry]:
        with connect(account) as connection, until_drained():
            while True:
                connection.add((yield))
        # here after a clean end, once `connection` has committed
    ```

    What stops a worker before its next message (`remove`, `cancel`: `Cancelled`), and what the
    worker raises itself, passes, so that a transaction is rolled back.

    Blocks: never. Threads: for one worker.
    """

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool:
        """Swallow what ends a worker cleanly."""
        if isinstance(error, MailboxClosed):
            workers = here.workers()
            return bool(workers) and workers[-1].receives_from(error.receiver)
        return isinstance(error, GeneratorExit)
