"""What a caller learns of the end of whoever had its call: the error, and whether it had begun."""

import asyncio
import gc
import pickle
import weakref
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from tests.calls.doubles import Boom, Do, Echo, Kind, Note, Place, end, error_of, fail, keep
from tests.helpers import until
from threadpool_mb import (
    Call,
    CallError,
    CallId,
    Command,
    Mailbox,
    Pool,
    WorkerExit,
    WorkerGone,
    aio,
    ask,
    call,
    cast,
)
from threadpool_mb.calls.unanswered import forget_locals
from threadpool_mb.originals import Request


def gone(error: CallError) -> WorkerGone:
    """Return the error, which is a `WorkerGone`."""
    assert type(error) is WorkerGone
    return error


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def by_call(pool: Pool[Any, Any], command: Command[Any]) -> CallError:
    """Ask, and wait, perhaps while the worker runs here."""
    return error_of(lambda: call(pool.ref("a"), command))


def by_asking_first(pool: Pool[Any, Any], command: Command[Any]) -> CallError:
    """Ask, and look once the worker has ended."""
    reply = ask(pool.ref("a"), command)
    until(lambda: not list(pool.workers()))
    return error_of(lambda: reply.result(timeout=0))


def by_future(pool: Pool[Any, Any], command: Command[Any]) -> CallError:
    """Ask, and wait for a future."""
    return error_of(ask(pool.ref("a"), command).as_future().result)


def by_task(pool: Pool[Any, Any], command: Command[Any]) -> CallError:
    """Ask in a task of asyncio."""
    return error_of(lambda: asyncio.run(aio.call(pool.ref("a"), command)))


@pytest.mark.parametrize("ask", [by_call, by_asking_first, by_future, by_task])
@pytest.mark.parametrize("inline_calls", [False, True])
def test_the_caller_of_a_worker_that_fails_gets_its_error_and_learns_that_it_had_begun(
    place: Place,
    kind: Kind,
    ask: Callable[[Pool[Any, Any], Command[Any]], CallError],
    inline_calls: bool,  # noqa: FBT001
) -> None:
    exits: list[WorkerExit[Any]] = []
    pool = place.pool(kind, "a", inline_calls=inline_calls, on_worker_exit=exits.append)

    error = gone(ask(pool, Do(fail)))

    until(lambda: exits)
    assert type(error.__cause__) is Boom
    assert error.__cause__ is exits[0].error
    assert (error.reason, error.started) == ("worker failed", True)


def test_a_caller_whose_call_waits_when_the_worker_fails_learns_that_nobody_had_begun(
    place: Place, kind: Kind
) -> None:
    pool = place.pool(kind, "a")
    gate = place.hold(pool.ref("a"))
    in_hand, waiting = (ask(pool.ref("a"), command) for command in (Do(fail), Echo("1")))

    gate.open()

    errors = [gone(error_of(reply.result)) for reply in (in_hand, waiting)]
    assert [type(error.__cause__) for error in errors] == [Boom, Boom]
    assert [error.started for error in errors] == [True, False]


@pytest.mark.parametrize("ending", ["remove", "cancel", "end"])
def test_of_a_worker_that_ends_well_there_is_no_cause_and_what_it_had_in_hand_had_begun(
    place: Place, kind: Kind, ending: str
) -> None:
    pool = place.pool(kind, "a")
    kept: list[Call[Any]] = []
    in_hand = ask(pool.ref("a"), keep(kept))
    until(lambda: kept)
    gate = place.hold(pool.ref("a"))
    if ending == "end":
        cast(pool.ref("a"), Note(lambda: "end"))
    waiting = ask(pool.ref("a"), Echo("1"))

    if ending == "remove":
        pool.remove("a")
    elif ending == "cancel":
        pool.cancel()
    gate.open()

    errors = [gone(error_of(reply.result)) for reply in (in_hand, waiting)]
    assert [error.__cause__ for error in errors] == [None, None]
    assert [error.started for error in errors] == [True, False]


def test_a_call_that_was_dropped_may_have_begun(place: Place, kind: Kind) -> None:
    pool = place.pool(kind, "a")

    error = gone(error_of(lambda: call(pool.ref("a"), Do(lambda _: None))))

    assert (error.reason, error.started) == ("its reply box was dropped", True)
    assert error.__cause__ is None


def test_a_call_that_the_worker_dropped_and_then_ended_has_no_cause(
    place: Place, kind: Kind
) -> None:
    pool = place.pool(kind, "a")

    error = gone(error_of(lambda: call(pool.ref("a"), Do(end))))

    assert (error.__cause__, error.started) == (None, True)


def test_a_worker_gone_survives_pickling_without_its_cause() -> None:
    error = WorkerGone("text", CallId(3), key="a", reason="why", started=False)
    error.__cause__ = Boom()

    found = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own

    assert type(found) is WorkerGone
    assert (str(found), found.call_id, found.key, found.reason, found.started) == (
        "text",
        CallId(3),
        "a",
        "why",
        False,
    )
    assert WorkerGone("text", CallId(3)).started


class Held:
    """What a worker holds in a local variable."""


def boom() -> None:
    """Raise."""
    raise Boom


class Ask(Command[Any]):
    """A command that can be referred to weakly."""


def holding(
    kind: Kind, held: "list[weakref.ref[Held]]"
) -> Callable[..., Generator[None, Request] | None]:
    """Return a worker that holds something, and fails on its first message."""

    def obey(request: object) -> None:
        inner = Held()
        held.append(weakref.ref(inner))
        try:
            boom()
        except Boom as error:
            raise RuntimeError from error

    def in_turns(key: object) -> Generator[None, Request]:
        mine = Held()
        held.append(weakref.ref(mine))
        while True:
            obey((yield))

    def work(key: object, mailbox: Mailbox[Request]) -> None:
        mine = Held()
        held.append(weakref.ref(mine))
        for request in mailbox:
            obey(request)

    return work if kind == "function" else in_turns


@pytest.mark.usefixtures("_no_collector")
def test_what_a_failed_worker_has_held_ends_before_its_end_is_known_though_its_error_is_kept(
    place: Place, kind: Kind
) -> None:
    exits: list[WorkerExit[Any]] = []
    held: list[weakref.ref[Held]] = []
    seen: list[list[object]] = []
    pool = place.pool(
        kind, "a", worker=holding(kind, held), on_worker_exit=exits.append, inline_calls=False
    )
    reply = ask(pool.ref("a"), Ask())

    error = gone(error_of(reply.result))
    until(lambda: not list(pool.workers()))
    seen.append([each() for each in held])

    assert type(error.__cause__) is RuntimeError
    assert error.__cause__ is exits[0].error
    assert error.__cause__.__traceback__ is not None
    assert seen == [[None, None]]


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("ask", [by_call, by_asking_first, by_future, by_task])
def test_a_call_whose_worker_failed_is_freed_without_the_collector(
    place: Place, kind: Kind, ask: Callable[[Pool[Any, Any], Command[Any]], CallError]
) -> None:
    held: list[weakref.ref[Held]] = []
    pool = place.pool(kind, "a", worker=holding(kind, held), inline_calls=False)
    command = Ask()
    watched = weakref.ref(command)

    # Not the frames of who asks: they have the command, too.
    error = gone(ask(pool, command)).with_traceback(None)
    until(lambda: not list(pool.workers()))
    del command

    assert error.__cause__ is not None
    until(lambda: watched() is None)


def test_the_locals_of_all_errors_that_belong_together_are_forgotten() -> None:
    held: list[weakref.ref[Held]] = []

    def raise_boom() -> None:
        mine = Held()
        held.append(weakref.ref(mine))
        raise Boom

    def raise_group() -> None:
        mine = Held()
        held.append(weakref.ref(mine))
        errors: list[Exception] = []
        for _ in range(2):
            try:
                raise_boom()
            except Boom as boom:
                errors.append(boom)
        raise ExceptionGroup("several", errors)

    kept: list[BaseException] = []
    try:
        raise_group()
    except ExceptionGroup as error:
        error.__cause__ = error.exceptions[0]
        kept.append(error)

    forget_locals(kept[0])

    assert [each() for each in held] == [None, None, None]
