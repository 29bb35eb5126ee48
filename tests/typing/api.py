"""Checked by mypy, never run: what type checkers infer of the public interface."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, assert_type

import threadpool_mb as mb
from threadpool_mb.originals import Request
from threadpool_mb.testing import SeededPool


def worker(key: str, mailbox: mb.Mailbox[int]) -> None:
    for message in mailbox:
        assert_type(message, int)
    assert_type(mailbox.receive(timeout=1.0), int)
    assert_type(mailbox.receive_many(3), list[int])
    assert_type(mailbox.try_receive().try_now(), int | mb.originals.Missing)
    assert_type(mailbox.try_receive().result(), int)
    assert_type(mb.originals.handle_message(mailbox, str), str)


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
    assert_type(pool.stats(), mb.PoolStats)
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


def a_seeded_pool_is_a_pool_of_the_same_types() -> None:
    pool = SeededPool(generator_worker, seed=7, max_keys=10)
    assert_type(pool, SeededPool[str, int])
    as_pool: mb.Pool[str, int] = pool
    assert_type(as_pool.dispatch("key", 1), bool)
    pool.dispatch("key", "no int")  # type: ignore[arg-type]
    SeededPool(worker)  # type: ignore[arg-type]
    assert_type(pool.order.handled(), list[tuple[object, object]])
    assert_type(SeededPool.explore(lambda seed: seed + 1), int)
    with pool as entered:
        assert_type(entered.now, float)


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
        mb.Sliding(1),
        mb.Prioritized(mb.Blocking(1), len),
        mb.CatchAll(config),
    ]
    mb.Prioritized(mb.Sliding(1), len)  # type: ignore[arg-type]
    mb.Prioritized(mb.Unlimited(), str)  # type: ignore[arg-type]
    mailbox: mb.Mailbox[bytes] = kinds[0].create()
    assert_type(mailbox.new_input().deliver(b""), bool)
    mb.Waiting(1, 1.0)  # type: ignore[call-arg]


def a_broker_knows_its_messages_and_resources() -> None:
    def demultiplex(message: bytes) -> mb.Initialize[str, int] | mb.Dispatch[str, int]:
        return mb.Dispatch(message.decode(), len(message))

    def create(key: str, message: int | mb.originals.Missing) -> list[int]:
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
    assert_type(broker.stats(), mb.BrokerStats)
    assert_type(broker.workers(), Iterator[mb.TaskLine[str]])
    assert_type(broker.worker("key"), mb.TaskLine[str] | None)
    assert_type(broker.hot(3), list[mb.TaskLine[str]])
    broker.worker(1)  # type: ignore[arg-type]


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
    assert_type(executor.for_key("key"), ThreadPoolExecutor)
    assert_type(executor.for_key("key").submit(price, "tea"), Future[float])
    assert_type(executor.stats(), mb.ExecutorStats)
    assert_type(executor.workers(), Iterator[mb.TaskLine[Any]])
    assert_type(executor.worker(("account", 1)), mb.TaskLine[Any] | None)
    assert_type(executor.hot(3), list[mb.TaskLine[Any]])
    with executor as entered:
        assert_type(entered, mb.KeyedExecutor)


class GetBalance(mb.Command[int]):
    """Expects an `int`."""


class GetName(mb.Command[str]):
    """Expects a `str`."""


class Deposit(mb.Notice):
    """Expects nothing."""


def a_call_returns_what_its_command_expects(
    ref: mb.KeyInput[str, Request], sending: mb.Input[Request], mailbox: mb.Input[int]
) -> None:
    assert_type(mb.call(ref, GetBalance()), int)
    assert_type(mb.call(ref, GetName(), timeout=1.5), str)
    assert_type(mb.call(sending, GetBalance(), timeout=None), int)
    assert_type(mb.ask(sending, GetBalance()), mb.Reply[int])
    assert_type(mb.cast(ref, Deposit()), bool)
    mb.call(ref, Deposit())  # type: ignore[arg-type]
    mb.call(ref, GetBalance(), 1.5)  # type: ignore[call-arg]
    mb.call(ref, GetBalance(), timeout="1")  # type: ignore[arg-type]
    mb.call(mailbox, GetBalance())  # type: ignore[arg-type]
    mb.ask(ref, Deposit())  # type: ignore[arg-type]
    mb.cast(ref, GetBalance())  # type: ignore[arg-type]
    mb.cast(mailbox, Deposit())  # type: ignore[arg-type]


def a_pool_of_requests_is_called() -> None:
    pool = mb.Pool(account, inline_calls=False)
    assert_type(pool, mb.Pool[str, mb.Call[Any] | mb.Cast])
    assert_type(mb.call(pool.ref("alice"), GetBalance()), int)
    assert_type(mb.cast(pool.ref("alice"), Deposit()), bool)
    mb.Pool(account, inline_calls="no")  # type: ignore[arg-type]


def account(key: str) -> Generator[None, Request]:
    """Tell calls and casts apart."""
    while True:
        match (yield):
            case mb.Call(GetBalance(), box):
                box.reply(1)
            case mb.Call(_, box):
                box.fail(ValueError())
            case mb.Cast(notice):
                assert_type(notice, mb.Notice)


def a_reply_is_read(reply: mb.Reply[int]) -> None:
    assert_type(reply.result(), int)
    assert_type(reply.result(timeout=1), int)
    assert_type(reply.try_result(), int | mb.originals.Missing)
    assert_type(reply.done(), bool)
    assert_type(reply.as_future(), Future[int])
    assert_type(reply.call_id, mb.CallId)
    reply.add_done_callback(lambda done: assert_type(done, mb.Reply[int]))
    reply.result(1)  # type: ignore[call-arg]


def a_call_is_answered_or_handed_on(
    received: mb.Call[int], target: mb.Input[Request], ref: mb.KeyInput[str, Request]
) -> None:
    assert_type(received.command, mb.Command[int])
    assert_type(received.reply_box, mb.ReplyBox[int])
    received.reply_box.reply(3)
    received.reply_box.fail(ValueError())
    assert_type(received.reply_box.expired, bool)
    assert_type(received.reply_box.call_id, mb.CallId)
    assert_type(mb.delegate(target, received), bool)
    assert_type(mb.delegate(ref, received, GetBalance()), bool)
    received.reply_box.reply("3")  # type: ignore[arg-type]
    received.reply_box.fail("3")  # type: ignore[arg-type]
    mb.delegate(ref, GetBalance())  # type: ignore[arg-type]
    mb.delegate(ref, received, Deposit())  # type: ignore[arg-type]


class Account:
    """Handles requests."""

    def __init__(self, key: str) -> None:
        """Begin with nothing."""

    @mb.handles(GetBalance)
    def balance(self, command: GetBalance) -> int:
        """Return what the command expects."""
        return 1

    @mb.handles(Deposit)
    def deposit(self, notice: Deposit) -> None:
        """Return nothing."""

    @mb.handles_call(GetName)
    def name(self, received: mb.Call[str]) -> None:
        """Answer."""
        assert_type(received.reply_box, mb.ReplyBox[str])

    @mb.handles(GetBalance)  # type: ignore[arg-type]
    def wrong(self, command: GetBalance) -> str:
        """Return another type than the command expects."""
        return "1"

    @mb.handles_call(GetName)  # type: ignore[arg-type]
    def wrong_call(self, received: mb.Call[int]) -> None:
        """Take the call of another type."""

    @mb.handles(int)  # type: ignore[arg-type]
    def no_command(self, command: int) -> None:
        """Handle what is no command."""

    @mb.handles_call(Deposit)  # type: ignore[arg-type]
    def no_call(self, received: mb.Call[None]) -> None:
        """Take the call of a notice."""


def a_handler_keeps_its_type(handlers: Account) -> None:
    assert_type(handlers.balance(GetBalance()), int)
    assert_type(handlers.deposit(Deposit()), None)  # type: ignore[assert-type]


def servers_are_workers(mailbox: mb.Mailbox[Request], numbers: mb.Mailbox[int]) -> None:
    assert_type(mb.server(Account), Callable[[str], Generator[None, Request]])
    pool = mb.Pool(mb.server(Account, after_error="stop"))
    assert_type(pool, mb.Pool[str, Request])
    assert_type(mb.call(pool.ref("alice"), GetBalance()), int)
    assert_type(mb.serve(mailbox, Account("alice")), None)
    mb.serve(mailbox, {GetBalance: lambda command: 1}, after_error="continue")
    mb.serve(mailbox, repr)
    mb.serve(mailbox, Account("alice"), after_error="end")  # type: ignore[arg-type]
    mb.serve(numbers, Account("alice"))  # type: ignore[arg-type]
    mb.server(Account, after_error="end")  # type: ignore[arg-type]
    mb.server(lambda: Account("alice"))  # type: ignore[arg-type,misc]


def errors_of_calls_say_whose(error: mb.CallError, counter: mb.originals.Counter) -> None:
    assert_type(error.call_id, mb.CallId)
    assert_type(error.key, object)
    assert_type(error.reason, str)
    assert_type(mb.DuplicateReply(error.call_id).call_id, mb.CallId)
    assert_type(counter.take_next(), mb.CallId)
    assert_type(counter.increment_and_get(), int)
    assert_type(mb.originals.late_replies(), int)
    _timed_out: TimeoutError = mb.CallTimedOut("text", error.call_id)


def a_dashboard_takes_what_can_be_looked_at(pool: mb.Pool[str, int]) -> None:
    with mb.dashboard.serve(pool, pool, port=8000) as page:
        assert_type(page.url, str)
    mb.dashboard.serve("no pool")  # type: ignore[arg-type]
    assert_type(pool.worker("a"), mb.WorkerStats[str] | None)
    pool.worker(1)  # type: ignore[arg-type]


class Watch(mb.Observer):
    """Says of which types its pool's keys and messages are."""

    def sent(self, key: str, message: int) -> float:
        return 1.0

    def begun(self, key: str, message: int, sent: float | None) -> str:
        return "begun"

    def done(self, key: str, message: int, begun: str, error: BaseException | None) -> None:
        pass

    def ended(self, worker_exit: mb.WorkerExit[str]) -> None:
        assert_type(worker_exit.key, str)


def observers_are_given_where_pools_are_made(config: mb.BrokerConfig[int, str, int, int]) -> None:
    assert_type(mb.Pool(worker, observe=Watch()), mb.Pool[str, int])
    mb.Pool(worker, observe=[Watch(), mb.Observer()])
    mb.KeyedExecutor(observe=(Watch(),))
    mb.Broker(config, observe=Watch())
    mb.Pool(worker, observe=Watch)  # type: ignore[arg-type]
    mb.KeyedExecutor(observe=[1])  # type: ignore[list-item]
