"""Logging for places at which no caller is left that could be told of an error.

`logging` is imported when the first owner of threads is made (`threads.exit_hook`), or with the
first line: it would take a sixth of the time of importing this library.
"""

import contextlib
from typing import Final, final

__all__ = ["Logger"]

# The levels that `logging` documents.
_WARNING: Final = 30
_ERROR: Final = 40
_CRITICAL: Final = 50

_CALLER: Final = 3
"""The frame that a record names: behind `_log`, and behind `warning` and the like."""


@final
class Logger:
    """A logger of a module that raises no `Exception`.

    `logging` passes on what a handler's `emit` or a filter raises. The code that logs here is in
    the midst of something that has to be finished: a worker's end is to be reported, a message has
    to become a dead letter, a thread has a turn in hand.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        """Log under the `__name__` of a module."""
        self.name: Final = name

    def warning(self, message: str, *args: object, exc_info: BaseException | None = None) -> None:
        """Log a warning, with the traceback of an exception if one is given."""
        self._log(_WARNING, message, args, exc_info=exc_info)

    def error(self, message: str, *args: object, exc_info: BaseException | None = None) -> None:
        """Log an error, with the traceback of an exception if one is given."""
        self._log(_ERROR, message, args, exc_info=exc_info)

    def exception(self, message: str, *args: object) -> None:
        """Log an error, with the traceback of the exception that is being handled."""
        self._log(_ERROR, message, args, exc_info=True)

    def critical(self, message: str, *args: object, exc_info: bool) -> None:
        """Log a critical error, with the traceback of the exception that is being handled."""
        self._log(_CRITICAL, message, args, exc_info=exc_info)

    def _log(
        self,
        level: int,
        message: str,
        args: tuple[object, ...],
        *,
        exc_info: BaseException | bool | None = None,
    ) -> None:
        with contextlib.suppress(Exception):
            import logging  # noqa: PLC0415 - see the module

            logging.getLogger(self.name).log(
                level, message, *args, exc_info=exc_info, stacklevel=_CALLER
            )
