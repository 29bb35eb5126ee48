"""Brokers with threads for their keys: order and exclusion per key, parallel across keys."""

import collections
import functools
import threading
import time
from typing import Any

import pytest

from tests.broker.doubles import (
    Boom,
    Callbacks,
    Gate,
    Stop,
    brokering,
    named,
    outcome,
    raising,
    settle,
)
from tests.helpers import DEADLINE, Running, refusing_threads, until
from tests.insides import loop_of
from threadpool_mb import (
    Blocking,
    Cancelled,
    DeadLetter,
    DeadLetterReason,
    Dispatch,
    Initialize,
    NonBlocking,
)
from threadpool_mb.broker.broker import Broker
from threadpool_mb.broker.config import RemoveResource

pytestmark = pytest.mark.runs_once


def test_different_keys_are_handled_at_once() -> None:
    both = threading.Barrier(2)
    callbacks = Callbacks(handle=lambda *_: (both.wait(DEADLINE), None)[1])
    with brokering(callbacks, max_threads=2) as broker:
        broker.input.deliver(Initialize(1, "one"))
        broker.input.deliver(Initialize(2, "two"))
        settle(broker)
        kept = len(loop_of(broker).resources)

    assert (both.broken, kept) == (False, 2)
    assert sorted(callbacks.of("handle")) == [(1, "one", "initial 1"), (2, "two", "initial 2")]


def test_a_key_that_is_stuck_holds_up_no_other_and_its_own_messages_wait() -> None:
    gate = Gate()
    callbacks = Callbacks(handle=lambda key, *_: gate.pass_through() if key == 1 else None)
    with brokering(callbacks, max_threads=2) as broker:
        for message in (Initialize(1, "stop here"), Dispatch(1, "waits"), Initialize(2, "passes")):
            broker.input.deliver(message)
        gate.wait_until_reached()
        until(lambda: (2, "passes", "initial 2") in callbacks.of("handle"))
        stuck = [message for key, message, _ in callbacks.of("handle") if key == 1]
        text = repr(broker)
        gate.open()
        settle(broker)

    assert stuck == ["stop here"]
    assert text.endswith("[2 resources | running]>")
    assert [message for key, message, _ in callbacks.of("handle") if key == 1] == [
        "stop here",
        "waits",
    ]


def test_messages_of_a_key_are_handled_one_at_a_time_in_their_order() -> None:
    inside: collections.Counter[int] = collections.Counter()
    overlaps: list[int] = []

    def handle(key: int, _number: int, _resource: object) -> None:
        inside[key] += 1
        time.sleep(0)  # gives the core away; waits for nothing
        if inside[key] != 1:
            overlaps.append(key)
        inside[key] -= 1

    callbacks = Callbacks(handle=handle)
    with brokering(callbacks, max_threads=3) as broker:
        for key in range(4):
            broker.input.deliver(Initialize(key))
        for number in range(400):
            broker.input.deliver(Dispatch(number % 4, number))
        broker.close()
        broker.join()

    assert overlaps == []
    for key in range(4):
        numbers = [number for of, number, _ in callbacks.of("handle") if of == key]
        assert numbers == list(range(key, 400, 4))


def test_create_handle_and_clean_of_what_is_removed_run_on_the_keys_threads() -> None:
    threads: dict[str, set[str]] = collections.defaultdict(set)

    def note(name: str) -> None:
        threads[name].add(threading.current_thread().name)

    def handle(_key: int, message: object, _resource: object) -> RemoveResource[object] | None:
        note("handle")
        return RemoveResource() if message == "remove" else None

    callbacks = Callbacks(
        demultiplex=lambda message: (note("demultiplex"), message)[1],
        create=lambda *_: note("create"),
        handle=handle,
        clean=lambda key, _: note(f"clean {key}"),
    )
    with brokering(callbacks, max_threads=1, name="files") as broker:
        broker.input.deliver(Initialize("removed", "remove"))
        broker.input.deliver(Initialize("kept", "keep"))
        broker.close()
        broker.join()

    assert threads == {
        "demultiplex": {"files-dispatcher"},
        "create": {"files-shared-1"},
        "handle": {"files-shared-1"},
        "clean removed": {"files-shared-1"},
        "clean kept": {"files-dispatcher"},
    }
    assert named("files-shared-1") == []


def test_cancelling_lets_what_runs_finish_and_makes_dead_letters_of_what_waits_for_it() -> None:
    gate = Gate()
    callbacks = Callbacks(handle=lambda *_: gate.pass_through())
    with brokering(callbacks, max_threads=2) as broker:
        broker.input.deliver(Initialize(1, "stop here"))
        broker.input.deliver(Dispatch(1, "waits"))
        broker.input.deliver(Initialize(1))
        gate.wait_until_reached()
        until(lambda: len(loop_of(broker).mailbox) == 0)

        broker.cancel()
        with pytest.raises(TimeoutError):
            broker.join(timeout=0)
        gate.open()

        assert isinstance(outcome(broker), Cancelled)

    assert [message for _, message, _ in callbacks.of("handle")] == ["stop here"]
    assert callbacks.dead == [DeadLetter(1, "waits", DeadLetterReason.POOL_CLOSED)]
    assert callbacks.of("clean") == [(1, "initial 1")]


def test_what_is_no_exception_on_a_keys_thread_wakes_and_ends_the_broker() -> None:
    error = Stop()
    callbacks = Callbacks(handle=raising(error))
    with brokering(callbacks, max_threads=2) as broker:
        broker.input.deliver(Initialize(1, "stop"))

        assert outcome(broker) is error
        assert repr(broker).endswith("| failed]>")

    assert callbacks.of("clean") == [(1, "initial 1")]


def test_a_key_that_breaks_as_its_message_is_handed_over_frees_the_room_that_it_had() -> None:
    callbacks = Callbacks()
    with brokering(callbacks, mailbox=Blocking(1), max_threads=1) as broker:
        for _ in range(5):
            broker.input.deliver(Dispatch(["unhashable"], "lost"))
        broker.input.deliver(Initialize(1, "handled"))
        settle(broker)

    assert callbacks.of("handle") == [(1, "handled", "initial 1")]
    assert [letter.reason for letter in callbacks.dead] == [DeadLetterReason.UNKNOWN_KEY] * 5


@pytest.mark.parametrize(("limit", "max_threads"), [(1, 1), (2, 2), (3, 1)])
def test_a_limit_of_the_mailbox_is_one_for_what_waits_behind_a_stuck_key(
    limit: int, max_threads: int
) -> None:
    gate = Gate()
    callbacks = Callbacks(handle=lambda *_: gate.pass_through())
    with brokering(callbacks, mailbox=NonBlocking(limit), max_threads=max_threads) as broker:
        broker.input.deliver(Initialize(1, 0))
        gate.wait_until_reached()

        accepted = [0]
        # One is handled, the others wait: as many as may be handled or wait there, one of them in
        # the hand of the broker's thread, and then as many as the mailbox takes.
        for number in range(1, limit + max_threads):
            until(functools.partial(broker.input.deliver, Dispatch(1, number)))
            until(lambda: len(loop_of(broker).mailbox) == 0)
            accepted.append(number)
        for number in range(100, 100 + limit):
            # The room of the last one is free a moment after it was taken out.
            until(functools.partial(broker.input.deliver, Dispatch(1, number)))
            accepted.append(number)
        full = not broker.input.deliver(Dispatch(1, 1000))
        gate.open()
        broker.close()
        broker.join()

    assert full
    assert [message for _, message, _ in callbacks.of("handle")] == accepted


def test_where_the_system_starts_no_thread_the_brokers_own_handles_all(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    threads: set[str] = set()
    refusing_threads(monkeypatch, "files-shared-").set()
    callbacks = Callbacks(handle=lambda *_: threads.add(threading.current_thread().name))
    with brokering(callbacks, max_threads=2, name="files") as broker:
        for number in range(3):
            broker.input.deliver(Initialize(1) if number == 0 else Dispatch(1, number))
        until(lambda: len(callbacks.of("handle")) == 2)
        text = repr(broker)
        broker.close()
        broker.join()

        assert [message for _, message, _ in callbacks.of("handle")] == [1, 2]
    assert threads == {"files-dispatcher"}
    assert text == "<Broker 'files' [1 resource | running]>"
    assert "<Broker 'files'>: the system starts no thread, it goes on alone" in caplog.messages


def test_a_callback_that_raises_on_a_keys_thread_holds_up_no_later_message() -> None:
    callbacks = Callbacks(handle=raising(Boom()))
    with brokering(callbacks, max_threads=1) as broker:
        for number in range(3):
            broker.input.deliver(Initialize(1, number))
        settle(broker)

        assert [message for _, message, _ in callbacks.of("handle")] == [0, 1, 2]
        assert callbacks.of("clean") == [(1, "initial 1")] * 3


@pytest.mark.parametrize("max_threads", [0, -1, True, 1.5, "2"])
def test_a_max_threads_that_is_no_int_of_at_least_1_is_refused(max_threads: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match="max_threads must be"):
        Broker(Callbacks().config(), max_threads=max_threads)


def test_a_sender_that_waits_for_room_goes_on_when_a_stuck_key_does() -> None:
    gate = Gate()
    callbacks = Callbacks(handle=lambda *_: gate.pass_through())
    with brokering(callbacks, mailbox=Blocking(1), max_threads=1) as broker:
        sender = Running(
            lambda: [broker.input.deliver(Initialize(1, number)) for number in range(6)]
        )
        gate.wait_until_reached()
        until(lambda: loop_of(broker).mailbox.stats().senders_waiting == 1)
        gate.open()

        assert sender.result() == [True] * 6


def test_a_broker_that_went_on_alone_keeps_no_message_and_uses_the_thread_that_it_gets_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[str] = []
    refusing = refusing_threads(monkeypatch, "files-shared-")
    callbacks = Callbacks(handle=lambda *_: threads.append(threading.current_thread().name))
    with brokering(callbacks, max_threads=2, name="files") as broker:
        refusing.set()
        broker.input.deliver(Initialize(1, "alone"))
        settle(broker)
        refusing.clear()
        broker.input.deliver(Dispatch(1, "not alone"))
        settle(broker)

    assert threads == ["files-dispatcher", "files-shared-1"]
