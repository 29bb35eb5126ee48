"""One flood in a process of its own: `python -m benchmarks.growth.flooding FLOOD`, which is JSON.

Of its own, as what ran before in a process stays in its heap: on 3.13t a garbage collection took
four times as long after a dozen runs, with no more objects. Prints the messages a second, as JSON.
"""

import dataclasses
import functools
import json
import sys
from collections.abc import Callable, Sequence
from typing import Final

import threadpool_mb as mb
from benchmarks.growth.flood import Contender, Plan, Work, drawn, flood, in_turn
from benchmarks.growth.in_coroutines import (
    InExecutorOfLoop,
    InGrains,
    InTasks,
    InTasksFromThreads,
    InTonio,
    InTonioFromThreads,
)
from benchmarks.growth.in_threads import ByHand, InExecutor, InPool, InThreadPool
from benchmarks.machine import cores
from benchmarks.peers.installed import NIGRAINS, TONIO
from benchmarks.peers.sharded import ShardedExecutors

type _Make = Callable[[Work], Contender]


@dataclasses.dataclass(frozen=True, slots=True)
class Flood:
    """Who is sent what."""

    kind: str
    """Of the contender, one of `KINDS`."""
    keys: int
    messages: int
    senders: int = 1
    exponent: float | None = None
    """Of Zipf's law, by which one sender's keys are drawn; `None`: they come in turn."""
    threads: int = dataclasses.field(default_factory=cores)
    """Of the contender; those of one loop have one."""
    sleep: float = 0.0
    """Seconds for which each handler blocks its thread."""

    def plans(self) -> Sequence[Plan]:
        """Return what each sender is to send."""
        if self.exponent is None:
            return in_turn(self.keys, self.messages, self.senders)
        return drawn(self.keys, self.messages, self.exponent)

    def run(self) -> float:
        """Return the messages a second of the second of two runs."""
        make, plans = KINDS[self.kind](self.threads), self.plans()
        ordered = self.kind != "unordered"
        _, speed = [
            flood(make, Work(self.keys, plans, self.sleep), ordered=ordered) for _ in range(2)
        ]
        return speed


KINDS: Final[dict[str, Callable[[int], _Make]]] = {
    "loop": lambda _threads: InTasks,
    "loop-from-threads": lambda _threads: InTasksFromThreads,
    "loop-with-executor": lambda threads: functools.partial(InExecutorOfLoop, threads),
    **dict(TONIO.select(("tonio", lambda _threads: InTonio))),
    **dict(TONIO.select(("tonio-from-threads", lambda _threads: InTonioFromThreads))),
    **dict(NIGRAINS.select(("nigrains", lambda _threads: InGrains))),
    "executors": lambda threads: lambda work: InExecutor(ShardedExecutors(threads), work),
    "unordered": lambda threads: functools.partial(InThreadPool, threads),
    "ideal": lambda threads: functools.partial(ByHand, threads),
    "keyed": lambda threads: lambda work: InExecutor(mb.KeyedExecutor(max_workers=threads), work),
    "pool": lambda threads: functools.partial(InPool, threads),
}
"""What a flood can be sent to, on so many threads; `unordered` alone keeps no order."""


def main() -> None:
    """Do what the argument says."""
    print(json.dumps(Flood(**json.loads(sys.argv[1])).run()))


if __name__ == "__main__":
    main()
