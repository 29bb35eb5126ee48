"""Users' functions, checked where they are handed over."""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from types import GeneratorType
from typing import Any, cast

from threadpool_mb.describing import describe

__all__ = ["check_callable", "check_ran", "is_generator_function", "make_generator"]

_HINT = "if a decorator made the worker, functools.wraps in it lets the pool see what it wraps"


def is_generator_function(function: object) -> bool:
    """Return whether calling `function` makes a generator.

    Looks through `functools.partial`, methods, objects with a `__call__`, and decorators that tell
    what they wrap.
    """
    if not callable(function):
        return False
    return any(
        inspect.isgeneratorfunction(called)
        for called in (function, _unwrapped(function), type(function).__call__)
    )


def _unwrapped(function: Callable[..., object]) -> object:
    """Return what decorators tell that they wrap; the function itself if that leads nowhere."""
    try:
        return inspect.unwrap(function)
    except Exception:  # noqa: BLE001 - a proxy object may answer to any name with anything
        return function


def make_generator[K](worker: Callable[[K], Any], key: K) -> Generator[None, Any, object]:
    """Call a generator worker, and return the generator.

    Raises:
        TypeError: if it returns something else, which would never run.
        RuntimeError: if it raises `StopIteration`, which would look as if it had come to its end.
        BaseException: what else it raises.
    """
    try:
        made = worker(key)
    except StopIteration as error:
        raise RuntimeError("the worker raised StopIteration before it was a generator") from error
    if type(made) is GeneratorType or isinstance(made, Generator):
        return cast("Generator[None, Any, object]", made)
    _close_unrun(made)
    raise TypeError(
        f"a generator worker must return a generator, not {describe(made)}, which never runs"
    )


def check_ran(result: object) -> None:
    """Check that a function worker has run, rather than made something that would have to be run.

    Raises:
        TypeError: if it has returned a generator, a coroutine, or another awaitable.
    """
    if result is None:
        return
    for kind, name in (
        (Generator, "generator"),
        (Coroutine, "coroutine"),
        (AsyncGenerator, "asynchronous generator"),
        (Awaitable, "awaitable"),
    ):
        made: object = result
        if isinstance(result, kind):
            _close_unrun(made)
            raise TypeError(
                f"the worker returned the {name} {describe(made)} and has not run: a worker is a"
                f" generator function of a key, or a plain function of a key and a mailbox; {_HINT}"
            )


def _close_unrun(made: object) -> None:
    """Close a coroutine that nobody runs, so that Python does not warn of it as well."""
    if isinstance(made, (Coroutine, Generator)):
        made.close()


def check_callable(function: object, name: str, *arguments: str, generator: bool = False) -> None:
    """Check that `function` runs when it is called with as many positional arguments.

    Args:
        function: what is checked.
        name: what it is called in the error's text.
        arguments: the names of its positional arguments.
        generator: whether it may be a generator function.

    Raises:
        TypeError: if it cannot be called so, or would not run then (a generator function or a
            coroutine function), with its name and value in the text.
    """
    if not callable(function):
        raise TypeError(
            f"{name} must be callable with ({', '.join(arguments)}), not {describe(function)}"
        )
    for called in (function, type(function).__call__):
        for kind, is_one in (
            ("generator", inspect.isgeneratorfunction),
            ("coroutine", inspect.iscoroutinefunction),
            ("asynchronous generator", inspect.isasyncgenfunction),
        ):
            if is_one(called) and not (generator and kind == "generator"):
                raise TypeError(
                    f"{name} must be a plain function, not the {kind} function {describe(function)}"
                )
    try:
        # Not of what a decorator wraps: the decorator may pass it more than it takes itself.
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return  # some built-in callables do not tell theirs
    try:
        signature.bind(*arguments)
    except TypeError as error:
        raise TypeError(
            f"{name} must take ({', '.join(arguments)}),"
            f" but {describe(function)} takes {signature}: {error}"
        ) from None
