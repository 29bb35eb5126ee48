"""What is done with a worker's generator beside sending: closing, stopping, what it yields.

For the thread that has its lane in hand; see `generator_lanes`.
"""

import contextlib
from collections.abc import Callable, Generator
from typing import Any, Literal

from threadpool_mb.arguments import describe
from threadpool_mb.errors import Cancelled
from threadpool_mb.logs import Logger
from threadpool_mb.pool.waits import Sleep, Suspended, Wait

__all__ = [
    "GeneratorFunction",
    "WorkerGenerator",
    "close_drained",
    "close_failed",
    "stop",
    "suspended",
]

_logger = Logger(__name__)

type WorkerGenerator[M] = Generator[None, M, object]

type GeneratorFunction[K, M] = Callable[[K], WorkerGenerator[M]]
"""A worker that takes a message at each `yield`."""


def close_drained(generator: WorkerGenerator[Any]) -> Literal["drained"]:
    """Close a worker that has handled its backlog.

    Raises:
        RuntimeError: if it goes on to another `yield` all the same.
        BaseException: what it raises on its way out.
    """
    try:
        generator.close()
    except RuntimeError:
        if (where := _yields_at(generator)) is None:
            raise  # of the worker's own
        # The interpreter's says neither which worker's `yield` it was, nor what to do.
        raise RuntimeError(_went_on("GeneratorExit", where)) from None
    return "drained"


def stop(generator: WorkerGenerator[Any]) -> Literal["stopped"]:
    """Have the worker stop where it waits for its next message.

    Raises:
        RuntimeError: if it goes on to its next `yield` all the same.
        BaseException: what it raises on its way out, `Cancelled` for a start.
    """
    try:
        generator.throw(Cancelled("the worker was asked to stop"))
    except StopIteration:
        return "stopped"
    text = _went_on("Cancelled", _yields_at(generator))
    close_drained(generator)
    raise RuntimeError(text)


def _yields_at(generator: WorkerGenerator[Any]) -> str | None:
    """Return where a generator is suspended; `None` if it has ended, or does not say."""
    frame = getattr(generator, "gi_frame", None)
    if frame is None:
        return None
    return f"line {frame.f_lineno} of {frame.f_code.co_qualname}"


def _went_on(ignored: str, where: str | None) -> str:
    """Return the text of the error of a worker that was to end, and went on."""
    place = "" if where is None else f", in {where}"
    return (
        f"the worker ignored {ignored}: it went on to its next yield{place}; a worker that ends has"
        " no more turns, and cannot wait by `yield from` any more"
    )


def close_failed(generator: WorkerGenerator[Any], owner: str, key: object) -> None:
    """Close the generator of a worker whose outcome is known."""
    try:
        generator.close()
    except BaseException:
        _logger.exception(
            "%s: the worker of key %s raised while it was closed", owner, describe(key)
        )


def suspended(
    generator: WorkerGenerator[Any], value: object, message: object, *, sets_up: bool = False
) -> Suspended:
    """Return the wait that a worker has yielded while it handles a message.

    Raises:
        TypeError: at the generator's `yield`, and from here, if it is none: nothing else may be
            yielded.
    """
    if type(value) is Sleep and value.given and not value.begun:
        return value.of(generator, message, sets_up=sets_up)
    if isinstance(value, Wait):
        return Suspended(generator, value, message, sets_up=sets_up)
    error = TypeError(
        f"a generator worker takes its messages with `message = yield`, it yielded"
        f" {describe(value)}; what it waits for is `yield from mb.sleep(...)` or `mb.wait(...)`"
    )
    try:
        with contextlib.suppress(StopIteration):
            generator.throw(error)
        generator.close()
        raise error
    finally:
        del error  # its traceback holds this frame
