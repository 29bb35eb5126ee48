"""Telling observers: called off the locks, guarded, and never able to break what they observe.

**Guarantees.** What `guarding` says of each call. A method that an observer does not override is
never called. An observer whose `begun` was called, and has not raised, gets its `done`, also where
another observer is interrupted.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, final

from threadpool_mb.arguments import describe
from threadpool_mb.dead_letters import DeadLetter, DeadLetterReason
from threadpool_mb.envelopes import Observed
from threadpool_mb.events import StuckWorker, WorkerExit
from threadpool_mb.guarding import Plane, Told
from threadpool_mb.observer import Kind, Observer, Stats

__all__ = ["Observers", "attach", "exit_hook", "observers_of"]

_EVENTS: Final = {
    DeadLetterReason.REFUSED: "refused",
    DeadLetterReason.EXPIRED: "expired",
    DeadLetterReason.DISPLACED: "displaced",
}
"""Dead letters that have an event of their own."""

type _Call = Callable[..., Any]


@final
class Observers:
    """The observers of one pool, executor or broker. Threads: any."""

    __slots__ = (
        "_calls",
        "_name",
        "begun",
        "done",
        "ends",
        "enveloped",
        "messages",
        "sends",
        "sent",
        "starts",
    )

    def __init__(self, name: str, kind: Kind, observers: Iterable[Observer]) -> None:
        """Tell observers of the pool `name`; what their `for_owner` raises passes."""
        self._name: Final = name
        told = [Told(name, _checked(each.for_owner(name, kind))) for each in observers]
        self._calls: Final[dict[str, list[_Call]]] = {
            event: [call for each in told if (call := each.guarded(event))] for event in _CONTROL
        }
        self.starts: Final = bool(self._calls["started"])
        """Whether one is told of workers that begin."""
        self.ends: Final = bool(self._calls["ended"] or self._calls["restarted"])
        """Whether one is told of workers that end."""
        planes = [plane for each in told if any(plane := each.message_plane())]
        self.messages: Final = bool(planes)
        """Whether one is told of each message."""
        self.sends: Final = any(sent is not None for sent, _, _ in planes)
        """Whether one is told of each that is sent: then messages are in envelopes."""
        # The message plane. Closures, as those that they call; see `Told.message_plane`.
        sent, begun, done = _of_one(*planes[0]) if len(planes) == 1 else _of_several(planes)
        self.sent: Final[Callable[[object, object], Any]] = sent
        """`sent(key, message)`: tell of a message that is about to be taken; return what goes with
        it to `begun`."""
        self.begun: Final[Callable[[object, object, Any], Any]] = begun
        """`begun(key, message, sent)`: tell of a message that is about to be handled; return what
        goes to `done`."""
        self.done: Final[Callable[[object, object, Any, BaseException | None], object]] = done
        """`done(key, message, begun, error)`: tell of a message that was handled, the observer that
        was told first of it last."""

        def enveloped(key: object, message: object) -> Observed:
            return message if type(message) is Observed else Observed(message, sent(key, message))

        self.enveloped: Final[Callable[[object, object], Observed]] = enveloped
        """`enveloped(key, message)`: return a message in an envelope, and tell that it is sent; one
        that is in one, as it is."""

    def _tell(self, event: str, *arguments: object) -> None:
        for call in self._calls[event]:
            call(*arguments)

    # The control plane.

    def attach(self, stats: Callable[[], Stats]) -> None:
        """Tell that the pool was made."""
        self._tell("attach", self._name, stats)

    def detach(self) -> None:
        """Tell that the pool has ended."""
        self._tell("detach", self._name)

    def started(self, key: object, incarnation: int) -> None:
        """Tell of a worker that begins."""
        self._tell("started", key, incarnation)

    def ended(self, worker_exit: WorkerExit[Any]) -> None:
        """Tell of a worker's end."""
        self._tell("ended", worker_exit)
        if worker_exit.restart_in is not None:
            self._tell("restarted", worker_exit)

    def dead_letter(self, letter: DeadLetter[Any, Any]) -> None:
        """Tell of a message that will not be handled."""
        event = _EVENTS.get(letter.reason)
        if event is not None:
            self._tell(event, letter.key, letter.message)
        self._tell("dead_letter", letter)

    def stuck(self, worker: StuckWorker[Any]) -> None:
        """Tell of a worker that is busy on one message for long."""
        self._tell("stuck", worker)


def _of_one(
    sent: _Call | None, begun: _Call | None, done: _Call | None
) -> tuple[_Call, _Call, _Call]:
    """Return the message plane of one observer: what calls it, without one call more."""
    return sent or _say_nothing, begun or _say_nothing, done or _say_nothing


def _say_nothing(*_: object) -> None:
    """Be in the place of what an observer does not override."""


def _of_several(planes: list[Plane]) -> tuple[_Call, _Call, _Call]:
    """Return the message plane of several observers, or of none."""

    def sent(key: object, message: object) -> list[Any]:
        return [each and each(key, message) for each, _, _ in planes]

    def begun(key: object, message: object, sent: list[Any] | None) -> list[Any]:
        told: list[Any] = []
        try:
            for each, given in zip(planes, sent or (None,) * len(planes), strict=True):
                begin = each[1]
                told.append(begin and begin(key, message, given))
        except BaseException as error:
            done(key, message, told, error)
            raise
        return told

    def done(key: object, message: object, told: list[Any], error: BaseException | None) -> None:
        for place in reversed(range(len(told))):
            end = planes[place][2]
            if end is not None:
                end(key, message, told[place], error)

    return sent, begun, done


_CONTROL: Final = (
    "attach",
    "detach",
    "started",
    "ended",
    "restarted",
    "dead_letter",
    "stuck",
    *_EVENTS.values(),
)


def _checked(observer: object) -> Observer:
    """Return an observer.

    Raises:
        TypeError: if it is none.
    """
    if not isinstance(observer, Observer):
        raise TypeError(f"observe must be an Observer, or several, not {describe(observer)}")
    return observer


def attach(
    observers: Observers | None,
    stats: Callable[[], Stats],
    when_ended: Callable[[Callable[[], None]], object],
) -> None:
    """Tell observers that their pool was made; `when_ended` is given what tells of its end."""
    if observers is not None:
        observers.attach(stats)
        when_ended(observers.detach)


def exit_hook(
    observers: Observers | None, hook: Callable[[WorkerExit[Any]], object] | None
) -> Callable[[WorkerExit[Any]], object] | None:
    """Return what is to be called with each worker's end: a user's `hook`, then observers."""
    if observers is None or not observers.ends:
        return hook
    if hook is None:
        return observers.ended

    def tell(worker_exit: WorkerExit[Any]) -> None:
        try:
            hook(worker_exit)
        finally:
            observers.ended(worker_exit)

    return tell


def observers_of(observe: object, name: str, kind: Kind) -> Observers | None:
    """Return those that a user has given for the pool `name`; `None` if there are none.

    Raises:
        TypeError: if one is no `Observer`.
        Exception: what their `for_owner` raises.
    """
    if observe is None:
        return None
    if isinstance(observe, Observer):
        return Observers(name, kind, (observe,))
    if isinstance(observe, str | bytes) or not isinstance(observe, Iterable):
        _checked(observe)
    given: list[object] = list(observe)  # type: ignore[call-overload]
    each = [_checked(one) for one in given]
    return Observers(name, kind, each) if each else None
