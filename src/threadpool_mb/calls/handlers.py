"""Which function handles a command: an object's methods, a table, or one function for all."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast, overload

from threadpool_mb.arguments import check_callable, describe
from threadpool_mb.calls.messages import Call, Command, Notice

__all__ = [
    "Handler",
    "Handlers",
    "MethodTable",
    "find_handler",
    "handles",
    "handles_call",
    "has_handlers",
]

type Handlers = Mapping[type[Any], Callable[[Any], object]] | Callable[[Any], object] | object
"""A table of functions by type of command; or one function for all; or an object whose methods say
with `handles` what they are for."""

type Handler = tuple[Callable[[Any], object], bool]
"""A function; and whether it takes the `Call` and answers it itself."""

type MethodTable = dict[type, tuple[str, bool]]
"""The names of the marked methods of a class, by what they handle; whether they take the `Call`."""

_MARK: Final = "__threadpool_mb_handles__"

_INSTEAD: Final = (
    "a handler cannot wait without a thread: where a command is to wait so, write the worker as a"
    " generator, `match (yield): case mb.Call(command, reply_box): …`, which may `yield from"
    " mb.sleep(…)` or `mb.wait(…)`"
)


class _Answers[R](Protocol):
    """Takes a method whose return value is the reply."""

    def __call__[S, C](self, method: Callable[[S, C], R], /) -> Callable[[S, C], R]: ...


class _TakesCall[R](Protocol):
    """Takes a method that answers the call itself."""

    def __call__[S](
        self, method: Callable[[S, Call[R]], object], /
    ) -> Callable[[S, Call[R]], object]: ...


@overload
def handles[R](command_type: type[Command[R]], /) -> _Answers[R]: ...
@overload
def handles(command_type: type[Notice], /) -> _Answers[object]: ...
def handles(command_type: type[Command[Any]] | type[Notice], /) -> _Answers[Any]:
    """Mark a method as the one that handles a type of command, or of notice.

    It is called with the command; what it returns is the reply. What it raises fails the call. It
    is a plain function: a worker that is to wait without a thread (`mb.sleep`, `mb.wait`) in the
    midst of a command is a generator that matches on `Call`.

    ```python
    class Account:
        @mb.handles(GetBalance)
        def balance(self, command: GetBalance) -> int:
            return self.total
    ```

    Raises:
        TypeError: if it is no such type, or the method cannot be called with one argument.
    """
    return cast("_Answers[Any]", _marking(command_type, takes_call=False))


def handles_call[R](command_type: type[Command[R]], /) -> _TakesCall[R]:
    """Mark a method as the one that gets the calls with a type of command.

    It is called with the `Call`, and answers it, now or later, or hands it on with `delegate`. Its
    return value is not used. What it raises fails the call, if it has not answered yet.

    Raises:
        TypeError: if it is no such type, or the method cannot be called with one argument.
    """
    return cast("_TakesCall[R]", _marking(command_type, takes_call=True))


def _is_type_of(given: object, kinds: tuple[type, ...]) -> bool:
    return isinstance(given, type) and issubclass(given, kinds)


def _marking(command_type: object, *, takes_call: bool) -> Callable[..., object]:
    kinds = (Command,) if takes_call else (Command, Notice)
    if not _is_type_of(command_type, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"what is handled must be a type of {names}, not {describe(command_type)}")

    def mark[F: Callable[..., object]](method: F) -> F:
        argument = "call" if takes_call else "command"
        check_callable(method, "method", "self", argument, instead=_INSTEAD)
        setattr(method, _MARK, (*getattr(method, _MARK, ()), (command_type, takes_call)))
        return method

    return mark


def _methods(kind: type) -> MethodTable:
    table: MethodTable = {}
    # From the base to the class itself: what overrides a marked method handles what that one did.
    for base in reversed(kind.__mro__):
        for name, attribute in vars(base).items():
            # Not `getattr`: a class may have attributes that answer to any name.
            marks = getattr(attribute, "__dict__", {}).get(_MARK, ())
            for command_type, takes_call in marks:
                table[command_type] = (name, takes_call)
    return table


def has_handlers(kind: type) -> bool:
    """Return whether a class has methods that are marked."""
    return bool(_methods(kind))


def find_handler(
    handlers: Handlers, tables: dict[type, MethodTable]
) -> Callable[[type], Handler | None]:
    """Return what finds the handler of a type of command: its own, or that of a base class.

    Which methods of a class are marked is noted in `tables`: finding out takes some 100 µs.

    Raises:
        TypeError: if `handlers` handles nothing.
    """
    by_type: dict[type, Handler]
    if isinstance(handlers, Mapping):
        table = cast("Mapping[type, Callable[[Any], object]]", handlers)
        for command_type, function in table.items():
            if not isinstance(command_type, type):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"handlers are for types, not for {describe(command_type)}")
            name = f"the handler of {command_type.__name__}"
            check_callable(function, name, "command", instead=_INSTEAD)
        by_type = {command_type: (function, False) for command_type, function in table.items()}
    else:
        kind = type(handlers)
        methods = tables.get(kind)
        if methods is None:
            methods = tables[kind] = _methods(kind)
        if methods:
            by_type = {
                command_type: (getattr(handlers, name), takes_call)
                for command_type, (name, takes_call) in methods.items()
            }
        else:
            if not callable(handlers):
                raise TypeError(
                    "handlers must be an object with methods that mb.handles marks, a table of"
                    f" functions, or a function of a command, not {describe(handlers)}"
                )
            check_callable(handlers, "handlers", "command", instead=_INSTEAD)
            by_type = {object: (cast("Callable[[Any], object]", handlers), False)}

    def find(command_type: type) -> Handler | None:
        for base in command_type.__mro__:
            if (handler := by_type.get(base)) is not None:
                return handler
        return None

    return find
