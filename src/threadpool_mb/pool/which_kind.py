"""How you write the worker says how it runs: a generator in turns, a function on a thread."""

from collections.abc import Callable
from typing import cast

from threadpool_mb.arguments import (
    check_callable,
    check_flag,
    check_limit,
    is_generator_function,
)
from threadpool_mb.dead_letters import DeadLetterOffice
from threadpool_mb.mailbox.kinds import slots_maker
from threadpool_mb.pool.function_workers import FunctionWorkers
from threadpool_mb.pool.generator_workers import GeneratorWorkers
from threadpool_mb.pool.generators import GeneratorFunction
from threadpool_mb.pool.pinned_workers import PinnedWorkers
from threadpool_mb.pool.workers import MakeKind
from threadpool_mb.protocols import Mailbox, MailboxConfig
from threadpool_mb.threads.counting import default_max_threads, shared_name
from threadpool_mb.threads.pinned import PinnedThreads
from threadpool_mb.threads.shared import SharedThreads

__all__ = ["Worker", "check_inline_calls", "worker_kind"]

type Worker[K, M] = GeneratorFunction[K, M] | Callable[[K, Mailbox[M]], object]
"""A generator function `worker(key)`, or a function `worker(key, mailbox)`."""

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
        check_callable(worker, "worker", "key", "mailbox")
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
        function = cast("Callable[[K, Mailbox[M]], object]", worker)
        return lambda _ask, ended: FunctionWorkers(function, config, office, pool_name, ended)

    check_callable(worker, "worker", "key", generator=True)
    make_slots = slots_maker(config)
    generator = cast("GeneratorFunction[K, M]", worker)
    threads = max_threads or default_max_threads()
    if pinned:
        return lambda ask, ended: PinnedWorkers(
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
            throughput=throughput or _THROUGHPUT,
            ended=ended,
        )
    return lambda ask, ended: GeneratorWorkers(
        generator,
        config,
        make_slots,
        office,
        SharedThreads(pool_name, threads, ask),
        throughput=throughput or _THROUGHPUT,
        ended=ended,
    )
