"""Checked by mypy, never run: what type checkers infer of the public interface."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future
from typing import assert_type

import threadpool_mb as mb


def worker(key: str, mailbox: mb.Mailbox[int]) -> None:
    for message in mailbox:
        assert_type(message, int)
    assert_type(mailbox.receive(timeout=1.0), int)
    assert_type(mailbox.receive_many(3), list[int])
    assert_type(mailbox.try_receive().try_now(), int | mb.Missing)
    assert_type(mailbox.try_receive().result(), int)
    assert_type(mb.handle_message(mailbox, str), str)


def a_pool_knows_its_keys_and_messages() -> None:
    pool = mb.Pool(worker, mailbox=mb.Blocking(10))
    assert_type(pool, mb.Pool[str, int])
    assert_type(pool.initialize("a"), bool)
    assert_type(pool.initialize("a", 1), bool)
    assert_type(pool.dispatch("a", 1), bool)
    pool.dispatch("a", "1")  # type: ignore[arg-type]
    pool.dispatch(1, 1)  # type: ignore[arg-type]
    pool.initialize("a", "1")  # type: ignore[arg-type]
    assert_type(pool.ref("a").deliver(1), bool)
    pool.ref("a").deliver("1")  # type: ignore[arg-type]
    an_input: mb.Input[int] = pool.ref("a")
    assert_type(an_input.deliver(1), bool)
    pool.input.deliver(mb.Dispatch("a", 1))
    pool.input.deliver(mb.Remove("a", drain=True))
    pool.input.deliver(mb.Dispatch("a", "1"))  # type: ignore[arg-type]
    assert_type(pool.keys(), list[str])
    assert_type(pool.join(), mb.DrainReport[str])
    assert_type(pool.drain(timeout=1), mb.DrainReport[str])
    assert_type(pool.stats(), mb.PoolStats[str])
    with pool as entered:
        assert_type(entered, mb.Pool[str, int])


def generator_worker(key: str) -> Generator[None, int]:
    while True:
        number = yield
        assert_type(number, int)


def a_generator_worker_types_its_pool() -> None:
    pool = mb.Pool(generator_worker, max_threads=2, throughput=8)
    assert_type(pool, mb.Pool[str, int])
    assert_type(pool.dispatch_many("key", [1, 2]), int)
    assert_type(pool.dispatch_all([("key", 1)]), int)
    pool.dispatch_many("key", ["no int"])  # type: ignore[list-item]


def hooks_are_checked(
    on_dead_letter: Callable[[mb.DeadLetter[str, int]], None],
    on_worker_exit: Callable[[mb.WorkerExit[str]], None],
    wrong: Callable[[int], None],
) -> None:
    mb.Pool(worker, on_dead_letter=on_dead_letter, on_worker_exit=on_worker_exit)
    mb.Pool(worker, on_dead_letter=wrong)  # type: ignore[arg-type]
    mb.Pool(worker, overflow="remove")  # type: ignore[arg-type]
    mb.Pool(lambda: None)  # type: ignore[arg-type]


def configs_are_interchangeable(config: mb.MailboxConfig) -> None:
    kinds: list[mb.MailboxConfig] = [
        mb.Unlimited(),
        mb.Blocking(1),
        mb.NonBlocking(1),
        mb.Waiting(1, deliver_timeout=1.0, receive_timeout=2.0),
        mb.CatchAll(config),
    ]
    mailbox: mb.Mailbox[bytes] = kinds[0].create()
    assert_type(mailbox.new_input().deliver(b""), bool)
    mb.Waiting(1, 1.0)  # type: ignore[call-arg]


def a_broker_knows_its_messages_and_resources() -> None:
    def demultiplex(message: bytes) -> mb.Initialize[str, int] | mb.Dispatch[str, int]:
        return mb.Dispatch(message.decode(), len(message))

    def create(key: str, message: int | mb.Missing) -> list[int]:
        return [] if message is mb.MISSING else [message]

    def handle(key: str, message: int, resource: list[int]) -> mb.ResourceUpdate[list[int]] | None:
        resource.append(message)
        return mb.UpdateResource(resource) if message else None

    def clean(key: str, resource: list[int]) -> None:
        resource.clear()

    broker = mb.Broker(mb.BrokerConfig(demultiplex, create, handle, clean))
    assert_type(broker.input, mb.Input[bytes])
    broker.input.deliver("text")  # type: ignore[arg-type]
    assert_type(broker.exception(), BaseException | None)


def an_executor_types_its_futures(executor: mb.KeyedExecutor) -> None:
    """A future has the type of what the function returns, and its arguments are checked."""

    def price(name: str, *, tax: float = 0.0) -> float:
        return len(name) * (1 + tax)

    assert_type(executor.submit(price, "tea"), Future[float])
    assert_type(executor.submit_keyed(("account", 1), price, "tea", tax=0.2), Future[float])
    executor.submit_keyed("key", price, 3)  # type: ignore[arg-type]
    executor.submit_keyed("key", price, "tea", vat=0.2)  # type: ignore[call-arg]
    assert_type(executor.map_keyed(len, ["tea"], key=str.lower), Iterator[int])
    executor.map_keyed(len, [1], key=str)  # type: ignore[arg-type,list-item,unused-ignore]
    assert_type(executor.for_key("key"), Executor)
    assert_type(executor.for_key("key").submit(price, "tea"), Future[float])
    with executor as entered:
        assert_type(entered, mb.KeyedExecutor)
