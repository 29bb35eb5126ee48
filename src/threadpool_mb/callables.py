"""Users' functions, checked where they are handed over."""

import inspect

from threadpool_mb.describing import describe

__all__ = ["check_callable", "is_generator_function"]


def is_generator_function(function: object) -> bool:
    """Return whether calling `function` makes a generator.

    Looks through `functools.partial`, methods, objects with a `__call__`, and decorators that tell
    what they wrap.
    """
    if not callable(function):
        return False
    return any(
        inspect.isgeneratorfunction(called)
        for called in (function, inspect.unwrap(function), type(function).__call__)
    )


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
