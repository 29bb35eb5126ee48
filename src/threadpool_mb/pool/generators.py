"""What is done with a worker's generator beside sending: closing, stopping, refusing a value.

For the thread that has its lane in hand; see `generator_lanes`.
"""

import contextlib
from collections.abc import Callable, Generator
from typing import Any, Literal, Never

from threadpool_mb.arguments import describe
from threadpool_mb.errors import Cancelled

__all__ = ["GeneratorFunction", "WorkerGenerator", "close_drained", "refuse", "stop"]

type WorkerGenerator[M] = Generator[None, M, object]

type GeneratorFunction[K, M] = Callable[[K], WorkerGenerator[M]]
"""A worker that takes a message at each `yield`."""


def close_drained(generator: WorkerGenerator[Any]) -> Literal["drained"]:
    """Close a worker that has handled its backlog."""
    generator.close()
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
    generator.close()
    raise RuntimeError("the worker ignored Cancelled: it went on to its next yield")


def refuse(generator: Generator[None, Any, object], value: object) -> Never:
    """Raise at the generator's `yield`, and from here, that it must yield nothing."""
    error = TypeError(
        f"a generator worker takes its messages with `message = yield`, it yielded"
        f" {describe(value)}"
    )
    try:
        with contextlib.suppress(StopIteration):
            generator.throw(error)
        generator.close()
        raise error
    finally:
        del error  # its traceback holds this frame
