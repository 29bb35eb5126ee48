"""`aio.call`: as `call`, and nobody's thread waits."""

import asyncio
import threading
import time
from collections.abc import Generator

import pytest

import threadpool_mb as mb
from tests.aio.doubles import Drop, Echo, Keep, Kept, run, until_in_loop
from tests.helpers import Running, in_thread, until

CONFIGS = [
    mb.Unlimited(),
    mb.Blocking(2),
    mb.Waiting(2, deliver_timeout=None),
    mb.CatchAll(mb.Blocking(2)),
]


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_a_call_returns_the_reply_of_a_worker(config: mb.MailboxConfig) -> None:
    with mb.Pool(Kept().worker, mailbox=config) as pool:
        pool.initialize("key")

        assert run(mb.aio.call(pool.ref("key"), Echo(5))) == 5


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_thousands_of_tasks_call_one_pool_at_once_and_no_thread_more_runs(
    config: mb.MailboxConfig,
) -> None:
    # Where each waits for room it waits for a turn on the processor, too, however long those are.
    tasks = 10_000 if config.limit is None else 1_000

    async def call_all() -> tuple[list[int], int]:
        most = 0

        async def one(number: int) -> int:
            nonlocal most
            value = await mb.aio.call(pool.ref(number % 10), Echo(number))
            most = max(most, threading.active_count())
            return value

        return await asyncio.gather(*(one(number) for number in range(tasks))), most

    before = threading.active_count()
    with mb.Pool(Kept().worker, mailbox=config, max_threads=2) as pool:
        for key in range(10):
            pool.initialize(key)

        values, most = run(call_all())

    assert values == list(range(tasks))
    assert most - before <= 3  # the pool's two and its dispatcher


def test_a_worker_is_not_run_on_the_loops_thread() -> None:
    threads = []

    def worker(key: str) -> Generator[None, mb.Call[int]]:
        while True:
            message = yield
            threads.append(threading.current_thread())
            message.reply_box.reply(0)

    with mb.Pool(worker) as pool:
        pool.initialize("key")

        run(mb.aio.call(pool.ref("key"), Echo(1)))
        run(mb.aio.call(pool.ref("key"), Echo(1)))

    assert threading.current_thread() not in threads


def test_a_broker_answers() -> None:
    def handle(key: str, call: mb.Call[int], resource: int) -> None:
        call.reply_box.reply(resource)

    def demultiplex(message: object) -> mb.Initialize[str, object] | mb.Dispatch[str, object]:
        return message if isinstance(message, mb.Initialize) else mb.Dispatch("key", message)

    config = mb.BrokerConfig(demultiplex, lambda k, m: 7, handle, lambda k, r: None)
    with mb.Broker(config, max_threads=2) as broker:
        broker.input.deliver(mb.Initialize("key"))

        assert run(mb.aio.call(broker.input, Echo(1))) == 7


def test_an_unknown_key_is_told_at_once() -> None:
    with (
        mb.Pool(Kept().worker, on_dead_letter=lambda _: None) as pool,
        pytest.raises(mb.CallNotDelivered) as caught,
    ):
        run(mb.aio.call(pool.ref("nobody"), Echo(1)))

    assert (caught.value.key, caught.value.reason) == ("nobody", "unknown key")


def test_a_closed_pool_is_told_at_once() -> None:
    with mb.Pool(Kept().worker) as pool:
        pass

    with pytest.raises(mb.CallNotDelivered, match="closed"):
        run(mb.aio.call(pool.ref("key"), Echo(1)))


def test_a_full_mailbox_that_refuses_is_told_at_once() -> None:
    mailbox: mb.Mailbox[mb.originals.Request] = mb.NonBlocking(1).create()
    mb.cast(mailbox.new_input(), mb.Notice())

    with pytest.raises(mb.CallNotDelivered, match="refused"):
        run(mb.aio.call(mailbox.new_input(), Echo(1)))


@pytest.mark.parametrize("end", ["remove", "cancel"])
def test_the_end_of_the_worker_is_told(end: str) -> None:
    kept = Kept()

    async def call_and_end() -> None:
        task = asyncio.create_task(mb.aio.call(pool.ref("key"), Keep()))
        await until_in_loop(lambda: kept.calls)
        if end == "remove":
            pool.remove("key")
        else:
            pool.cancel()
        await task

    with mb.Pool(kept.worker) as pool:
        pool.initialize("key")

        with pytest.raises(mb.WorkerGone) as caught:
            run(call_and_end())

    assert caught.value.key == "key"


def test_a_dropped_reply_box_is_told() -> None:
    with mb.Pool(Kept().worker) as pool:
        pool.initialize("key")

        with pytest.raises(mb.WorkerGone, match="dropped"):
            run(mb.aio.call(pool.ref("key"), Drop()))


def test_after_the_timeout_the_call_is_expired_and_a_late_reply_is_counted() -> None:
    kept = Kept()
    with mb.Pool(kept.worker) as pool:
        pool.initialize("key")

        while not kept.calls:  # the worker does not take a call whose time was over before
            with pytest.raises(mb.CallTimedOut):
                run(mb.aio.call(pool.ref("key"), Keep(), timeout=0.01))

        box = kept.calls[0].reply_box
        before = mb.originals.late_replies()
        assert box.expired
        box.reply(1)
        assert mb.originals.late_replies() == before + 1


def test_the_timeout_covers_waiting_for_room() -> None:
    mailbox: mb.Mailbox[mb.originals.Request] = mb.Blocking(1).create()
    mb.cast(mailbox.new_input(), mb.Notice())

    with pytest.raises(mb.CallTimedOut, match="not delivered"):
        run(mb.aio.call(mailbox.new_input(), Echo(1), timeout=0.01))

    assert len(mailbox) == 1


def test_a_call_that_times_out_before_a_pools_full_mailbox_is_no_dead_letter() -> None:
    letters: list[mb.DeadLetter[str, mb.originals.Request]] = []
    stuck = threading.Event()

    def worker(key: str, mailbox: mb.Mailbox[mb.originals.Request]) -> None:
        stuck.wait(15)
        for _ in mailbox:
            pass

    with mb.Pool(worker, mailbox=mb.Blocking(1), on_dead_letter=letters.append) as pool:
        pool.initialize("key", mb.Cast(mb.Notice()))

        with pytest.raises(mb.CallTimedOut):
            run(mb.aio.call(pool.ref("key"), Echo(1), timeout=0.01))
        stuck.set()

    assert letters == []


def test_a_cancelled_task_takes_no_reply() -> None:
    kept = Kept()

    async def cancel_it() -> None:
        task = asyncio.create_task(mb.aio.call(pool.ref("key"), Keep()))
        await until_in_loop(lambda: kept.calls)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with mb.Pool(kept.worker) as pool:
        pool.initialize("key")

        run(cancel_it())

        assert kept.calls[0].reply_box.expired


def test_a_reply_to_a_loop_that_is_closed_raises_nothing() -> None:
    kept = Kept()
    with mb.Pool(kept.worker) as pool:
        pool.initialize("key")
        loop = asyncio.new_event_loop()
        task = loop.create_task(mb.aio.call(pool.ref("key"), Keep()))
        loop.run_until_complete(until_in_loop(lambda: kept.calls))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

        kept.calls[0].reply_box.reply(1)

        assert not task.done()
        coroutine = task.get_coro()
        assert coroutine is not None
        coroutine.close()
        task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_loops_in_several_threads_call_at_once() -> None:
    async def many(start: int) -> list[int]:
        return await asyncio.gather(
            *(mb.aio.call(pool.ref(n % 3), Echo(n)) for n in range(start, start + 200))
        )

    with mb.Pool(Kept().worker) as pool:
        for key in range(3):
            pool.initialize(key)
        threads = [Running(lambda start=start: run(many(start))) for start in (0, 1000, 2000)]  # type: ignore[misc]

        assert [thread.result() for thread in threads] == [
            list(range(start, start + 200)) for start in (0, 1000, 2000)
        ]


def test_what_is_no_command_is_refused() -> None:
    with mb.Pool(Kept().worker) as pool, pytest.raises(TypeError, match="not 'text'"):
        run(mb.aio.call(pool.ref("key"), "text"))  # type: ignore[arg-type]


def test_a_users_own_input_is_refused() -> None:
    class Own:
        def deliver(self, message: object, /) -> bool:
            return True

    with pytest.raises(TypeError, match="one of threadpool_mb's"):
        run(mb.aio.call(Own(), Echo(1)))


def test_tasks_that_wait_for_room_are_served_as_it_comes() -> None:
    mailbox: mb.Mailbox[mb.originals.Request] = mb.Blocking(1).create()

    def serve() -> list[int]:
        order = []
        for request in mailbox:
            assert isinstance(request, mb.Call)
            order.append(request.command.number)  # type: ignore[attr-defined]
            request.reply_box.reply(request.command.number)  # type: ignore[attr-defined]
        return order

    async def many() -> list[int]:
        target = mailbox.new_input()
        return await asyncio.gather(*(mb.aio.call(target, Echo(n)) for n in range(300)))

    server = Running(serve)
    assert run(many()) == list(range(300))
    mailbox.close()
    assert sorted(server.result()) == list(range(300))


def test_a_call_that_waits_keeps_no_thread_of_its_own() -> None:
    kept = Kept()

    async def count() -> int:
        tasks = [asyncio.create_task(mb.aio.call(pool.ref("key"), Keep())) for _ in range(100)]
        await until_in_loop(lambda: len(kept.calls) == 100)
        running = threading.active_count()
        for call in kept.calls:
            call.reply_box.reply(1)
        assert await asyncio.gather(*tasks) == [1] * 100
        return running

    with mb.Pool(kept.worker, max_threads=1) as pool:
        pool.initialize("key")
        until(lambda: pool.stats().threads == 2)
        before = threading.active_count()

        assert run(count()) == before


def test_the_worker_that_ends_is_told_soon_also_where_nothing_else_wakes_the_loop() -> None:
    kept = Kept()
    with mb.Pool(kept.worker) as pool:
        pool.initialize("key")
        with in_thread(lambda: (until(lambda: kept.calls), pool.remove("key"))):
            start = time.monotonic()
            with pytest.raises(mb.WorkerGone):
                run(mb.aio.call(pool.ref("key"), Keep()))

    assert time.monotonic() - start < 10
