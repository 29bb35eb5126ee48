"""Which function handles a command: tables, functions, and objects with marked methods."""

from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.calls.doubles import Echo, Tell
from threadpool_mb import Command, Notice, Unlimited, handles, handles_call, serve, server
from threadpool_mb.calls.handlers import find_handler


class Base(Command[int]):
    """A command with others below it."""


class Derived(Base):
    """One of those."""


class DerivedTwice(Derived):
    """And one below that."""


def found(handlers: object, command_type: type) -> object:
    """Return what handles a type of command."""
    handler = find_handler(handlers, {})(command_type)
    return None if handler is None else handler[0]


def first(command: object) -> str:
    return "first"


def second(command: object) -> str:
    return "second"


def waiting(command: object) -> Generator[None]:
    yield


@pytest.mark.parametrize(
    ("table", "command_type", "expected"),
    [
        ({Base: first}, Base, first),
        ({Base: first}, Derived, first),
        ({Base: first}, DerivedTwice, first),
        ({Base: first, Derived: second}, DerivedTwice, second),
        ({Derived: second}, Base, None),
        ({Command: first}, Derived, first),
        ({object: first, Base: second}, Tell, first),
        ({Base: first}, Echo, None),
        ({}, Echo, None),
    ],
)
def test_a_table_is_asked_for_the_type_and_then_for_its_base_classes(
    table: dict[type, Callable[..., object]], command_type: type, expected: object
) -> None:
    assert found(table, command_type) is expected


def test_a_function_handles_whatever_comes() -> None:
    assert [found(first, kind) for kind in (Echo, Tell, Base)] == [first] * 3


class Marked:
    """Has methods for commands and notices."""

    @handles(Base)
    def base(self, command: Base) -> str:
        return "base"

    @handles(Derived)
    def derived(self, command: Derived) -> str:
        return "derived"

    @handles(Echo)
    @handles(Tell)
    def both(self, command: object) -> str:
        return "both"

    @handles_call(Command)
    def others(self, call: object) -> None:
        """Take the call."""

    def unmarked(self, command: object) -> None:
        """Handle nothing."""


class Inheriting(Marked):
    """Has those of its base class, and overrides one."""

    @handles(Derived)
    def derived(self, command: Derived) -> str:
        return "overridden"


class Other(Command[int]):
    """A command that only the method for all commands takes."""


@pytest.mark.parametrize(
    ("kind", "command_type", "expected"),
    [
        (Marked, Base, ("base", False)),
        (Marked, Derived, ("derived", False)),
        (Marked, DerivedTwice, ("derived", False)),
        (Marked, Echo, ("both", False)),
        (Marked, Tell, ("both", False)),
        (Marked, Other, ("others", True)),
        (Inheriting, Base, ("base", False)),
        (Inheriting, DerivedTwice, ("derived", False)),
    ],
)
def test_the_methods_of_an_object_are_found_by_the_type_they_are_marked_with(
    kind: type[Marked], command_type: type, expected: tuple[str, bool]
) -> None:
    handlers = kind()
    name, takes_call = expected

    assert find_handler(handlers, {})(command_type) == (getattr(handlers, name), takes_call)


def test_an_overriding_method_is_the_one_that_is_called() -> None:
    assert found(Inheriting(), Derived)(Derived()) == "overridden"


def test_a_notice_without_a_method_is_not_for_those_of_commands() -> None:
    class Unknown(Notice):
        pass

    assert found(Marked(), Unknown) is None


def test_an_object_with_marked_methods_that_can_be_called_too_is_not() -> None:
    class Both(Marked):
        def __call__(self, command: object) -> None:
            raise AssertionError

    assert found(Both(), Echo)(Echo("1")) == "both"


def test_finding_methods_runs_no_property_of_the_object() -> None:
    class WithProperty(Marked):
        @property
        def expensive(self) -> object:
            raise AssertionError

    assert found(WithProperty(), Echo)(Echo("1")) == "both"


def test_which_methods_a_class_has_is_found_out_once() -> None:
    tables: dict[type, Any] = {}

    find_handler(Marked(), tables)
    tables[Marked].clear()
    tables[Marked][Base] = ("unmarked", False)
    handlers = Marked()

    assert find_handler(handlers, tables)(Base) == (handlers.unmarked, False)
    assert find_handler(handlers, tables)(Echo) is None


@pytest.mark.parametrize("wrong", [Tell(1), int, "Echo", None, Echo("1")], ids=repr)
def test_what_is_no_type_of_command_or_notice_is_named(wrong: object) -> None:
    with pytest.raises(TypeError, match="what is handled must be a type of Command") as raised:
        handles(wrong)

    assert repr(wrong) in str(raised.value)


def test_a_method_that_takes_the_call_is_for_commands_only() -> None:
    with pytest.raises(TypeError, match=r"must be a type of Command, not <class .*Tell'>"):
        handles_call(Tell)


@pytest.mark.parametrize("mark", [handles(Echo), handles_call(Echo)], ids=["command", "call"])
@pytest.mark.parametrize(
    "method", [None, lambda self: None, lambda self, one, two: None], ids=["none", "few", "many"]
)
def test_a_method_that_cannot_be_called_with_one_argument_is_named(
    mark: Callable[..., object], method: object
) -> None:
    with pytest.raises(TypeError, match="method must"):
        mark(method)


def test_a_generator_or_coroutine_function_is_no_method_and_the_error_says_what_may_wait() -> None:
    def generator(self: object, command: object) -> Any:  # noqa: ANN401 - a generator
        yield

    async def coroutine(self: object, command: object) -> None:
        pass

    expected = "method must be a plain function, .*write the worker as a generator"
    for function in (generator, coroutine):
        for mark in (handles(Echo), handles_call(Echo)):
            with pytest.raises(TypeError, match=expected):
                mark(function)


def test_a_marked_method_is_returned_as_it_was() -> None:
    assert Marked().base(Base()) == "base"

    def method(self: object, command: object) -> None:
        pass

    assert handles(Echo)(method) is method


NO_HANDLERS: list[tuple[object, str]] = [
    (None, "handlers must be an object with methods that mb.handles marks"),
    (object(), "handlers must be an object with methods that mb.handles marks"),
    ("text", "handlers must be an object with methods that mb.handles marks"),
    (lambda: None, "handlers must take"),
    ({"Echo": first}, "handlers are for types, not for 'Echo'"),
    ({Echo: None}, "the handler of Echo must be callable"),
    ({Echo: lambda: None}, "the handler of Echo must take"),
    ({Echo: waiting}, "the handler of Echo must be a plain function, .*write the worker as a gen"),
    (waiting, "handlers must be a plain function, not the generator .*write the worker as a gen"),
]


@pytest.mark.parametrize(("handlers", "text"), NO_HANDLERS, ids=[text for _, text in NO_HANDLERS])
def test_what_handles_nothing_is_named_before_anything_is_received(
    handlers: object, text: str
) -> None:
    mailbox = Unlimited().create()
    mailbox.new_input().deliver(1)

    with pytest.raises(TypeError, match=text):
        serve(mailbox, handlers)

    assert len(mailbox) == 1


@pytest.mark.parametrize("make", [None, lambda: None, lambda one, two: None])
def test_what_makes_no_handlers_for_a_key_is_named(make: object) -> None:
    with pytest.raises(TypeError, match="make must"):
        server(make)


@pytest.mark.parametrize("word", ["", "go on", None, True])
def test_another_word_for_what_is_done_after_an_error_is_named(word: object) -> None:
    with pytest.raises(ValueError, match="after_error must be 'continue' or 'stop'") as raised:
        serve(Unlimited().create(), first, after_error=word)

    assert repr(word) in str(raised.value)
    with pytest.raises(ValueError, match="after_error must be"):
        server(lambda key: first, after_error=word)
