"""Users' functions, checked where they are handed over."""

import inspect

from threadpool_mb.describing import describe

__all__ = ["check_callable"]


def check_callable(function: object, name: str, *arguments: str) -> None:
    """Check that `function` runs when it is called with as many positional arguments.

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
            if is_one(called):
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
