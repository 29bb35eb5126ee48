"""Callbacks that record their calls, and mailboxes that run a hook before each operation."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from tests.helpers import DEADLINE, until
from tests.insides import loop_of
from threadpool_mb import (
    MISSING,
    DeadLetter,
    Dispatch,
    Initialize,
    Input,
    Mailbox,
    MailboxConfig,
    Unlimited,
)
from threadpool_mb.broker.broker import Broker
from threadpool_mb.broker.config import BrokerConfig, ResourceUpdate


class Boom(Exception):
    """What a callback raises."""


class Stop(BaseException):
    """What a callback raises that is no `Exception`."""


def raising(error: BaseException) -> Callable[..., NoReturn]:
    """Return a function that raises `error`, whatever it is called with."""

    def raise_it(*_arguments: object) -> NoReturn:
        raise error

    return raise_it


def initial(key: object, _message: object = MISSING) -> str:
    """Return what `Callbacks` create."""
    return f"initial {key}"


class Callbacks:
    """The four functions of a broker: each records its arguments, then does what it is given.

    Messages are addresses already. An `Event` as a message is set, and is in no record; see
    `settle`.
    """

    def __init__(
        self,
        *,
        demultiplex: Callable[[Any], Any] = lambda message: message,
        create: Callable[[Any, Any], Any] = initial,
        handle: Callable[[Any, Any, Any], ResourceUpdate[Any]] = lambda *_: None,
        clean: Callable[[Any, Any], object] = lambda *_: None,
    ) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.dead: list[DeadLetter[Any, Any]] = []
        self._demultiplex = demultiplex
        self._create = create
        self._handle = handle
        self._clean = clean

    def of(self, *names: str) -> list[tuple[Any, ...]]:
        """Return the calls of these functions, in their order; without the name if it is one."""
        found = [call for call in self.calls if call[0] in names]
        return [call[1:] for call in found] if len(names) == 1 else found

    def bury(self, letter: DeadLetter[Any, Any]) -> None:
        """Record a dead letter."""
        if not isinstance(letter.message, threading.Event):
            self.dead.append(letter)

    def config(self) -> BrokerConfig[Any, Any, Any, Any]:
        """Return the four functions."""

        def demultiplex(message: object) -> Initialize[Any, Any] | Dispatch[Any, Any]:
            if isinstance(message, threading.Event):
                message.set()
                raise Boom
            return self._call("demultiplex", self._demultiplex, message)

        def create(key: object, message: object) -> object:
            return self._call("create", self._create, key, message)

        def handle(key: object, message: object, resource: object) -> ResourceUpdate[Any]:
            return self._call("handle", self._handle, key, message, resource)

        def clean(key: object, resource: object) -> object:
            return self._call("clean", self._clean, key, resource)

        return BrokerConfig(demultiplex, create, handle, clean)

    def _call[R](self, name: str, function: Callable[..., R], *arguments: object) -> R:
        self.calls.append((name, *arguments))
        return function(*arguments)


@contextlib.contextmanager
def brokering(
    callbacks: Callbacks,
    *,
    mailbox: MailboxConfig | None = None,
    **options: Any,  # noqa: ANN401
) -> Iterator[Broker[Any, Any, Any, Any]]:
    """Run a broker during the block; end it, whatever stopped it."""
    broker = Broker(
        callbacks.config(),
        mailbox=Unlimited() if mailbox is None else mailbox,
        on_dead_letter=callbacks.bury,
        **options,
    )
    try:
        yield broker
    finally:
        broker.cancel()
        outcome(broker)


def outcome(broker: Broker[Any, Any, Any, Any]) -> BaseException | None:
    """Wait for the broker's end; return what it was stopped by."""
    with contextlib.suppress(Boom, Stop, OSError):
        broker.join(timeout=DEADLINE)
    return broker.exception()


def named(name: str) -> list[threading.Thread]:
    """Return the living threads of this name."""
    return [thread for thread in threading.enumerate() if thread.name == name]


def settle(broker: Broker[Any, Any, Any, Any]) -> None:
    """Wait until the broker has dealt with all that was delivered before."""
    reached = threading.Event()
    broker.input.deliver(reached)
    assert reached.wait(DEADLINE)
    parallel = loop_of(broker).parallel
    until(lambda: parallel is None or parallel.table.tasks == 0)


class Gate:
    """Where a callback stops until the test opens it."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._opened = threading.Event()

    def pass_through(self) -> None:
        """Stop here until the gate is open."""
        self._reached.set()
        assert self._opened.wait(DEADLINE)

    def wait_until_reached(self) -> None:
        """Wait until a callback stands at the gate."""
        assert self._reached.wait(DEADLINE)

    def open(self) -> None:
        """Let the callback go on."""
        self._opened.set()


type Hook = Callable[[], object]


def nothing() -> None:
    """Stand where there is no hook."""


class Intercepting:
    """The mailboxes of another config; each hook runs before its operation, and may raise."""

    def __init__(
        self,
        config: MailboxConfig | None = None,
        *,
        create: Hook = nothing,
        new_input: Hook = nothing,
        receive: Hook = nothing,
        deliver: Hook = nothing,
        close: Hook = nothing,
    ) -> None:
        self._config: MailboxConfig = Unlimited() if config is None else config
        self._create = create
        self.new_input = new_input
        self.receive = receive
        self.deliver = deliver
        self.close = close

    @property
    def limit(self) -> int | None:
        return self._config.limit

    def create[T](self, *, on_dead_letter: Callable[[T], object] | None = None) -> Mailbox[T]:
        self._create()
        mailbox: Mailbox[T] = self._config.create(on_dead_letter=on_dead_letter)
        return InterceptingMailbox(self, mailbox)


class InterceptingMailbox[T]:
    def __init__(self, hooks: Intercepting, mailbox: Mailbox[T]) -> None:
        self._hooks = hooks
        self._mailbox = mailbox

    def new_input(self) -> Input[T]:
        self._hooks.new_input()
        return InterceptingInput(self._hooks, self._mailbox.new_input())

    def receive(self, *, timeout: float | None = None) -> T:
        self._hooks.receive()
        return self._mailbox.receive(timeout=timeout)

    def close(self) -> None:
        self._hooks.close()
        self._mailbox.close()

    def __len__(self) -> int:
        return len(self._mailbox)

    def __getattr__(self, name: str) -> object:
        return getattr(self._mailbox, name)


class InterceptingInput[T]:
    def __init__(self, hooks: Intercepting, wrapped: Input[T]) -> None:
        self._hooks = hooks
        self._input = wrapped

    def deliver(self, message: T, /) -> bool:
        self._hooks.deliver()
        return self._input.deliver(message)
