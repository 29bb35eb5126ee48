"""Brokers that nobody closes, and what a broker keeps alive while it waits."""

import _thread
import contextlib
import gc
import logging
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.broker.doubles import (
    Boom,
    Callbacks,
    Intercepting,
    Stop,
    named,
    raising,
)
from tests.helpers import DEADLINE, until
from tests.insides import loop_of
from threadpool_mb import Dispatch, Initialize
from threadpool_mb.broker.broker import Broker
from threadpool_mb.broker.config import BrokerConfig, RemoveResource, ResourceUpdate, UpdateResource


class Value:
    """Something whose end can be seen."""


@contextlib.contextmanager
def recorded_warnings() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def test_an_open_broker_that_is_garbage_collected_warns_and_finishes() -> None:
    callbacks = Callbacks()
    broker = Broker(callbacks.config(), name="forgotten")
    broker.input.deliver(Initialize(1, "message"))

    with recorded_warnings() as caught:
        del broker
        gc.collect()
    until(lambda: named("forgotten-dispatcher") == [])

    assert [(warning.category, str(warning.message)) for warning in caught] == [
        (ResourceWarning, "<Broker 'forgotten'> was not closed")
    ]
    assert callbacks.of("handle", "clean") == [
        ("handle", 1, "message", "initial 1"),
        ("clean", 1, "initial 1"),
    ]


def test_an_open_broker_is_closed_also_where_its_warning_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    errors: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: errors.append(str(args.exc_value)))
    broker = Broker(Callbacks().config(), name="forgotten")

    del broker
    gc.collect()
    until(lambda: named("forgotten-dispatcher") == [])

    assert errors == ["<Broker 'forgotten'> was not closed"]


def test_a_collected_broker_waits_for_no_lock_that_the_collecting_thread_holds() -> None:
    lock = threading.Lock()

    def close() -> None:
        with lock:
            pass

    broker = Broker(Callbacks().config(), mailbox=Intercepting(close=close), name="forgotten")

    with lock, recorded_warnings():
        del broker
        gc.collect()
        alive = named("forgotten-dispatcher") != []
    until(lambda: named("forgotten-dispatcher") == [])

    assert alive


def test_a_collected_broker_for_which_there_is_no_thread_is_closed_at_exit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_thread, "start_new_thread", raising(RuntimeError("no more threads")))
    broker = Broker(Callbacks().config(), name="forgotten")
    loop = loop_of(broker)

    with recorded_warnings():
        del broker
        gc.collect()
    alive = named("forgotten-dispatcher") != []
    loop.close()  # what the interpreter's exit does

    assert alive


def closed(broker: Broker[Any, Any, Any, Any]) -> None:
    broker.close()


def cancelled(broker: Broker[Any, Any, Any, Any]) -> None:
    broker.cancel()


def ended(broker: Broker[Any, Any, Any, Any]) -> None:
    broker.input.deliver("stop")
    until(lambda: broker.exception() is not None)


@pytest.mark.parametrize("stop", [closed, cancelled, ended])
def test_a_broker_that_was_stopped_is_collected_without_a_warning(
    stop: Callable[[Broker[Any, Any, Any, Any]], None],
) -> None:
    broker = Broker(Callbacks(demultiplex=raising(Stop())).config(), name="stopped")
    stop(broker)

    with recorded_warnings() as caught:
        del broker
        gc.collect()
    until(lambda: named("stopped-dispatcher") == [])

    assert caught == []


def test_a_broker_that_was_never_made_is_collected_without_a_warning() -> None:
    with recorded_warnings() as caught:
        with pytest.raises(Boom):
            Broker(Callbacks().config(), mailbox=Intercepting(create=raising(Boom())))
        gc.collect()

    assert caught == []


def test_a_cancelled_broker_leaves_nothing_to_the_garbage_collector() -> None:
    gc.disable()
    try:
        broker = Broker(Callbacks().config())
        loop = weakref.ref(loop_of(broker))
        broker.cancel()
        broker.join()

        del broker

        until(lambda: loop() is None)
    finally:
        gc.enable()


def keep(*_: object) -> None:
    """Keep the resource."""


def fail(*_: object) -> Any:  # noqa: ANN401 - in the place of any function
    raise Boom


def first_message(value: Value) -> object:
    return Initialize(1, value)


def unknown_key(value: Value) -> object:
    return Dispatch(1, value)


def removed_key(value: Value) -> object:
    return Initialize(value, "remove")


def created_resource(_value: Value) -> object:
    return Initialize(1, "replace")


@pytest.mark.runs_once
@pytest.mark.parametrize(
    ("message", "create", "handle"),
    [
        pytest.param(first_message, keep, keep, id="a message that was handled"),
        pytest.param(first_message, keep, fail, id="a message that handle refused"),
        pytest.param(first_message, fail, keep, id="a message that create refused"),
        pytest.param(unknown_key, keep, keep, id="a message for an unknown key"),
        pytest.param(removed_key, keep, lambda *_: RemoveResource(), id="a removed key"),
        pytest.param(removed_key, fail, keep, id="a key without a resource"),
        pytest.param(created_resource, None, lambda *_: RemoveResource(), id="a removed resource"),
        pytest.param(
            created_resource, None, lambda *_: UpdateResource(1), id="a replaced resource"
        ),
        pytest.param(created_resource, None, lambda *_: RemoveResource(1), id="both"),
        pytest.param(created_resource, None, fail, id="a resource that failed"),
    ],
)
def test_a_waiting_broker_does_not_keep_alive(
    message: Callable[[Value], object],
    create: Callable[..., object] | None,
    handle: Callable[..., ResourceUpdate[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A log record with a traceback would keep what is in its frames. So would, on t-builds, what
    # the broker's thread makes and another drops, until that thread runs again (gh-157838): hence
    # no `Callbacks`, which record.
    monkeypatch.setattr(logging.getLogger("threadpool_mb.broker.resources"), "disabled", True)
    values = [Value()]
    reference = weakref.ref(values[0])
    create_it = create or (lambda *_: values.pop())
    receives: list[None] = []
    mailbox = Intercepting(receive=lambda: receives.append(None))
    config = BrokerConfig(lambda message: message, create_it, handle, keep)
    with Broker(config, mailbox=mailbox) as broker:
        broker.input.deliver(message(values[0]))
        until(lambda: len(receives) == 2)

        values.clear()

        until(lambda: reference() is None)
        assert broker.exception() is None


EXIT = """
from threadpool_mb import Initialize
from threadpool_mb.broker.broker import Broker
from threadpool_mb.broker.config import BrokerConfig

def clean(key, resource):
    print("cleaned", key, resource)

def create(key, message):
    print("created", key)
    return message

broker = Broker(BrokerConfig(lambda message: message, create, lambda *_: None, clean))
for key in (2, 1):
    broker.input.deliver(Initialize(key, "resource"))
"""

LATE = """
import threading

exiting = threading.Event()
threading._register_atexit(exiting.set)  # called after those that are registered later

from threadpool_mb.broker.broker import Broker
from threadpool_mb.broker.config import BrokerConfig

def late():
    exiting.wait()
    global broker
    try:
        broker = Broker(BrokerConfig(lambda m: m, lambda k, m: m, lambda *_: None, lambda k, r: r))
    except RuntimeError:
        pass  # refusing is as good
    print("late")

threading.Thread(target=late).start()
"""


def run(program: str) -> tuple[int, list[str], str]:
    done = subprocess.run(  # noqa: S603 - the test's own program
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_an_open_broker_lets_the_interpreter_exit_and_cleans_its_resources() -> None:
    outcome = run(EXIT)

    expected = ["created 2", "created 1", "cleaned 1 resource", "cleaned 2 resource"]
    assert outcome == (0, expected, "")


def test_a_broker_made_while_the_interpreter_exits_does_not_keep_it_from_exiting() -> None:
    outcome = run(LATE)

    assert outcome == (0, ["late"], "")
