"""Mailboxes whose messages are observed: of function workers, and of brokers.

The sending half puts messages into envelopes, `ObservedConfig`; the receiving half opens them and
tells what is begun and done, `ObservedMailbox`, which a function worker gets in the place of its
mailbox. In a mailbox of a user's own kind there are no envelopes.

**Guarantees.** Each message that a worker receives is told as begun; and as done, when it asks for
the next one or has ended. What was received together is done together. A message that is received
on another thread than the worker's, by a future, is told as neither.
"""

import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, final, override

from threadpool_mb.arguments import Deadline
from threadpool_mb.envelopes import Observed, opened, plain
from threadpool_mb.errors import MailboxClosed
from threadpool_mb.line.adapting import OwnInput, adapted
from threadpool_mb.line.inlet import Marker
from threadpool_mb.line.slots import Slots
from threadpool_mb.line.stores import Ranked
from threadpool_mb.mailbox.catch_all import CatchAll
from threadpool_mb.mailbox.kinds import Prioritized, own_mailbox
from threadpool_mb.mailbox.sending import MailboxInlet
from threadpool_mb.mailbox.wrapping import WrappedMailbox
from threadpool_mb.observing import Observers
from threadpool_mb.protocols import Input, Mailbox, MailboxConfig, MessageFuture
from threadpool_mb.values import MISSING, Missing

__all__ = ["ObservedConfig", "ObservedMailbox", "observed_priorities"]


def observed_priorities(config: MailboxConfig) -> MailboxConfig:
    """Return a config whose priorities, if it has any, are those of what is in envelopes."""
    if isinstance(config, CatchAll):
        return CatchAll(observed_priorities(config.config))
    if isinstance(config, Prioritized):
        return Prioritized(config.config, functools.partial(_priority, config.priority))
    return config


def _priority(priority: Callable[[Any], float], message: object) -> float:
    return priority(plain(message))


@final
class ObservedConfig:
    """Creates mailboxes of another config that tell what is sent."""

    __slots__ = ("_config", "_observers")

    def __init__(self, config: MailboxConfig, observers: Observers) -> None:
        """Create what `config` does."""
        self._config: Final = observed_priorities(config)
        self._observers: Final = observers

    @property
    def limit(self) -> int | None:
        """The most messages that may wait; `None` for no limit."""
        return self._config.limit

    def create[T](self, *, on_dead_letter: Callable[[T], object] | None = None) -> Mailbox[T]:
        """Create a mailbox; its key is that of `on_dead_letter`."""
        mailbox = self._config.create(on_dead_letter=on_dead_letter)
        key: object = getattr(on_dead_letter, "key", MISSING)
        own = own_mailbox(mailbox)
        if own is None:
            return _Foreign(mailbox, self._observers, key)
        # Before there is an input, which binds it.
        own.inlet.put = _enveloping(own.inlet, self._observers, key)
        return mailbox


def _enveloping(
    inlet: MailboxInlet[Any], observers: Observers, key: object
) -> Callable[[Any], object]:
    """Return what puts messages into an inlet in their envelopes; markers as they are."""
    put, enveloped = inlet.put, observers.enveloped
    prepare = None if inlet.store is None else inlet.store.prepare

    def put_observed(message: Any) -> None:  # noqa: ANN401 - of any mailbox
        if message is Marker:
            put(message)
        elif prepare is None:
            put(enveloped(key, message))
        else:
            if type(message) is not Ranked:
                message = prepare(message)  # it may raise: then nothing was sent
            put(Ranked(enveloped(key, message.message), message.priority))

    return put_observed


@final
class _Foreign[T](WrappedMailbox[T]):
    """A mailbox of a user's own kind that tells what is sent."""

    __slots__ = ("_key", "_observers")

    def __init__(self, mailbox: Mailbox[T], observers: Observers, key: object) -> None:
        super().__init__(mailbox)
        self._observers: Final = observers
        self._key: Final = key

    @override
    def new_input(self) -> Input[T]:
        return _ForeignInput(self.wrapped.new_input(), self._observers, self._key)


@final
class _ForeignInput[T](OwnInput[T]):
    __slots__ = ("_input", "_key", "_observers")

    def __init__(self, wrapped: Input[T], observers: Observers, key: object) -> None:
        self._input: Final = adapted(wrapped)
        self._observers: Final = observers
        self._key: Final = key

    def _told(self, message: T) -> T:
        if type(message) is Observed:
            return plain(message)
        self._observers.sent(self._key, message)
        return message

    @override
    def deliver(self, message: T, /) -> bool:
        return self._input.deliver(self._told(message))

    @override
    def deliver_within(self, message: T, deadline: Deadline) -> bool:
        return self._input.deliver_within(self._told(message), deadline)

    @property
    @override
    def room(self) -> Slots | None:
        return self._input.room


@final
class ObservedMailbox[T](WrappedMailbox[T]):
    """A function worker's mailbox, as the worker has it. For the worker's thread."""

    __slots__ = ("_begin", "_end", "_handler_error", "_in_hand", "_key", "_thread")

    def __init__(self, mailbox: Mailbox[T], observers: Observers, key: object) -> None:
        """Receive from `mailbox`, on this thread."""
        super().__init__(mailbox)
        # Closures of the observers; see `guarding`.
        self._begin: Final = observers.begun
        self._end: Final = observers.done
        self._key: Final = key
        self._thread: Final = threading.get_ident()
        # Each message that was begun, and what observers have said of that.
        self._in_hand: Final[list[tuple[T, Any]]] = []
        # What a server's handler has raised for what is in hand: its caller has got that.
        self._handler_error: Exception | None = None

    def handler_raised(self, error: Exception) -> None:
        """Take note of what a server's handler has raised for what is in hand."""
        if self._in_hand:
            self._handler_error = error

    def done(self, error: BaseException | None = None) -> None:
        """Tell that what was received is done."""
        if error is None:
            error = self._handler_error
        self._handler_error = None
        while self._in_hand:
            message, begun = self._in_hand.pop()
            self._end(self._key, message, begun, error)
            del message, begun  # not kept while the next one is waited for

    def begin(self, carried: T) -> T:
        """Open a message's envelope, and tell that it is begun."""
        message, sent = opened(carried)
        begun = self._begin(self._key, message, sent)
        self._in_hand.append((message, begun))
        return message

    @override
    def receive(self, *, timeout: float | None = None) -> T:
        self.done()
        return self.begin(self.wrapped.receive(timeout=timeout))

    @override
    def receive_many(self, max_messages: int, *, timeout: float | None = None) -> list[T]:
        self.done()
        return [
            self.begin(each) for each in self.wrapped.receive_many(max_messages, timeout=timeout)
        ]

    @override
    def try_receive(self) -> MessageFuture[T]:
        return _ObservedFuture(self.wrapped.try_receive(), self)

    @override
    def __iter__(self) -> Iterator[T]:
        try:
            while True:
                yield self.receive()
        except MailboxClosed:
            return

    def read(self, carried: T) -> T:
        """Return the message of a future that is read for the first time."""
        if threading.get_ident() != self._thread:
            return opened(carried)[0]
        self.done()
        return self.begin(carried)


@final
class _ObservedFuture[T]:
    """A claim on the next message, which begins when its message is read."""

    __slots__ = ("_future", "_mailbox", "_message")

    def __init__(self, future: MessageFuture[T], mailbox: ObservedMailbox[T]) -> None:
        self._future: Final = future
        self._mailbox: Final = mailbox
        self._message: T | Missing = MISSING

    def try_now(self) -> T | Missing:
        """Return the message if it is there; see `MessageFuture`."""
        carried = self._future.try_now()
        return MISSING if isinstance(carried, Missing) else self._opened(carried)

    def result(self, *, timeout: float | None = None) -> T:
        """Return the message; see `MessageFuture`."""
        return self._opened(self._future.result(timeout=timeout))

    def done(self) -> bool:
        """Return whether the message is there; see `MessageFuture`."""
        return self._future.done()

    def _opened(self, carried: T) -> T:
        message = self._message
        if isinstance(message, Missing):
            message = self._message = self._mailbox.read(carried)
        return message
