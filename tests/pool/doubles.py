"""Mailbox configs that fail or interfere, and keys that raise."""

from collections.abc import Callable
from typing import Any, Final

from threadpool_mb import Input, Mailbox, MailboxConfig, Unlimited
from threadpool_mb.dead_letters import DeadLetterOffice
from threadpool_mb.pool.function_workers import FunctionWorkers
from threadpool_mb.pool.incarnation import Incarnation


class Boom(Exception):
    """Raised by a test's own code."""


class Intercepting:
    """A config whose mailboxes run a function before `create`, `new_input` and `deliver`."""

    limit: Final = None

    def __init__(
        self,
        *,
        create: Callable[[], object] = lambda: None,
        new_input: Callable[[], object] = lambda: None,
        deliver: Callable[[Any], object] = lambda message: None,
        config: MailboxConfig | None = None,
    ) -> None:
        self._create = create
        self._new_input = new_input
        self._deliver = deliver
        self._config = Unlimited() if config is None else config

    def create(self, *, on_dead_letter: Callable[[Any], object] | None = None) -> Mailbox[Any]:
        """Create a mailbox that is a real one but for its input."""
        self._create()
        return _InterceptedMailbox(  # type: ignore[return-value]
            self._config.create(on_dead_letter=on_dead_letter), self._new_input, self._deliver
        )


class _InterceptedMailbox:
    def __init__(
        self,
        mailbox: Mailbox[Any],
        new_input: Callable[[], object],
        deliver: Callable[[Any], object],
    ) -> None:
        self._mailbox = mailbox
        self._new_input = new_input
        self._deliver = deliver

    def new_input(self) -> Input[Any]:
        self._new_input()
        return _InterceptedInput(self._mailbox.new_input(), self._deliver)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it is
        return getattr(self._mailbox, name)

    def __len__(self) -> int:
        return len(self._mailbox)

    def __iter__(self) -> Any:  # noqa: ANN401 - whatever it is
        return iter(self._mailbox)


class _InterceptedInput:
    def __init__(self, wrapped: Input[Any], deliver: Callable[[Any], object]) -> None:
        self._input = wrapped
        self._deliver = deliver

    def deliver(self, message: Any, /) -> bool:  # noqa: ANN401 - any message
        if self._deliver(message) is False:
            return False
        return self._input.deliver(message)


class Calling:
    """A config whose mailboxes call `before(mailbox, name)` when they are closed or cancelled."""

    limit: Final = None

    def __init__(self, before: Callable[[object, str], object]) -> None:
        self._before = before

    def create(self, *, on_dead_letter: Callable[[Any], object] | None = None) -> Mailbox[Any]:
        """Create a mailbox that is a real one but for that."""
        mailbox = Unlimited().create(on_dead_letter=on_dead_letter)
        return _CallingMailbox(mailbox, self._before)  # type: ignore[return-value]


class _CallingMailbox:
    def __init__(self, mailbox: Mailbox[Any], before: Callable[[object, str], object]) -> None:
        self._mailbox = mailbox
        self._before = before

    def close(self) -> None:
        self._before(self._mailbox, "close")
        self._mailbox.close()

    def cancel(self) -> None:
        self._before(self._mailbox, "cancel")
        self._mailbox.cancel()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it is
        return getattr(self._mailbox, name)

    def __len__(self) -> int:
        return len(self._mailbox)

    def __iter__(self) -> Any:  # noqa: ANN401 - whatever it is
        return iter(self._mailbox)


class EvilKey:
    """A key that raises `Boom` when it is hashed, or compared, once it was told to."""

    def __init__(self, name: str, number: int = 7) -> None:
        self._name = name
        self._number = number
        self.hash_raises = False
        self.eq_raises = False

    def __hash__(self) -> int:
        if self.hash_raises:
            raise Boom("__hash__")
        return self._number

    def __eq__(self, other: object) -> bool:
        if self.eq_raises or (isinstance(other, EvilKey) and other.eq_raises):
            raise Boom("__eq__")
        return isinstance(other, EvilKey) and self._name == other._name

    def __repr__(self) -> str:
        return f"EvilKey({self._name!r})"


def new_incarnation(
    key: Any,  # noqa: ANN401 - any key
    office: DeadLetterOffice[Any, Any],
) -> Incarnation[Any, Any]:
    """Return a worker that is not entered, for tests that know no pool."""
    kind = FunctionWorkers[Any, Any](
        lambda key, mailbox: None, Unlimited(), office, "no pool", lambda incarnation, error: None
    )
    return kind.new_incarnation(key)


def raising(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises `error`, whatever it is called with."""

    def function(*args: object, **options: object) -> object:
        raise error

    return function
