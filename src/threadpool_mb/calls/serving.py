"""Servers: what comes out of a mailbox, or to a generator worker, goes to handlers by its type.

**Guarantees.** Each call that is taken is answered: with what its handler returns, with what it
raises, or, where the handler takes the call itself, by that handler. A call whose caller has given
up is not handled, unless it was handed on by a worker that may have done a part of it.
"""

import contextlib
from collections.abc import Callable, Generator
from typing import Any, Final, Literal, Never, cast, final

from threadpool_mb.arguments import check_callable, describe
from threadpool_mb.calls.handlers import Handler, Handlers, MethodTable, find_handler
from threadpool_mb.calls.messages import Call, Cast, Command, Notice, Request, answer_of
from threadpool_mb.errors import DuplicateReply
from threadpool_mb.logs import Logger
from threadpool_mb.protocols import Mailbox
from threadpool_mb.threads.here import here

__all__ = ["AfterError", "serve", "server"]

_logger = Logger(__name__)

type AfterError = Literal["continue", "stop"]
"""What a server does when a handler has raised: go on, or let the exception end it."""


def serve(
    mailbox: Mailbox[Request], handlers: Handlers, /, *, after_error: AfterError = "continue"
) -> None:
    """Handle calls and casts until the mailbox is closed and empty.

    An exception of a handler fails its call (the caller gets `CallFailed`), or is logged if there
    is none. So is a message for which there is no handler, or that is neither a call nor a cast.

    Blocks: until the mailbox is closed and all it held were handled.
    Threads: one thread serves a mailbox.

    Args:
        mailbox: where the requests come from.
        handlers: an object whose methods are marked with `handles`; or a table of functions by type
            of command; or a function of a command. What they return is the reply.
        after_error: `"continue"`, or `"stop"`: what a handler raises then leaves `serve`.

    Raises:
        Cancelled: if the receiver was asked to stop.
        TypeError: if `handlers` is none of the three, or one of its functions is a generator
            function or a coroutine function.
        ValueError: if `after_error` is another word.

    From the original's `handleMessage` of commands.
    """
    answer = _Server(handlers, {}, after_error).answer
    for request in mailbox:
        answer(request)
        # The last one must not be kept alive while the next one is waited for.
        del request


def server[K](
    make: Callable[[K], Handlers], /, *, after_error: AfterError = "continue"
) -> Callable[[K], Generator[None, Request]]:
    """Return a generator worker that handles calls and casts: `Pool(server(Account))`.

    A call whose caller has given up before it was begun is skipped: no handler runs, and it is no
    dead letter. Each worker has handlers of its own, `make(key)`. If these are a context manager,
    they are entered when the worker starts, and left when it ends.

    Args:
        make: a class whose methods are marked with `handles`, or a function that returns what
            `serve` takes as `handlers`.
        after_error: as for `serve`; `"stop"` lets what a handler raises end the worker.

    Raises:
        TypeError: if `make` cannot be called with a key.
        ValueError: if `after_error` is another word.
    """
    check_callable(make, "make", "key")
    _check(after_error)
    tables: dict[type, MethodTable] = {}

    def worker(key: K) -> Generator[None, Request]:
        made: Handlers = make(key)
        with contextlib.ExitStack() as stack:
            entered: Handlers = made
            if isinstance(made, contextlib.AbstractContextManager):
                entered = stack.enter_context(
                    cast("contextlib.AbstractContextManager[Handlers]", made)
                )
            answer = _Server(entered, tables, after_error).answer
            # Closed at its `yield`, it has handled all: the managers see a normal end, and commit.
            with contextlib.suppress(GeneratorExit):
                while True:
                    answer((yield))

    return worker


def _check(after_error: object) -> None:
    if after_error not in {"continue", "stop"}:
        raise ValueError(f"after_error must be 'continue' or 'stop', not {describe(after_error)}")


@final
class _Server:
    """Hands requests to handlers, and their answers back."""

    __slots__ = ("_find", "_stops")

    def __init__(
        self, handlers: Handlers, tables: dict[type, MethodTable], after_error: AfterError
    ) -> None:
        _check(after_error)
        self._find: Final = find_handler(handlers, tables)
        self._stops: Final = after_error == "stop"

    def answer(self, request: Request) -> None:
        """Handle one request."""
        before = _times_handed_on(request)
        try:
            match request:
                case Call():
                    self._answer_call(request)
                case Cast(notice):
                    function, _ = self._handler(notice)
                    function(notice)
                case _:
                    _refuse(request)
        except Exception as error:
            worker = here.worker()
            if worker is not None:
                worker.handler_raised(error)
            if not isinstance(request, Call) or not _fail(request, error, before):
                _logger.exception("%shandling %s raised", _whose(), describe(request))
            if self._stops:
                raise
        except BaseException as error:
            # Asked to stop, or interrupted, in the midst of it.
            if isinstance(request, Call):
                _fail(request, error, before)
            if isinstance(error, GeneratorExit):
                # Not to be taken for the end of the worker.
                raise RuntimeError("a handler raised GeneratorExit") from error  # noqa: TRY004 - no type
            raise
        finally:
            # The caller gets the error, whose traceback holds this frame.
            del request

    def _answer_call(self, request: Call[Any]) -> None:
        # One that was handed on is a part of what somebody else has done already.
        if request.reply_box.expired and not answer_of(request.reply_box).times_handed_on:
            return
        try:
            function, takes_call = self._handler(request.command)
            if takes_call:
                function(request)
            else:
                request.reply_box.reply(function(request.command))
        finally:
            del request  # as above

    def _handler(self, command: object) -> Handler:
        handler = self._find(type(command))
        if handler is None:
            raise TypeError(f"there is no handler for {describe(command)}")
        return handler


def _whose() -> str:
    """Return which worker handles requests on this thread, for a log line; "" if none does."""
    workers = here.workers()
    return f"{workers[-1].title}: " if workers else ""


def _refuse(request: object) -> Never:
    hint, text = "", describe(request)
    if isinstance(request, Notice):
        hint = ": mb.cast sends a notice, or mb.Cast(notice) is the message"
    elif isinstance(request, Command):
        hint = ": mb.call and mb.ask send a command"
    raise TypeError(f"a server takes calls and casts, not {text}{hint}")


def _times_handed_on(request: Request) -> int:
    """Return how often a call was handed on so far."""
    return answer_of(request.reply_box).times_handed_on if isinstance(request, Call) else 0


def _fail(request: Call[Any], error: BaseException, before: int) -> bool:
    """Answer a call with what was raised; `False` if it was answered, or handed on since `before`.

    A call that its handler has handed on is answered by the worker that has it now.
    """
    if _times_handed_on(request) != before:
        return False
    try:
        request.reply_box.fail(error)
    except DuplicateReply:
        return False
    return True
