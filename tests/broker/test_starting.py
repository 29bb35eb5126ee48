"""How a broker comes to life, shows itself, and refuses what it cannot work with."""

import contextvars
import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.broker.doubles import (
    Boom,
    Callbacks,
    Gate,
    Intercepting,
    Stop,
    brokering,
    named,
    outcome,
    raising,
    settle,
)
from threadpool_mb import Dispatch, Initialize, NonBlocking, ThreadRefused, Unlimited
from threadpool_mb.broker.broker import Broker
from threadpool_mb.broker.config import BrokerConfig

NAME = contextvars.ContextVar("NAME", default="unset")


@pytest.mark.behaviour("BrokerTest 1")
def test_a_broker_shows_its_name_its_resources_what_waits_and_its_state() -> None:
    gate = Gate()
    callbacks = Callbacks(handle=lambda *_: gate.pass_through())
    with brokering(callbacks, name="files") as broker:
        for key in (1, 2):
            broker.input.deliver(Initialize(key))
        settle(broker)
        for _ in range(3):
            broker.input.deliver(Initialize(3, "stop here"))
        gate.wait_until_reached()

        running = repr(broker)
        broker.close()
        closing = repr(broker)
        broker.cancel()
        cancelling = repr(broker)
        gate.open()
        broker.join()
        cancelled = repr(broker)

    assert running == "<Broker 'files' [3 resources | running]>"
    assert closing == "<Broker 'files' [3 resources | closing]>"
    assert cancelling == "<Broker 'files' [3 resources | cancelling]>"
    assert cancelled == "<Broker 'files' [0 resources | cancelled]>"


def test_a_broker_that_was_closed_shows_that_it_ended() -> None:
    broker = Broker(Callbacks().config(), name="files")

    broker.close()
    broker.join()

    assert repr(broker) == "<Broker 'files' [0 resources | ended]>"


def test_a_broker_that_an_error_stopped_shows_that_it_failed() -> None:
    with brokering(Callbacks(demultiplex=raising(Stop())), name="files") as broker:
        broker.input.deliver("stop")

        outcome(broker)

        assert repr(broker) == "<Broker 'files' [0 resources | failed]>"


@pytest.mark.behaviour("BrokerTest 2")
def test_an_exception_of_the_mailbox_config_leaves_the_constructor_and_no_thread() -> None:
    error = Boom()

    with pytest.raises(Boom) as caught:
        Broker(Callbacks().config(), mailbox=Intercepting(create=raising(error)), name="failing")

    assert caught.value is error
    assert named("failing-dispatcher") == []


@pytest.mark.behaviour("BrokerTest 3")
def test_an_exception_of_new_input_leaves_the_constructor_and_no_thread() -> None:
    error = Boom()

    with pytest.raises(Boom) as caught:
        Broker(Callbacks().config(), mailbox=Intercepting(new_input=raising(error)), name="failing")

    assert caught.value is error
    assert named("failing-dispatcher") == []


def test_brokers_without_a_name_are_counted() -> None:
    with brokering(Callbacks()) as first, brokering(Callbacks()) as second:
        prefix, _, number = first.name.partition("-")

        assert (prefix, second.name) == ("broker", f"broker-{int(number) + 1}")


def test_the_thread_bears_the_name_and_keeps_the_interpreter() -> None:
    with brokering(Callbacks(), name="files"):
        [thread] = named("files-dispatcher")

        assert not thread.daemon


def test_the_brokers_threads_do_not_begin_in_its_makers_context() -> None:
    seen: dict[str, str] = {}

    def note(name: str) -> None:
        seen[name] = NAME.get()

    NAME.set("the maker's")
    callbacks = Callbacks(
        demultiplex=lambda message: (note("demultiplex"), message)[1],
        create=lambda *_: note("create"),
        handle=lambda *_: note("handle"),
        clean=lambda *_: note("clean"),
    )
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize("key", "message"))
        broker.close()
        broker.join()

    assert seen == dict.fromkeys(("demultiplex", "create", "handle", "clean"), "unset")


@pytest.mark.runs_once
def test_all_four_functions_run_on_the_brokers_thread() -> None:
    threads: set[str] = set()

    def note[T](result: T) -> T:
        threads.add(threading.current_thread().name)
        return result

    callbacks = Callbacks(
        demultiplex=note,
        create=lambda *_: note(None),
        handle=lambda *_: note(None),
        clean=lambda *_: note(None),
    )
    with brokering(callbacks, name="files") as broker:
        broker.input.deliver(Initialize(1, "one"))
        broker.close()
        broker.join()

    assert [call[0] for call in callbacks.calls] == ["demultiplex", "create", "handle", "clean"]
    assert threads == {"files-dispatcher"}


def one(_a: object) -> object: ...
def two(_a: object, _b: object) -> object: ...
def three(_a: object, _b: object, _c: object) -> object: ...


@pytest.mark.parametrize(
    ("functions", "text"),
    [
        ((two, two, three, two), "demultiplex must take (message), but <function two"),
        ((one, three, three, two), "create must take (key, message), but <function three"),
        ((one, two, two, two), "handle must take (key, message, resource), but <function two"),
        ((one, two, three, one), "clean must take (key, resource), but <function one"),
        (("one", two, three, two), "demultiplex must be callable with (message), not 'one'"),
        ((one, None, three, two), "create must be callable with (key, message), not None"),
        ((one, two, 3, two), "handle must be callable with (key, message, resource), not 3"),
        ((one, two, three, []), "clean must be callable with (key, resource), not []"),
    ],
)
def test_a_function_that_cannot_be_called_with_its_arguments_is_refused(
    functions: tuple[Any, Any, Any, Any], text: str
) -> None:
    with pytest.raises(TypeError) as caught:
        BrokerConfig(*functions)

    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    "clean",
    [print, functools.partial(three, 1), lambda *_: None, lambda _k, _r, more=1: more, dict, max],
)
def test_every_callable_that_takes_the_arguments_is_accepted(clean: Callable[..., Any]) -> None:
    config = BrokerConfig(one, two, three, clean)

    assert config.clean is clean


def test_a_decorated_function_is_judged_by_what_its_decorator_takes() -> None:
    @functools.wraps(three)
    def with_connection(key: object, resource: object) -> object:
        return three(key, resource, "connection")

    config = BrokerConfig(one, two, three, with_connection)

    assert config.clean is with_connection


def test_a_coroutine_function_is_refused_because_calling_it_runs_nothing() -> None:
    async def clean(_key: object, _resource: object) -> None: ...

    with pytest.raises(TypeError, match="clean must be a plain function, not the coroutine"):
        BrokerConfig(one, two, three, clean)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"mailbox": Unlimited},
            "mailbox must be a mailbox config such as Unlimited(), not <class",
        ),
        ({"mailbox": 8}, "mailbox must be a mailbox config such as Unlimited(), not 8"),
        ({"name": 8}, "name must be a str or None, not 8"),
        ({"on_dead_letter": []}, "on_dead_letter must be callable with (dead_letter), not []"),
        ({"on_dead_letter": two}, "on_dead_letter must take (dead_letter), but <function two"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_refused_with_its_value(
    options: dict[str, Any], text: str
) -> None:
    config = Callbacks().config()

    with pytest.raises(TypeError) as caught:
        Broker(config, **options)

    assert str(caught.value).startswith(text)


def test_functions_in_the_place_of_a_config_are_refused() -> None:
    with pytest.raises(TypeError, match="config must be a BrokerConfig, not <function one"):
        Broker(one)


def test_a_refused_thread_is_an_error_that_names_the_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = RuntimeError("can't start new thread")
    monkeypatch.setattr(threading.Thread, "start", raising(refused))

    with pytest.raises(ThreadRefused, match="<Broker 'files'>") as caught:
        Broker(Callbacks().config(), name="files")

    assert caught.value.__cause__ is refused


def test_an_interrupt_while_the_thread_starts_leaves_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = threading.Thread.start
    threads: list[threading.Thread] = []

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        threads.append(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)

    with pytest.raises(KeyboardInterrupt):
        Broker(Callbacks().config())

    threads[0].join(10)
    assert not threads[0].is_alive()


@pytest.mark.runs_once
def test_a_full_mailbox_refuses_as_its_config_says() -> None:
    gate = Gate()
    callbacks = Callbacks(handle=lambda *_: gate.pass_through())
    with brokering(callbacks, mailbox=NonBlocking(2)) as broker:
        broker.input.deliver(Initialize(1, "stop here"))
        gate.wait_until_reached()

        accepted = [broker.input.deliver(Dispatch(1, number)) for number in range(3)]
        gate.open()
        broker.close()
        broker.join()

    assert accepted == [True, True, False]
    assert [message for _, message, _ in callbacks.of("handle")] == ["stop here", 0, 1]
