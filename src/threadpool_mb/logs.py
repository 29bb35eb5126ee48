"""Logging for places at which nobody is left who could be told of an error."""

import contextlib
import logging
from typing import Any, final, override

__all__ = ["logger_of"]


@final
class _Logger(logging.LoggerAdapter[logging.Logger]):
    """A logger that raises no `Exception`.

    `logging` passes on what a handler's `emit` or a filter raises. What is logged here is logged in
    the midst of something that has to be finished: a worker's end is to be reported, a message has
    to become a dead letter, a thread has a turn in hand.
    """

    @override
    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        with contextlib.suppress(Exception):
            # One frame more than the logger expects: this one.
            super().log(level, msg, *args, stacklevel=2, **kwargs)


def logger_of(module: str) -> "logging.LoggerAdapter[logging.Logger]":
    """Return a logger of a module, by its `__name__`, that raises no `Exception`."""
    return _Logger(logging.getLogger(module))
