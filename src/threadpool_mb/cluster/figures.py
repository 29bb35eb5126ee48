"""The statistics of the nodes' pools, as those of one pool."""

from collections.abc import Iterable, Mapping

from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.pool.reports import ExitCause, PoolStats

__all__ = ["summed"]


def summed(
    figures: Iterable[PoolStats],
    past: Iterable[PoolStats] = (),
    *,
    name: str,
    state: str,
    here: int,
    threads: int,
    dead_letters: Mapping[DeadLetterReason, int],
) -> PoolStats:
    """Return the sum of what nodes have told.

    Args:
        figures: of each node that is there.
        past: of each that is not; what has happened there counts on, what was there does not.
        name: the pool's.
        state: the pool's.
        here: how many messages wait on the client's side.
        threads: how many threads the pool has on the client's side.
        dead_letters: those that the client was told; the nodes' are among them.
    """
    there = list(figures)
    each = [*there, *past]
    ended: dict[ExitCause, int] = {}
    for one in each:
        for cause, count in one.ended.items():
            ended[cause] = ended.get(cause, 0) + count
    counted = [one.handled for one in each]
    limits = [one.max_keys for one in there if one.max_keys is not None]
    return PoolStats(
        name=name,
        state=state,
        keys=sum(one.keys for one in there),
        busy=sum(one.busy for one in there),
        busy_threads=sum(one.busy_threads for one in there),
        waiting=here + sum(one.waiting for one in there),
        handled=sum(count or 0 for count in counted) if None not in counted else None,
        started=sum(one.started for one in each),
        failed=sum(one.failed for one in each),
        restarted=sum(one.restarted for one in each),
        ended=ended,
        max_keys=sum(limits) if limits else None,
        timers=sum(one.timers for one in there),
        dead_letters=dead_letters,
        threads=threads + sum(one.threads for one in there),
    )
