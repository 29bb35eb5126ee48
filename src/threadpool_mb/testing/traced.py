"""A worker's generator, which writes down what it does."""

from collections.abc import Callable, Generator
from typing import Any, Final, Protocol, cast, final, override

from threadpool_mb.arguments import describe, make_generator
from threadpool_mb.calls.messages import Call
from threadpool_mb.errors import Cancelled
from threadpool_mb.testing.order import What
from threadpool_mb.values import MISSING

__all__ = ["Record", "traced"]


class Record(Protocol):
    """Writes down what a worker does."""

    def __call__(
        self,
        key: object,
        what: What,
        /,
        message: object = MISSING,
        text: str = "",
        error: BaseException | None = None,
    ) -> object:
        """Write down one thing."""
        ...


@final
class _Traced(Generator[Any, Any, object]):
    """A generator that writes down what it is sent, and what comes of it."""

    __slots__ = ("_generator", "_key", "_record", "_started")

    def __init__(self, generator: Generator[Any, Any, object], key: object, record: Record) -> None:
        self._generator: Final = generator
        self._key: Final = key
        self._record: Final = record
        self._started = False

    @property
    def gi_running(self) -> bool:
        """Whether it runs."""
        return bool(getattr(self._generator, "gi_running", True))

    @property
    def gi_frame(self) -> object:
        """Where it is suspended; `None` once it has ended."""
        return getattr(self._generator, "gi_frame", None)

    @override
    def __next__(self) -> Any:
        self._record(self._key, "goes on" if self._started else "starts")
        self._started = True
        return self._run(self._generator.__next__)

    @override
    def send(self, value: Any, /) -> Any:
        self._record_message(value)
        return self._run(self._generator.send, value)

    def _record_message(self, message: Any) -> None:  # noqa: ANN401 - as above
        if issubclass(type(message), Call):
            # Not the call: its caller is told when the worker has dropped it.
            message = message.command
        self._record(self._key, "handles", message, describe(message))

    @override
    def throw(self, error: Any, /, *_: Any) -> Any:
        """Raise an error in it: what it waited for has failed, or it is to stop."""
        if not isinstance(error, Cancelled):
            self._record(self._key, "goes on", text=f"with {describe(error)}")
        return self._run(self._generator.throw, error)

    @override
    def close(self) -> None:
        open_before = getattr(self._generator, "gi_frame", None) is not None
        try:
            self._generator.close()
        except BaseException as error:
            self._record(self._key, "fails", text=describe(error), error=error)
            raise
        if open_before:
            self._record(self._key, "ends")

    def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - what it yields
        try:
            value = function(*arguments)
        except (StopIteration, Cancelled):
            self._record(self._key, "ends")
            raise
        except BaseException as error:
            self._record(self._key, "fails", text=describe(error), error=error)
            raise
        if value is not None:
            self._record(self._key, "waits")
        return value


def traced[K](worker: Callable[[K], Any], record: Record) -> Callable[[K], Any]:
    """Return a generator worker that does what `worker` does, and writes it down."""

    def make(key: K) -> Generator[Any, Any, object]:
        generator = make_generator(worker, key)
        return _Traced(cast("Generator[Any, Any, object]", generator), key, record)

    return make
