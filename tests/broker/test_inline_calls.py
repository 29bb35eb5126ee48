"""Calls to a broker with `max_threads` that are handled on their callers' threads."""

import asyncio
import contextvars
import dataclasses
import sys
import threading
from collections.abc import Callable

import pytest

import threadpool_mb as mb
from tests.helpers import Running, refusing_threads, until

pytestmark = pytest.mark.runs_once

NAME = contextvars.ContextVar("NAME", default="unset")


@dataclasses.dataclass(frozen=True, slots=True)
class Do(mb.Command[object]):
    """Has `handle` call a function; what it returns is the reply."""

    key: str
    function: Callable[[], object]


type Address = mb.Initialize[str, object] | mb.Dispatch[str, object]
type Message = mb.Call[object] | Address


class Handled:
    """What was handled, in order, and on which threads."""

    def __init__(self) -> None:
        self.messages: list[object] = []
        self.threads: list[threading.Thread] = []
        self.at_once = 0
        self.most = 0
        self.config = mb.BrokerConfig(
            self.demultiplex, lambda key, message: key, self.handle, lambda key, resource: None
        )

    def demultiplex(self, message: Message) -> Address:
        if isinstance(message, mb.Call):
            assert isinstance(message.command, Do)
            return mb.Dispatch(message.command.key, message)
        return message

    def handle(self, key: str, message: object, resource: str) -> None:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.threads.append(threading.current_thread())
        if isinstance(message, mb.Call):
            self.messages.append("call")
            message.reply_box.reply(message.command.function())
        elif callable(message):
            self.messages.append("function")
            message()
        else:
            self.messages.append(message)
        self.at_once -= 1


def asked(broker: mb.Broker[Message, str, object, str], function: Callable[[], object]) -> object:
    """Call from a thread that is not the main one."""
    return Running(lambda: mb.call(broker.input, Do("key", function))).result()


def ready(broker: mb.Broker[Message, str, object, str], handled: Handled) -> None:
    """Wait until there are a resource and a thread, and nothing is to be done."""
    broker.input.deliver(mb.Initialize("key", "first"))
    until(lambda: handled.messages == ["first"])
    handled.messages.clear()
    handled.threads.clear()
    until(lambda: not broker._loop.parallel._table.tasks)  # type: ignore[union-attr]


@pytest.mark.parametrize("inline", [None, True])
def test_a_call_to_an_idle_broker_is_handled_on_the_callers_thread(*, inline: bool | None) -> None:
    handled = Handled()
    with mb.Broker(handled.config, max_threads=2, inline_calls=inline) as broker:
        ready(broker, handled)

        name = asked(broker, lambda: threading.current_thread().name)

    assert name == "test-running"


@pytest.mark.parametrize(("inline", "here"), [(None, False), (True, True), (False, False)])
def test_the_main_thread_handles_a_call_only_if_it_is_told_so(
    *, inline: bool | None, here: bool
) -> None:
    handled = Handled()
    with mb.Broker(handled.config, max_threads=2, inline_calls=inline) as broker:
        ready(broker, handled)

        def main_thread_has_handled_one() -> bool:
            mb.call(broker.input, Do("key", int))
            return threading.main_thread() in handled.threads

        # The broker's own thread may look for messages just then, and is first.
        if here:
            until(main_thread_has_handled_one)
        else:
            assert not any(main_thread_has_handled_one() for _ in range(10))

    assert (threading.main_thread() in handled.threads) is here


def test_the_callers_context_is_not_the_handlers() -> None:
    handled = Handled()
    NAME.set("the caller's")
    with mb.Broker(handled.config, max_threads=2, inline_calls=True) as broker:
        ready(broker, handled)

        assert mb.call(broker.input, Do("key", NAME.get)) == "unset"


@pytest.mark.parametrize("inline", [None, True])
def test_a_handler_does_not_see_the_exception_that_its_caller_handles(
    *, inline: bool | None
) -> None:
    handled = Handled()
    with mb.Broker(handled.config, max_threads=2, inline_calls=inline) as broker:
        ready(broker, handled)

        def call_in_an_except_block() -> tuple[object, object]:
            try:
                int("no number")
            except ValueError:
                return mb.call(broker.input, Do("key", sys.exception)), sys.exception()

        seen, mine = Running(call_in_an_except_block).result()

    assert seen is None
    assert isinstance(mine, ValueError)


def test_a_handler_can_run_an_event_loop_though_one_runs_where_it_is_called() -> None:
    async def ask() -> object:
        return mb.call(broker.input, Do("key", lambda: asyncio.run(asyncio.sleep(0, "slept"))))

    handled = Handled()
    with mb.Broker(handled.config, max_threads=2, inline_calls=True) as broker:
        ready(broker, handled)

        assert asyncio.run(ask()) == "slept"


def test_the_brokers_thread_does_not_begin_in_its_makers_context() -> None:
    def name(message: str) -> mb.Initialize[str, str]:
        seen.append(NAME.get())
        return mb.Initialize("key", message)

    seen: list[object] = []
    NAME.set("the maker's")
    config = mb.BrokerConfig(name, lambda *_: None, lambda *_: None, lambda *_: None)
    with mb.Broker(config) as broker:
        broker.input.deliver("message")
        broker.close()
        broker.join()

    assert seen == ["unset"]


def test_a_sender_s_messages_before_its_call_are_handled_before_it() -> None:
    handled = Handled()
    hold = threading.Event()
    with mb.Broker(handled.config, max_threads=2, inline_calls=True) as broker:
        ready(broker, handled)

        for _ in range(50):
            broker.input.deliver(mb.Dispatch("key", 1))
            broker.input.deliver(mb.Dispatch("key", 2))
            mb.call(broker.input, Do("key", int))
        broker.input.deliver(mb.Dispatch("key", lambda: hold.wait(15)))
        waiting = Running(lambda: mb.call(broker.input, Do("key", lambda: "after it")))
        hold.set()
        assert waiting.result() == "after it"

    assert handled.messages[:150] == [1, 2, "call"] * 50
    assert handled.messages[150:] == ["function", "call"]


def test_a_message_that_comes_meanwhile_waits_for_the_callers_thread() -> None:
    handled = Handled()
    with mb.Broker(handled.config, max_threads=2) as broker:
        ready(broker, handled)

        def deliver_more() -> None:
            broker.input.deliver(mb.Dispatch("key", 1))
            until(lambda: not broker._loop.waiting or broker._loop.parallel.waiting)  # type: ignore[union-attr]

        asked(broker, deliver_more)
        until(lambda: len(handled.messages) == 2)

    assert handled.messages == ["call", 1]
    assert handled.most == 1


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_ending_the_broker_waits_for_a_call_that_is_being_handled(end: str) -> None:
    handled = Handled()
    hold, begun = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        hold.wait(15)
        return "handled"

    broker = mb.Broker(handled.config, max_threads=2)
    ready(broker, handled)
    caller = Running(lambda: mb.call(broker.input, Do("key", slow)))
    begun.wait(15)
    getattr(broker, end)()
    with pytest.raises(TimeoutError):
        broker.join(timeout=0.01)
    hold.set()
    broker.join(timeout=15)

    assert caller.result() == "handled"
    with pytest.raises(mb.CallNotDelivered, match="closed"):
        asked(broker, int)


def test_what_handle_raises_fails_the_call_and_removes_the_resource() -> None:
    handled = Handled()

    def boom() -> None:
        raise ValueError("boom")

    with mb.Broker(handled.config, max_threads=2, on_dead_letter=lambda _: None) as broker:
        ready(broker, handled)

        with pytest.raises(mb.WorkerGone) as caught:
            asked(broker, boom)
        assert caught.value.key == "key"
        with pytest.raises(mb.CallNotDelivered, match="unknown key"):
            asked(broker, int)


def test_join_from_a_handler_on_its_callers_thread_is_refused() -> None:
    handled = Handled()
    with mb.Broker(handled.config, max_threads=2) as broker:
        ready(broker, handled)

        def join() -> str:
            with pytest.raises(RuntimeError, match="own thread"):
                broker.join()
            return "refused"

        assert asked(broker, join) == "refused"


def test_without_a_thread_the_brokers_own_handles_calls_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a key could be handled by a caller, and by the broker's thread, at once."""
    handled = Handled()
    refuses = refusing_threads(monkeypatch, "alone-shared")
    refuses.set()
    with mb.Broker(handled.config, max_threads=2, name="alone") as broker:
        broker.input.deliver(mb.Initialize("key", "first"))
        until(lambda: handled.messages)

        names = [asked(broker, lambda: threading.current_thread().name) for _ in range(3)]

    assert names == ["alone-dispatcher"] * 3
    assert handled.most == 1


def test_the_bell_of_a_busy_broker_is_not_rung_for_each_message() -> None:
    handled = Handled()
    hold = threading.Event()
    with mb.Broker(handled.config, max_threads=1, mailbox=mb.Blocking(10)) as broker:
        bell = broker._loop._receiving._bell  # type: ignore[union-attr]
        broker.input.deliver(mb.Initialize("key"))
        for number in range(500):
            broker.input.deliver(mb.Dispatch("key", number))
        rings = bell._rings.qsize()
        hold.set()
        until(lambda: len(handled.messages) == 500)

    assert rings <= 2


def test_a_broker_that_ends_when_nothing_comes_for_a_time_receives_each_call() -> None:
    handled = Handled()
    mailbox = mb.Waiting(8, deliver_timeout=1, receive_timeout=60)
    with mb.Broker(handled.config, max_threads=1, mailbox=mailbox) as broker:
        broker.input.deliver(mb.Initialize("key"))

        assert asked(broker, lambda: threading.current_thread().name) != "test-running"
