"""How you write the worker says how it runs: a generator in turns, a function on a thread."""

import functools
from collections.abc import Callable
from typing import Any, Final, cast

from threadpool_mb.arguments import (
    check_callable,
    check_flag,
    check_limit,
    describe,
    is_generator_function,
)
from threadpool_mb.calls.handlers import has_handlers
from threadpool_mb.dead_letters import DeadLetterOffice
from threadpool_mb.mailbox.kinds import Unlimited, is_own_kind, slots_maker, store_maker
from threadpool_mb.mailbox.observed import ObservedConfig, observed_priorities
from threadpool_mb.observing import Observers
from threadpool_mb.pool.flowing import flowing
from threadpool_mb.pool.flows import PoolFlow
from threadpool_mb.pool.function_workers import FunctionWorkers
from threadpool_mb.pool.generator_workers import GeneratorWorkers
from threadpool_mb.pool.generators import GeneratorFunction
from threadpool_mb.pool.lives import ALWAYS, Lives
from threadpool_mb.pool.observed import observed, observed_function, observed_worker
from threadpool_mb.pool.pinned_workers import PinnedWorkers
from threadpool_mb.pool.ticking import ticking
from threadpool_mb.pool.workers import MakeKind
from threadpool_mb.protocols import Mailbox, MailboxConfig
from threadpool_mb.threads.counting import default_max_threads, shared_name
from threadpool_mb.threads.pinned import PinnedThreads
from threadpool_mb.threads.shared import SharedThreads

__all__ = ["Worker", "check_inline_calls", "worker_kind"]

type Worker[K, M] = GeneratorFunction[K, M] | Callable[[K, Mailbox[M]], object]
"""A generator function `worker(key)`, or a function `worker(key, mailbox)`."""

_THROUGHPUT_OF_THROTTLED = 2
"""It has hardly ever more than one to do, and finds with the second look when the next is due."""

_THROUGHPUT = 64
"""Half of it costs nothing yet, a quarter a third of the speed (docs/performance.md)."""


def check_inline_calls(inline_calls: object, *, pinned: bool) -> bool | None:
    """Return whether calls may be handled on the caller's thread, as a user has said.

    Raises:
        TypeError: if it is no `bool`.
        ValueError: if it is true of pinned workers.
    """
    inline = None if inline_calls is None else check_flag(inline_calls, "inline_calls")
    if pinned and inline:
        raise ValueError("inline_calls must not be True: a pinned worker runs on its own thread")
    return False if pinned else inline


def worker_kind[K, M](  # noqa: PLR0917 - what a user gives a pool
    worker: Worker[K, M],
    config: MailboxConfig,
    office: DeadLetterOffice[K, M],
    pool_name: str,
    max_threads: int | None,
    throughput: int | None,
    *,
    pinned: bool,
    lives: Lives = ALWAYS,
    flow: PoolFlow | None = None,
) -> MakeKind[K, M]:
    """Check a pool's worker; return what makes its kind.

    Raises:
        TypeError: if the worker cannot be called as it has to be, or `pinned` is no `bool`.
        ValueError: if a number is wrong, or something is not for this kind.
    """
    given = {
        name: number
        for name, number in (("max_threads", max_threads), ("throughput", throughput))
        if number is not None
    }
    for name, number in given.items():
        check_limit(number, name)
    check_flag(pinned, "pinned")
    if not is_generator_function(worker):
        _check_function(worker)
        _check_for_function(given, pinned=pinned, flow=flow)
        _check_function_lives(config, lives)
        function = cast("Callable[[K, Mailbox[M]], object]", worker)
        return _function_kind(function, config, office, pool_name)

    check_callable(worker, "worker", "key", generator=True)
    make_slots = slots_maker(config)
    generator, around = _observed(cast("GeneratorFunction[K, M]", worker), office.observers)
    if flow is not None:
        throughput = _check_flow(flow, config, make_slots, throughput)
    if around is not _as_it_is:
        config = observed_priorities(config)
    threads = max_threads or default_max_threads()
    if pinned:
        pinned_kind: Any = _that_lives(PinnedWorkers, lives)
        pinned_kind = around(pinned_kind if flow is None else flowing(pinned_kind, flow))
        if flow is not None:
            pinned_kind = _with_flow(pinned_kind, flow)
        return lambda ask, ended, timers, keeping: pinned_kind(
            generator,
            config,
            make_slots,
            office,
            PinnedThreads(
                threads,
                lambda number: SharedThreads(
                    pool_name, 1, ask, named=lambda _: shared_name(pool_name, number), pinned=True
                ),
            ),
            timers,
            keeping,
            throughput=throughput or _THROUGHPUT,
            ended=ended,
        )
    kind: Any = _that_lives(GeneratorWorkers, lives)
    kind = around(kind if flow is None else flowing(kind, flow))
    if flow is not None:
        kind = _with_flow(kind, flow)
    return lambda ask, ended, timers, keeping: kind(
        generator,
        config,
        make_slots,
        office,
        SharedThreads(pool_name, threads, ask),
        timers,
        keeping,
        throughput=throughput or _THROUGHPUT,
        ended=ended,
    )


def _that_lives(kind: type[GeneratorWorkers[Any, Any]], lives: Lives) -> Any:  # noqa: ANN401 - a kind of workers
    """Return workers of a kind as keys live."""
    return ticking(kind, ordered=lives.max_keys is not None) if lives.end_idle else kind


def _check_function(worker: object) -> None:
    """Check that a worker that is no generator function is a function of a key and a mailbox.

    Raises:
        TypeError: if it is none; what was probably meant is in the text.
    """
    if isinstance(worker, type) and has_handlers(worker) and _takes_a_key(worker):
        # It may take a second argument, too, and would handle nothing as a worker.
        raise TypeError(f"worker must be a function, not {describe(worker)}{_SERVER}")
    try:
        check_callable(worker, "worker", "key", "mailbox")
    except TypeError as error:
        hint = _SERVER if has_handlers(type(worker)) else ""
        if not hint and _takes_a_key(worker):
            hint = "; a worker of a key alone has a `yield`, which takes its messages"
        raise TypeError(f"{error}{hint}") from None


_SERVER: Final = ", whose methods handle commands: mb.server makes a worker of such a class"


def _takes_a_key(worker: object) -> bool:
    """Return whether a worker can be called with a key alone."""
    try:
        check_callable(worker, "worker", "key")
    except TypeError:
        return False
    return True


def _observed[K, M](
    worker: GeneratorFunction[K, M], observers: Observers | None
) -> tuple[GeneratorFunction[K, M], Callable[[Any], Any]]:
    """Return a generator worker as observers need it, and what makes such a kind of a kind."""
    if observers is None or not (observers.starts or observers.messages):
        return worker, _as_it_is
    if not observers.messages:
        return observed_worker(worker, observers), _as_it_is
    around = functools.partial(observed, enveloping=observers.sends)
    return observed_worker(worker, observers), around


def _as_it_is(kind: Any) -> Any:  # noqa: ANN401 - a kind of workers
    return kind


def _check_for_function(given: dict[str, int], *, pinned: bool, flow: PoolFlow | None) -> None:
    """Check that nothing was given that is for generator workers.

    Raises:
        ValueError: if something was.
    """
    for name, number in given.items():
        raise ValueError(
            f"{name} is for generator workers, not {number} for a function: each of its"
            " workers has a thread of its own"
        )
    if pinned:
        raise ValueError(
            "pinned is for generator workers, not True for a function: each of its workers has"
            " a thread of its own"
        )
    if flow is not None:
        raise ValueError(
            "rate, message_ttl and max_waiting are for generator workers, not for a function,"
            " which takes its messages itself"
        )


def _function_kind[K, M](
    function: Callable[[K, Mailbox[M]], object],
    config: MailboxConfig,
    office: DeadLetterOffice[K, M],
    pool_name: str,
) -> MakeKind[K, M]:
    """Return what makes workers of a function."""
    observers: Observers | None = office.observers
    if observers is not None and (observers.starts or observers.messages):
        function = observed_function(function, observers)
        config = ObservedConfig(config, observers) if observers.sends else config
    return lambda _ask, ended, _timers, keeping: FunctionWorkers(
        function, config, office, pool_name, ended, keeping
    )


def _check_function_lives(config: MailboxConfig, lives: Lives) -> None:
    """Check that a function worker can live so.

    Raises:
        ValueError: if it cannot.
    """
    if lives.restart is not None and lives.restart.in_hand == "retry":
        raise ValueError(
            "in_hand='retry' is for generator workers: which message a function has in hand is its"
            " own affair, it may have received several"
        )
    for name, value in (("idle_timeout", lives.idle_timeout), ("max_keys", lives.max_keys)):
        if value is not None and not is_own_kind(config):
            raise ValueError(
                f"{name} must be None, not {value!r}, with the mailbox {describe(config)}: it is"
                " not known when a function waits for messages of a user's own kind of mailbox"
            )


def _with_flow(kind: Any, flow: PoolFlow) -> Callable[..., Any]:  # noqa: ANN401 - a kind of workers
    """Return what makes workers of a kind, and gives them what their lanes look at."""

    def make(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the kind has them
        workers = kind(*arguments, **named)
        workers.flow_with(flow)
        return workers

    return make


def _check_flow(
    flow: PoolFlow, config: MailboxConfig, make_slots: object, throughput: int | None
) -> int | None:
    """Check that mailboxes of this config can do what a flow says; return the throughput.

    Raises:
        ValueError: if they cannot.
    """
    if make_slots is None or store_maker(config) is not None:
        raise ValueError(
            "rate, message_ttl and max_waiting need a mailbox of this library that keeps its"
            f" messages in their order, not {describe(config)}"
        )
    if flow.room is not None and config != Unlimited():
        raise ValueError(
            f"max_waiting must be None, not {flow.room.limit}, with the mailbox {describe(config)},"
            " which has a limit of its own"
        )
    throttled = flow.may_begin is not None
    return _THROUGHPUT_OF_THROTTLED if throttled and throughput is None else throughput
