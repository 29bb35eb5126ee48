"""What a flood of messages is sent to: coroutines of asyncio, of TonIO and of nigrains."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from benchmarks.growth.flood import FromThreads, Last, Message, Plan, Work
from benchmarks.peers.grains import Grains
from benchmarks.peers.installed import TONIO
from benchmarks.peers.one_loop import LoopOnThread, OneLoop
from benchmarks.peers.tonio_tasks import TasksFromOutside, TasksInRuntime


class InTasks:
    """A task and a queue per key on one asyncio loop, with senders that are tasks of it too."""

    def __init__(self, work: Work) -> None:
        self._work: Final = work
        self._loop: Final = OneLoop(work.until_none)
        self._tasks: Final[list[asyncio.Task[None]]] = []
        self._loop.run(self._start())

    def run(self) -> None:
        """Send everything; return once all is handled."""
        self._loop.run(self._run())

    def close(self) -> None:
        """End all tasks, and the loop."""
        self._loop.run(self._end())
        self._loop.close()

    async def _start(self) -> None:
        self._tasks.extend(self._loop.start(key) for key in self._work.keys)
        await self._work.started.reached(asyncio.Event())

    async def _run(self) -> None:
        await asyncio.gather(*[self._send(*each) for each in enumerate(self._work.plans)])
        self._send_to_each(())
        await self._work.done.reached(asyncio.Event())

    async def _end(self) -> None:
        self._send_to_each(None)
        await asyncio.gather(*self._tasks)

    async def _send(self, sender: int, plan: Plan) -> None:
        queues = self._loop.queues
        for number, key in enumerate(plan):
            queues[key].put_nowait((sender, number))

    def _send_to_each(self, message: Last | None) -> None:
        for queue in self._loop.queues.values():
            queue.put_nowait(message)


class InTasksFromThreads(FromThreads):
    """A task and a queue per key on one asyncio loop, which has a thread of its own."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self._loop: Final = LoopOnThread(work.until_none)
        for key in work.keys:
            self._loop.start(key)
        work.started.wait()

    def send(self, sender: int, plan: Plan) -> None:
        """Send one sender's messages."""
        call, queues = self._loop.call, self._loop.queues
        for number, key in enumerate(plan):
            call(queues[key].put_nowait, (sender, number))

    def send_last(self) -> None:
        """Send each key its last message."""
        self._send_to_each(())

    def close(self) -> None:
        """End all tasks, and the thread."""
        self._send_to_each(None)
        self._loop.close()

    def _send_to_each(self, message: Last | None) -> None:
        for queue in self._loop.queues.values():
            self._loop.call(queue.put_nowait, message)


class InExecutorOfLoop:
    """A task and a queue per key on one asyncio loop; an executor's threads run the handlers."""

    def __init__(self, threads: int, work: Work) -> None:
        self._work: Final = work
        self._executor: Final = ThreadPoolExecutor(threads)
        self._runner: Final = asyncio.Runner()

    def run(self) -> None:
        """Send everything; return once all is handled. Starting the tasks is part of it."""
        self._runner.run(self._run())

    def close(self) -> None:
        """End all threads, and the loop."""
        self._executor.shutdown()
        self._runner.close()

    async def _run(self) -> None:
        queues = [asyncio.Queue[Message | None]() for _ in self._work.keys]
        tasks = [
            asyncio.create_task(self._call_each(self._work.handle(key), queues[key].get))
            for key in self._work.keys
        ]
        for sender, plan in enumerate(self._work.plans):
            for number, key in enumerate(plan):
                queues[key].put_nowait((sender, number))
        for queue in queues:
            queue.put_nowait(None)
        await asyncio.gather(*tasks)

    async def _call_each(
        self, handle: Callable[[Message], object], get: Callable[[], Awaitable[Message | None]]
    ) -> None:
        run = asyncio.get_running_loop().run_in_executor
        while (message := await get()) is not None:
            await run(self._executor, handle, message)


class InTonio:
    """A coroutine and a channel per key in TonIO's runtime, whose senders are coroutines too."""

    def __init__(self, work: Work) -> None:
        self._work: Final = work
        self._tasks: Final = TasksInRuntime(work.until_none)
        self._ended: Final = TONIO.module.spawn.without_results(
            *[self._tasks.coroutine(key) for key in work.keys]
        )
        self._tasks.run(work.started.reached(TONIO.module.Event()))

    def run(self) -> None:
        """Send everything; return once all is handled."""
        self._tasks.run(self._run())

    def close(self) -> None:
        """End all coroutines."""
        self._send_to_each(None)
        self._tasks.run(self._end())

    async def _run(self) -> None:
        senders = [self._send(*each) for each in enumerate(self._work.plans)]
        await TONIO.module.spawn.without_results(*senders)
        self._send_to_each(())
        await self._work.done.reached(TONIO.module.Event())

    async def _end(self) -> None:
        await self._ended

    async def _send(self, sender: int, plan: Plan) -> None:
        sends = self._tasks.sends
        for number, key in enumerate(plan):
            sends[key]((sender, number))

    def _send_to_each(self, message: Last | None) -> None:
        for send in self._tasks.sends.values():
            send(message)


class InTonioFromThreads(FromThreads):
    """The same with senders that are threads outside of the runtime."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self._tasks: Final = TasksFromOutside(work.until_none)
        for key in work.keys:
            self._tasks.start(key)
        work.started.wait()

    def send(self, sender: int, plan: Plan) -> None:
        """Send one sender's messages."""
        sends = self._tasks.sends
        for number, key in enumerate(plan):
            sends[key]((sender, number))

    def send_last(self) -> None:
        """Send each key its last message."""
        self._send_to_each(())

    def close(self) -> None:
        """End all coroutines, then all threads."""
        self._send_to_each(None)
        self._work.ended.wait()
        self._tasks.close()

    def _send_to_each(self, message: Last | None) -> None:
        for send in self._tasks.sends.values():
            send(message)


class InGrains:
    """A grain of nigrains per key; each message is a call that its sender waits for."""

    def __init__(self, work: Work) -> None:
        self._work: Final = work
        self._grains: Final = Grains(work.until_none)
        self._references: Final = [self._grains.reference(key) for key in work.keys]
        self._grains.run(self._start())

    def run(self) -> None:
        """Send everything; return once all is handled."""
        self._grains.run(self._run())

    def close(self) -> None:
        """End all grains, and the loop."""
        self._grains.close()

    async def _start(self) -> None:
        for reference in self._references:
            await reference.wake()

    async def _run(self) -> None:
        await asyncio.gather(*[self._send(*each) for each in enumerate(self._work.plans)])
        for reference in self._references:
            await reference.handle(())

    async def _send(self, sender: int, plan: Plan) -> None:
        references = self._references
        for number, key in enumerate(plan):
            await references[key].handle((sender, number))
