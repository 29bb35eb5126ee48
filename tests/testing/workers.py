"""Workers that write down what they do."""

from collections.abc import Generator
from typing import Any

import threadpool_mb as mb


class Log:
    """What workers have handled, in its order."""

    def __init__(self) -> None:
        self.handled: list[tuple[object, Any]] = []

    def worker(self, key: object) -> Generator[Any, Any]:
        """Write down each message; wait as long as one says that is a number; raise one."""
        while True:
            message = yield
            if isinstance(message, float):
                yield from mb.sleep(message)
            if isinstance(message, Exception):
                raise message
            self.handled.append((key, message))

    def of(self, key: object) -> list[Any]:
        """Return the messages that a key has handled."""
        return [message for each, message in self.handled if each == key]


class Get(mb.Command[int]):
    """Asks for a number."""

    def __repr__(self) -> str:
        return "Get()"
