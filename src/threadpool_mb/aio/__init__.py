"""The doors for asyncio: `call`, `deliver`, `messages`. The task waits, and no thread does.

They import asyncio, which takes a third of the time of importing all of this: on first use.
"""

import importlib
import typing

if typing.TYPE_CHECKING:
    from threadpool_mb.aio.doors import call as call
    from threadpool_mb.aio.doors import deliver as deliver
    from threadpool_mb.aio.doors import messages as messages

__all__ = ["call", "deliver", "messages"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module("threadpool_mb.aio.doors"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
