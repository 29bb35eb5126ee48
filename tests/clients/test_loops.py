"""Event loops that are not asyncio's own, under what is awaited: uvloop, and RLoop."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import rloop
import uvloop

import threadpool_mb as mb
from tests.aio.doubles import Drop, Echo, until_in_loop
from tests.helpers import DEADLINE
from threadpool_mb.aio.waking import Pulse

type NewLoop = Callable[[], asyncio.AbstractEventLoop]

# RLoop 0.5.0 leaves the sockets open by which it is woken, and calls what 3.14 deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*iscoroutinefunction:DeprecationWarning"),
]


@pytest.fixture(params=[uvloop.new_event_loop, rloop.new_event_loop], ids=["uvloop", "rloop"])
def new_loop(request: pytest.FixtureRequest) -> NewLoop:
    """What makes a loop."""
    made: NewLoop = request.param
    return made


def run[T](new_loop: NewLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop of its own; fail if it is stuck."""

    async def in_time() -> T:
        async with asyncio.timeout(DEADLINE):
            return await coroutine

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(in_time())


def counting(key: object) -> Generator[None, mb.Call[Any]]:
    """Answer with how many calls came before; drop what is to be dropped."""
    count = 0
    while True:
        call = yield
        if not isinstance(call.command, Drop):
            call.reply_box.reply(count)
            count += 1
        del call


@pytest.mark.parametrize("inline", [False, True])
def test_calls_of_many_tasks_are_answered_in_order(new_loop: NewLoop, inline: bool) -> None:  # noqa: FBT001 - of a test
    async def calls(key: int) -> list[int]:
        return [await mb.aio.call(pool.ref(key), Echo(0)) for _ in range(50)]

    async def main() -> list[list[int]]:
        return await asyncio.gather(*(calls(key) for key in range(20)))

    with mb.Pool(counting, start="on_demand", inline_calls=inline, max_threads=2) as pool:
        assert run(new_loop, main()) == [list(range(50))] * 20


def test_what_nobody_answers_is_told(new_loop: NewLoop) -> None:
    async def main() -> None:
        with pytest.raises(mb.WorkerGone, match="dropped"):
            await mb.aio.call(pool.ref("a"), Drop())

    with mb.Pool(counting, start="on_demand") as pool:
        run(new_loop, main())


def test_tasks_receive_what_threads_deliver_and_wait_for_room(new_loop: NewLoop) -> None:
    mailbox: mb.Mailbox[int] = mb.Blocking(2).create()
    target = mailbox.new_input()

    async def receive() -> list[int]:
        received = []
        async for number in mb.aio.messages(mailbox):
            received.append(number)
            if number == 199:
                break
        return received

    async def main() -> list[int]:
        receiving = asyncio.create_task(receive())
        await asyncio.to_thread(lambda: [target.deliver(number) for number in range(100)])
        for number in range(100, 200):
            assert await mb.aio.deliver(target, number)
        return await receiving

    assert run(new_loop, main()) == list(range(200))


def test_a_pool_is_drained_from_a_loop(new_loop: NewLoop) -> None:
    handled: list[int] = []

    def worker(key: object) -> Generator[None, int]:
        while True:
            handled.append((yield))

    async def main() -> None:
        async with mb.Pool(worker, start="on_demand") as pool:
            for number in range(100):
                pool.dispatch("a", number)

    run(new_loop, main())

    assert handled == list(range(100))


def test_tasks_of_a_keyed_executor_are_awaited(
    new_loop: NewLoop, executor: mb.KeyedExecutor
) -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        view = executor.for_key("a")
        return await asyncio.gather(*(loop.run_in_executor(view, abs, -n) for n in range(20)))

    assert run(new_loop, main()) == list(range(20))


def test_an_answer_for_a_loop_that_is_closed_is_let_go_of(new_loop: NewLoop) -> None:
    pulse, loop = Pulse(), new_loop()
    futures = [asyncio.Future(loop=loop) for _ in range(2)]
    gone = [weakref.ref(future) for future in futures]
    loop.close()

    with ThreadPoolExecutor(1) as thread:
        for future in futures:
            thread.submit(pulse.wake, loop, future).result(DEADLINE)
    del futures, future
    gc.collect()

    assert [each() for each in gone] == [None, None]


def test_a_message_for_a_task_of_a_closed_loop_stays_in_its_mailbox(new_loop: NewLoop) -> None:
    mailbox: mb.Mailbox[str] = mb.Unlimited().create()
    waits = threading.Event()

    async def receive() -> None:
        waits.set()
        async for _ in mb.aio.messages(mailbox):
            raise AssertionError("nothing is received")

    async def main() -> None:
        task = asyncio.create_task(receive())
        await until_in_loop(waits.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(new_loop, main())

    assert mailbox.new_input().deliver("a message")
    assert mailbox.receive() == "a message"
