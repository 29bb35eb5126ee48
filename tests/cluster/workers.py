"""Workers of the tests; in a module that Dask workers can import."""

import dataclasses
import os
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

from distributed import Event

import threadpool_mb as mb


@dataclasses.dataclass(frozen=True, slots=True)
class GetAll(mb.Command[list[Any]]):
    """What the worker has got."""


@dataclasses.dataclass(frozen=True, slots=True)
class Raise(mb.Command[None]):
    """Raise."""


@dataclasses.dataclass(frozen=True, slots=True)
class Where(mb.Command[int]):
    """The id of the worker's process."""


@dataclasses.dataclass(frozen=True, slots=True)
class Never(mb.Command[None]):
    """Not answered as long as the worker lives."""


@dataclasses.dataclass(frozen=True, slots=True)
class GetLock(mb.Command[object]):
    """What cannot be sent back."""


def collecting(key: object) -> Generator[None, Any]:
    """Keep what comes, and tell it; `"fail"` fails, `"end"` ends."""
    got: list[Any] = []
    kept: list[Any] = []
    while True:
        message = yield
        match message:
            case mb.Call(GetAll(), box):
                box.reply(list(got))
            case mb.Call(Where(), box):
                box.reply(os.getpid())
            case mb.Call(GetLock(), box):
                box.reply(threading.Lock())
            case mb.Call(Raise(), _):
                raise LookupError("asked to")
            case mb.Call(Never(), _):
                kept.append(message)
            case "fail":
                raise ValueError("told to fail")
            case "end":
                return
            case _:
                got.append(message)


class OneSided:
    """Can be pickled everywhere, and unpickled only by the process that has made it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OneSided) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[Any, tuple[int, str]]:
        return _one_sided, (os.getpid(), self.name)


def _one_sided(pid: int, name: str) -> OneSided:
    if pid != os.getpid():
        raise LookupError("not known here")
    return OneSided(name)


class OneSidedError(Exception):
    """Can be unpickled only by the process that has made it."""

    def __reduce__(self) -> tuple[Any, tuple[int, str]]:
        return _one_sided_error, (os.getpid(), str(self))


def _one_sided_error(pid: int, text: str) -> OneSidedError:
    if pid != os.getpid():
        raise LookupError("not known here")
    return OneSidedError(text)


def failing(key: object) -> Generator[None, Any]:
    """Fail with an error that the client cannot unpickle."""
    yield
    raise OneSidedError("of a library that is only there")


def logging(path: Path, key: object) -> Generator[None, Any]:
    """Append the key and each message to a file, which outlives the process; and its lives.

    A wait for a file of the name of a message that begins with "wait" holds it up.
    """
    _append(path, f"{key} begins")
    try:
        while True:
            message = yield
            _append(path, f"{key} {message}")
    finally:
        _append(path, f"{key} ends")


def _append(path: Path, line: str) -> None:
    # One `write`, in append mode: lines of several processes do not mix.
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, f"{line}\n".encode())
    finally:
        os.close(file)


def logging_function(path: Path, key: object, mailbox: mb.Mailbox[Any]) -> None:
    """Do the same, as a function of a mailbox."""
    for message in mailbox:
        _append(path, f"{key} {message}")


def stuck(path: Path, key: object) -> Generator[None, Any]:
    """Wait in each message until a file is there."""
    while True:
        message = yield
        _append(path, f"{key} {message}")
        while not path.with_name(f"go-{message}").exists():
            os.sched_yield()


def ending_slowly(path: Path, key: object) -> Generator[None, Any]:
    """Wait, as it ends, until a file is there."""
    try:
        while True:
            yield
    finally:
        _append(path, f"{key} ends")
        while not path.with_name(f"go-{key}").exists():
            os.sched_yield()


def wait_for_event(name: str) -> None:
    """Be busy, as a task of Dask, until an event is set."""
    Event(name).wait(60)
