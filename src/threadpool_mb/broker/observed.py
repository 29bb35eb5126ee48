"""A broker's messages, observed: its four functions, around which observers are told.

**Guarantees.** What `demultiplex` makes of a message goes in an envelope to `handle`, and from
there on only `handle` has it. Each message that `handle` gets is told as begun, before it,
and as done, with what it has raised.
"""

import dataclasses
from typing import Any

from threadpool_mb.broker.config import BrokerConfig, ResourceUpdate
from threadpool_mb.broker.resources import Address
from threadpool_mb.envelopes import Observed, opened, plain
from threadpool_mb.mailbox.observed import ObservedConfig
from threadpool_mb.messages import Dispatch, Initialize
from threadpool_mb.observing import Observers
from threadpool_mb.protocols import MailboxConfig
from threadpool_mb.values import MISSING, Missing

__all__ = ["observed"]


def observed[M, K, W, R](
    config: BrokerConfig[M, K, W, R], mailbox: MailboxConfig, observers: Observers | None
) -> tuple[BrokerConfig[M, K, W, R], MailboxConfig]:
    """Return a broker's functions and its mailbox's config, as observers need them."""
    if observers is None or not observers.messages:
        return config, mailbox
    return _functions(config, observers), ObservedConfig(mailbox, observers)


def _functions[M, K, W, R](
    config: BrokerConfig[M, K, W, R], observers: Observers
) -> BrokerConfig[M, K, W, R]:
    """Return functions that do what those of a config do, and tell observers."""

    def demultiplex(message: M) -> Address[K, W]:
        address = config.demultiplex(plain(message))
        carried: Any = message
        # What else it is, the broker looks at itself.
        if type(carried) is Observed and _is_address(address):
            return _carrying(address, carried.sent)
        return address

    def create(key: K, message: W | Missing) -> R:
        return config.create(key, plain(message))

    def handle(key: K, carried: W, resource: R) -> ResourceUpdate[R]:
        message, sent = opened(carried)
        begun = observers.begun(key, message, sent)
        try:
            update = config.handle(key, message, resource)
        except BaseException as error:
            observers.done(key, message, begun, error)
            raise
        observers.done(key, message, begun, None)
        return update

    return BrokerConfig(demultiplex, create, handle, config.clean)


def _is_address(address: object) -> bool:
    return isinstance(address, Initialize | Dispatch)


def _carrying[K, W](address: Address[K, W], sent: object) -> Address[K, W]:
    """Return an address whose message, if it has one, is in an envelope."""
    if address.message is MISSING:
        return address
    work: Any = Observed(address.message, sent)
    return dataclasses.replace(address, message=work)
