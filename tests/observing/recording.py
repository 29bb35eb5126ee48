"""An observer that keeps what it is told, and workers to be observed."""

from collections.abc import Callable, Generator
from typing import Any, Final, Literal

from threadpool_mb import Call, Command, DeadLetter, Mailbox, Observer, WorkerExit, sleep

type Kind = Literal["generator", "function"]
KINDS: Final[tuple[Kind, ...]] = ("generator", "function")


class Recording(Observer):
    """Keeps each event, as a tuple that begins with its name; what it returns can be told apart."""

    def __init__(self) -> None:
        self.events: Final = list[tuple[Any, ...]]()

    def attach(self, name: str, stats: Callable[[], Any], /) -> None:
        self.stats = stats
        self.events.append(("attach", name))

    def detach(self, name: str, /) -> None:
        self.events.append(("detach", name))

    def started(self, key: object, incarnation: int, /) -> None:
        self.events.append(("started", key, incarnation))

    def ended(self, worker_exit: WorkerExit[Any], /) -> None:
        self.events.append(("ended", worker_exit.key, worker_exit.cause))
        self.last_exit = worker_exit

    def restarted(self, worker_exit: WorkerExit[Any], /) -> None:
        self.events.append(("restarted", worker_exit.key, worker_exit.cause))

    def refused(self, key: object, message: object, /) -> None:
        self.events.append(("refused", key, message))

    def expired(self, key: object, message: object, /) -> None:
        self.events.append(("expired", key, message))

    def displaced(self, key: object, message: object, /) -> None:
        self.events.append(("displaced", key, message))

    def dead_letter(self, letter: DeadLetter[Any, Any], /) -> None:
        self.events.append(("dead_letter", letter.key, letter.message, str(letter.reason)))

    def sent(self, key: object, message: object, /) -> object:
        self.events.append(("sent", key, message))
        return ("with", message)

    def begun(self, key: object, message: object, sent: object, /) -> object:
        self.events.append(("begun", key, message, sent))
        return ("in hand", message)

    def done(self, key: object, message: object, begun: object, error: object, /) -> None:
        self.events.append(("done", key, message, begun, error and repr(error)))

    def of(self, *names: str) -> list[tuple[Any, ...]]:
        """Return the events with these names."""
        return [event for event in self.events if event[0] in names]


def whole(key: object, message: object, error: str | None = None) -> list[tuple[Any, ...]]:
    """Return what is told of a message that is handled."""
    return [
        ("sent", key, message),
        ("begun", key, message, ("with", message)),
        ("done", key, message, ("in hand", message), error),
    ]


class Twice(Command[int]):
    """Asks for twice a number."""

    def __init__(self, number: int) -> None:
        self.number: Final = number


def _handle(message: object) -> None:
    match message:
        case Call(Twice() as command, box):
            box.reply(2 * command.number)
        case "bad":
            raise ValueError(message)


def _generator(_key: object) -> Generator[Any, Any]:
    while True:
        message = yield
        if message == "wait":
            yield from sleep(0)
        _handle(message)
        del message


def _function(_key: object, mailbox: Mailbox[Any]) -> None:
    for message in mailbox:
        _handle(message)
        del message


def worker_of(kind: Kind) -> Any:  # noqa: ANN401 - either kind
    """Return a worker that answers `Twice`, fails at "bad", and waits in the midst of "wait"."""
    return _generator if kind == "generator" else _function
