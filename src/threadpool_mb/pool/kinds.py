"""How you write the worker says how it runs: a generator in turns, a function on a thread."""

import os
from collections.abc import Callable, Generator
from typing import cast

from threadpool_mb.arguments import check_limit
from threadpool_mb.callables import check_callable, is_generator_function
from threadpool_mb.dead_letters import DeadLetterOffice
from threadpool_mb.mailbox.own_kinds import slots_maker
from threadpool_mb.mailbox.protocols import Mailbox, MailboxConfig
from threadpool_mb.pool.function_workers import FunctionWorkers
from threadpool_mb.pool.generator_workers import GeneratorWorkers
from threadpool_mb.pool.workers import WorkerKind
from threadpool_mb.scheduling.shared_threads import SharedThreads

__all__ = ["Worker", "worker_kind"]

type Worker[K, M] = Callable[[K], Generator[None, M, object]] | Callable[[K, Mailbox[M]], object]
"""A generator function `worker(key)`, or a function `worker(key, mailbox)`."""

_THROUGHPUT = 64


def worker_kind[K, M](
    worker: Worker[K, M],
    config: MailboxConfig,
    office: DeadLetterOffice[K, M],
    pool_name: str,
    *,
    max_threads: int | None,
    throughput: int | None,
) -> Callable[[Callable[[], object]], WorkerKind[K, M]]:
    """Check a pool's worker; return what makes its kind, given what asks for one more thread.

    Raises:
        TypeError: if the worker cannot be called as it has to be.
        ValueError: if a number is wrong, or is not for this kind.
    """
    for name, number in (("max_threads", max_threads), ("throughput", throughput)):
        if number is not None:
            check_limit(number, name)
    if not is_generator_function(worker):
        check_callable(worker, "worker", "key", "mailbox")
        for name, number in (("max_threads", max_threads), ("throughput", throughput)):
            if number is not None:
                raise ValueError(
                    f"{name} is for generator workers, not {number} for a function: each of its"
                    " workers has a thread of its own"
                )
        function = cast("Callable[[K, Mailbox[M]], object]", worker)
        return lambda _ask: FunctionWorkers(function, config, office, pool_name)

    check_callable(worker, "worker", "key", generator=True)
    slots_maker(config)
    generator = cast("Callable[[K], Generator[None, M, object]]", worker)
    most = min(32, (os.process_cpu_count() or 1) + 4) if max_threads is None else max_threads
    return lambda ask: GeneratorWorkers(
        generator,
        config,
        office,
        SharedThreads(pool_name, most, ask),
        _THROUGHPUT if throughput is None else throughput,
    )
