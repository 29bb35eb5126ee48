"""Hash-sharded executors of one thread each: order per key, without a thread per key."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final, Self


class ShardedExecutors:
    """Runs calls of one key in order; keys of one shard wait for each other."""

    def __init__(self, count: int) -> None:
        self.executors: Final = [ThreadPoolExecutor(1) for _ in range(count)]

    def submit_keyed[**P, T](
        self, key: Hashable, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Submit a call to the key's shard."""
        executors = self.executors
        return executors[hash(key) % len(executors)].submit(function, *args, **kwargs)

    def start_threads(self) -> None:
        """Start the threads now, which otherwise start with the first call."""
        wait([executor.submit(int) for executor in self.executors])

    def __enter__(self) -> Self:
        """Return the executors."""
        return self

    def __exit__(self, *error: object) -> None:
        """Let the calls finish and the threads end."""
        for executor in self.executors:
            executor.shutdown()
