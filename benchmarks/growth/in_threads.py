"""What a flood of messages is sent to: pools, executors, and threads by hand."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import threadpool_mb as mb
from benchmarks.growth.flood import FromThreads, Last, Message, Plan, Work
from benchmarks.measuring import run_threads
from benchmarks.peers.ideal import HandWrittenIdeal
from benchmarks.peers.sharded import ShardedExecutors


class InPool(FromThreads):
    """A pool of generator workers."""

    def __init__(self, threads: int, work: Work) -> None:
        super().__init__(work)
        self._pool: Final[mb.Pool[int, Message | Last]] = mb.Pool(
            work.generator, max_threads=threads
        )
        for key in work.keys:
            self._pool.initialize(key)
        work.started.wait()

    def send(self, sender: int, plan: Plan) -> None:
        """Send one sender's messages."""
        dispatch = self._pool.dispatch
        for number, key in enumerate(plan):
            dispatch(key, (sender, number))

    def send_last(self) -> None:
        """Send each key its last message."""
        for key in self._work.keys:
            self._pool.dispatch(key, ())

    def close(self) -> None:
        """End all threads."""
        self._pool.close()
        self._pool.join()


class InExecutor(FromThreads):
    """An executor that keeps the order of a key's calls."""

    def __init__(self, executor: mb.KeyedExecutor | ShardedExecutors, work: Work) -> None:
        super().__init__(work)
        self._executor: Final = executor
        self._handles: Final = [work.handle(key) for key in work.keys]

    def send(self, sender: int, plan: Plan) -> None:
        """Send one sender's messages."""
        submit, handles = self._executor.submit_keyed, self._handles
        for number, key in enumerate(plan):
            submit(key, handles[key], (sender, number))

    def send_last(self) -> None:
        """Send each key its last message."""
        for key in self._work.keys:
            self._executor.submit_keyed(key, self._work.done.tell)

    def close(self) -> None:
        """End all threads."""
        with self._executor:
            pass


class InThreadPool:
    """A `ThreadPoolExecutor`, which keeps no order: all is handled once its threads have ended."""

    def __init__(self, threads: int, work: Work) -> None:
        self._work: Final = work
        self._executor: Final = ThreadPoolExecutor(threads)
        self._handles: Final = [work.handle(key) for key in work.keys]

    def run(self) -> None:
        """Send everything; return once all is handled."""
        run_threads(*[lambda each=each: self._send(*each) for each in enumerate(self._work.plans)])
        self._executor.shutdown()

    def close(self) -> None:
        """Do nothing: all threads have ended."""

    def _send(self, sender: int, plan: Plan) -> None:
        submit, handles = self._executor.submit, self._handles
        for number, key in enumerate(plan):
            submit(handles[key], (sender, number))


class ByHand(FromThreads):
    """A few threads, each with a queue and the generators of its keys."""

    def __init__(self, threads: int, work: Work) -> None:
        super().__init__(work)
        self._workers: Final = HandWrittenIdeal(work.generator, threads)
        for key in work.keys:
            self._workers.start(key)
        work.started.wait()

    def send(self, sender: int, plan: Plan) -> None:
        """Send one sender's messages."""
        queues = self._workers.queues
        for number, key in enumerate(plan):
            queues[hash(key) % len(queues)].put((key, (sender, number)))

    def send_last(self) -> None:
        """Send each key its last message."""
        for key in self._work.keys:
            self._workers.send(key, ((),))

    def close(self) -> None:
        """End all threads."""
        self._workers.close()
