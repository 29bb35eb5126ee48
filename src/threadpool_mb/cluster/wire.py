"""What travels between the client and its nodes, and how it is written.

A message is pickled by its sender, on the sender's thread, before anything else is done with it:
one that cannot be is refused there. What is plain data travels as it is, and is pickled with its
batch.
"""

import dataclasses
import pickle
import platform
import traceback
from collections.abc import Callable, Iterable
from importlib import metadata
from typing import Any, Final, NamedTuple, final

import cloudpickle  # type: ignore[import-untyped,import-not-found,unused-ignore]  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]

from threadpool_mb.arguments import describe
from threadpool_mb.logs import Logger
from threadpool_mb.pool.lives import Restart
from threadpool_mb.protocols import MailboxConfig

__all__ = [
    "CALL",
    "MOVE",
    "PICKLED",
    "PLAIN",
    "PLAIN_TYPES",
    "REMOVE",
    "Asked",
    "Events",
    "Options",
    "Parcel",
    "Setup",
    "Versions",
    "dumped",
    "is_plain",
    "loaded",
    "loaded_error",
    "loaded_keys",
    "read",
    "sendable_error",
    "versions_here",
]

_logger = Logger(__name__)

PLAIN: Final = 0
"""A message that is plain data, as it is."""
PICKLED: Final = 1
"""A message, pickled."""
CALL: Final = 2
"""A command, pickled; see `Asked`."""
REMOVE: Final = 3
"""End the worker of the key; see `Asked`."""
MOVE: Final = 4
"""End the workers whose keys are dealt to other nodes now."""

PLAIN_TYPES: Final = frozenset({str, int, float, bytes, bool, type(None)})
"""Of plain data that pickles alike everywhere."""


class Asked(NamedTuple):
    """What comes with a message that is to be answered."""

    number: int
    """By which the client knows it."""
    seconds: float | None
    """How long its caller waits; `None` for ever."""
    drain: bool = False
    """Of `REMOVE`: whether the worker finishes its backlog first."""


class Versions(NamedTuple):
    """What must be the same on both sides."""

    python: str
    library: str

    def __str__(self) -> str:
        """Name both."""
        return f"Python {self.python} with threadpool_mb {self.library}"


def versions_here() -> Versions:
    """Return the versions of this process: Python's without the last part."""
    try:
        library = metadata.version("threadpool_mb")
    except metadata.PackageNotFoundError:
        library = "(not installed)"
    major, minor, _ = platform.python_version_tuple()
    return Versions(f"{major}.{minor}", library)


@dataclasses.dataclass(frozen=True, slots=True)
class Setup:
    """What a node is made of; plain data, which any version can read."""

    versions: Versions
    pool: str
    """The name of the pool."""
    node: str
    """The address of the Dask worker."""
    worker: bytes
    """The worker function, pickled."""
    options: bytes
    """An `Options`, pickled."""


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What the pools of all nodes are made with."""

    mailbox: MailboxConfig | None
    max_threads: int | None
    throughput: int | None
    idle_timeout: float | None
    max_keys: int | None
    restart: Restart | None
    tells_workers: bool
    """Whether each worker that begins or ends is told, or only those that fail."""


class Events(NamedTuple):
    """What a node has to tell; what is in one has happened in no order but that of its lists."""

    dead: list[tuple[int, int, str]]
    """Messages that will not be handled: batch, index, reason; each is in `done`, too."""
    replies: list[tuple[int, bool, Any]]
    """Of what was asked: its number; whether it went well; the value, or the error, pickled."""
    starts: list[tuple[bytes, int]]
    """Workers that have begun: the key, pickled, and the number."""
    exits: list[bytes]
    """Workers that have ended: `WorkerExit`s, pickled."""
    moves: list[tuple[int, list[bytes]]]
    """Moves: the number of each, and the keys that are still to end there, each pickled."""
    moved: list[bytes]
    """Keys that have ended, pickled."""
    done: list[tuple[int, list[int] | None]]
    """Messages that were handled: the batch, and which; `None`: all that are left of it."""
    figures: bytes | None
    """The pool's `PoolStats`, pickled, once in a while."""
    ended: bytes | None
    """A `DrainReport`, pickled, where the pool has ended."""


@final
class Parcel:
    """Data that is pickled as itself, and can be dropped once it has arrived.

    What Dask makes for a call of an actor refers to itself, and to the call's arguments: they would
    stay until the next garbage collection, which counts objects, and not their size.
    """

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        """Carry `data`."""
        self.data: bytes = data

    def __reduce__(self) -> tuple[type[bytes], tuple[bytes]]:
        """Be pickled as the data."""
        return bytes, (self.data,)


def is_plain(value: object) -> bool:
    """Return whether a value is plain data that pickles alike everywhere."""
    return type(value) in PLAIN_TYPES


def dumped(value: object) -> bytes:
    """Return a value pickled, by `cloudpickle` where it takes classes or functions of a script.

    Raises:
        Exception: if it cannot be pickled.
    """
    try:
        data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        return _by_value(value)
    # What a script defines is not in the modules of the other side.
    return _by_value(value) if b"__main__" in data else data


def _by_value(value: object) -> bytes:
    return bytes(cloudpickle.dumps(value))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


loaded: Final[Callable[[bytes], Any]] = pickle.loads


def read(data: bytes) -> Any:
    """Return what is pickled, of a user's class: whatever goes wrong is an `Exception`.

    To read it may import a module: a script that is none, as it calls `sys.exit`, is not to end the
    thread that reads, for which others wait.

    Raises:
        Exception: what the class raises; a `RuntimeError` where that is none.
    """
    try:
        return loaded(data)
    except Exception:
        raise
    except BaseException as error:
        raise RuntimeError(f"{describe(error)} as it was read") from error


def loaded_keys(written: Iterable[bytes]) -> list[Any]:
    """Return keys that move, without those that cannot be read here: these are not waited for."""
    keys: list[Any] = []
    for each in written:
        try:
            keys.append(read(each))
        except Exception:  # of a user's class
            _logger.exception("a key that moves is unreadable")
    return keys


def sendable_error(error: BaseException, node: str) -> bytes:
    """Return an exception pickled, with its traceback as a note; and what says the same.

    Its class may be known here, and not where it goes.
    """
    lines = "".join(traceback.format_exception(error))
    note = f"on the Dask worker {node}:\n{lines}"
    text = f"{type(error).__name__}: {describe(error)}"
    try:
        data = dumped(_noted(error, note))
    except Exception:  # noqa: BLE001 - of a user's exception
        data = b""
    return dumped((data, text, note))


def loaded_error(data: bytes) -> BaseException:
    """Return an exception that `sendable_error` has written, or one that says the same."""
    written, text, note = loaded(data)
    try:
        error = read(written)
    except Exception:  # noqa: BLE001 - of a user's exception
        error = None
    return error if isinstance(error, BaseException) else _noted(RuntimeError(text), note)


def _noted(error: BaseException, note: str) -> BaseException:
    error.add_note(note)
    return error
