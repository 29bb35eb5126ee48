"""What a user of a broker writes, four functions, and what they get: the report of its end."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import final

from threadpool_mb.arguments import check_callable
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.messages import Dispatch, Initialize
from threadpool_mb.values import MISSING, Missing

__all__ = [
    "BrokerConfig",
    "BrokerDrainReport",
    "KeepResource",
    "RemoveResource",
    "ResourceUpdate",
    "UpdateResource",
]


@final
@dataclasses.dataclass(frozen=True, slots=True)
class KeepResource:
    """The resource is still needed, as it is; `None` says the same.

    From the original's `KeepResource`.
    """


@final
@dataclasses.dataclass(frozen=True, slots=True)
class UpdateResource[R]:
    """The resource is still needed; `new` takes its place. The old one is not cleaned.

    From the original's `UpdateResource`.
    """

    new: R
    """What the next message of the key is handled with."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class RemoveResource[R]:
    """The resource is not needed any more: clean it, or `new` in its place if that is given.

    From the original's `RemoveResource`.
    """

    new: R | Missing = MISSING
    """What `clean` gets in the place of the resource."""


type ResourceUpdate[R] = KeepResource | UpdateResource[R] | RemoveResource[R] | None
"""What `handle` returns: what becomes of the resource. `None` keeps it."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class BrokerConfig[M, K, W, R]:
    """The four functions of a broker.

    `M` is what senders deliver, `K` the key, `W` the work: a message without its address, `R` the
    resource.

    Threads: called with no lock held, on the broker's own thread, one call at a time. With
    `max_threads`, `create`, `handle`, and `clean` of what is removed are called on its other
    threads, for each key one call at a time; only where the system starts none, on its own.

    What one of the four raises that is no `Exception` ends the broker, once all resources are
    cleaned.

    Raises:
        TypeError: if one of the four cannot be called with its arguments.

    From the original's `BrokerConfig`, and its order of messages and clean-ups.
    """

    demultiplex: Callable[[M], Initialize[K, W] | Dispatch[K, W]]
    """`demultiplex(message)` says for which key a message is, and whether that key begins with it.

    An exception is logged, and the message becomes a dead letter without a key. Another kind of
    value counts as a `TypeError`. A caller gets `WorkerGone`, the exception being its cause.

    From the original's `Demultiplexer`.
    """
    create: Callable[[K, W | Missing], R]
    """`create(key, message)` returns a new resource; the message is `MISSING` if there is none.

    The message is handled after this. An exception is logged: there is no resource then, `clean` is
    not called, and the message becomes a dead letter.

    From the original's `ResourceCreator`.
    """
    handle: Callable[[K, W, R], ResourceUpdate[R]]
    """`handle(key, message, resource)` handles one message and returns a `ResourceUpdate`.

    An exception is logged, and the resource cleaned and removed at once. Another kind of value
    counts as a `TypeError`.

    From the original's `MessageHandler`.
    """
    clean: Callable[[K, R], object]
    """`clean(key, resource)` is called once for each resource, when it is not needed any more.

    An exception is logged; the resource counts as cleaned.

    From the original's `ResourceCleaner`.
    """

    def __post_init__(self) -> None:
        """Check that the four can be called."""
        check_callable(self.demultiplex, "demultiplex", "message")
        check_callable(self.create, "create", "key", "message")
        check_callable(self.handle, "handle", "key", "message", "resource")
        check_callable(self.clean, "clean", "key", "resource")


@dataclasses.dataclass(frozen=True, slots=True)
class BrokerDrainReport:
    """How a broker ended, or what it waits for; from `Broker.drain`."""

    finished: bool
    """Whether all that was taken is accounted for, all resources are cleaned, and the threads have
    ended. Never, in a child of the process in which the broker was made, if it was open at the
    fork."""
    messages: int
    """Messages that had not been handled when the timeout ran out, without those in hand."""
    resources: int
    """Resources that are not cleaned yet."""
    error: BaseException | None
    """What has stopped the broker, if that was an error."""
    dead_letters: Mapping[DeadLetterReason, int]
    """Messages that were not handled, by reason, since the broker was made."""
