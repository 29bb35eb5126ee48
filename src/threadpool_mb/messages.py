"""What a pool's input takes, and what a broker's demultiplexer returns."""

import dataclasses

from threadpool_mb.values import MISSING, Missing

__all__ = ["Dispatch", "Initialize", "Remove"]


@dataclasses.dataclass(frozen=True, slots=True)
class Initialize[K, M]:
    """Start a worker (or create a resource) for `key`, with a first message if one is given.

    From the original's `Initialize k (Maybe w)`.
    """

    key: K
    message: M | Missing = MISSING


@dataclasses.dataclass(frozen=True, slots=True)
class Dispatch[K, M]:
    """Hand `message` to the worker (or resource) of `key`.

    From the original's `Dispatch k w`.
    """

    key: K
    message: M


@dataclasses.dataclass(frozen=True, slots=True)
class Remove[K]:
    """Remove the worker of `key`; with `drain` it first finishes its backlog.

    From the original's `removePoolWorkerMessage k`.
    """

    key: K
    drain: bool = False
