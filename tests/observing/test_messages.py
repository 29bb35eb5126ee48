"""What observers are told of messages: sent, begun, done; in which order, where, with what."""

import asyncio
import contextvars
import gc
import itertools
import threading
import weakref
from collections.abc import Generator
from typing import Any, Final

import pytest

from tests.helpers import run_together, until
from tests.insides import worker_of as worker_in
from tests.observing.recording import KINDS, Kind, Recording, Twice, whole, worker_of
from tests.pool.doubles import Intercepting
from threadpool_mb import (
    Blocking,
    Call,
    CallFailed,
    CatchAll,
    Command,
    Mailbox,
    MailboxConfig,
    Observer,
    Pool,
    Prioritized,
    Rate,
    Restart,
    Sliding,
    Unlimited,
    WorkerGone,
    aio,
    ask,
    call,
    delegate,
    server,
    sleep,
)

both_kinds = pytest.mark.parametrize("kind", KINDS)

OWN: Final[tuple[MailboxConfig, ...]] = (
    Unlimited(),
    Blocking(3),
    Sliding(9),
    Prioritized(Unlimited(), lambda _: 0),
    Prioritized(Blocking(3), lambda _: 0),
    CatchAll(Prioritized(Blocking(3), lambda _: 0)),
)


def mailbox_name(config: object) -> str:
    return repr(config).split(", priority")[0]


@both_kinds
@pytest.mark.parametrize("mailbox", OWN, ids=mailbox_name)
def test_a_message_is_told_as_sent_then_begun_then_done(kind: Kind, mailbox: MailboxConfig) -> None:
    observer = Recording()

    with Pool(worker_of(kind), observe=observer, mailbox=mailbox) as pool:
        pool.initialize("a", "first")
        pool.dispatch("a", "second")
        pool.dispatch_many("a", ["third"])

    for message in ("first", "second", "third"):
        assert [each for each in observer.of("sent", "begun", "done") if each[2] == message] == (
            whole("a", message)
        )
    handled = [each[0::2] for each in observer.of("begun", "done")]
    assert [each[1] for each in handled] == ["first", "first", "second", "second", "third", "third"]


@both_kinds
@pytest.mark.parametrize("start", ["explicit", "on_demand"])
@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize("lives", [{}, {"idle_timeout": 60.0}, {"max_keys": 5}])
@pytest.mark.parametrize("flow", [{}, {"rate": Rate(1e6)}, {"message_ttl": 60.0, "max_waiting": 9}])
def test_each_kind_of_lane_tells(
    kind: Kind,
    start: Any,  # noqa: ANN401 - a parameter
    pinned: bool,  # noqa: FBT001 - a parameter
    lives: dict[str, Any],
    flow: dict[str, Any],
) -> None:
    if kind == "function" and (pinned or flow):
        with pytest.raises(ValueError, match="generator workers"):
            Pool(worker_of(kind), pinned=pinned, observe=Recording(), **flow)
        return
    observer = Recording()

    with Pool(
        worker_of(kind), observe=observer, start=start, pinned=pinned, **lives, **flow
    ) as pool:
        if start == "explicit":
            pool.initialize("a")
        pool.dispatch("a", "x")

    assert observer.of("sent", "begun", "done") == whole("a", "x")


@both_kinds
def test_what_a_worker_raises_is_told_as_the_messages_error(kind: Kind) -> None:
    observer = Recording()

    with Pool(worker_of(kind), observe=observer, start="on_demand") as pool:
        pool.dispatch("a", "bad")
        until(lambda: observer.of("ended"))

    assert observer.of("sent", "begun", "done") == whole("a", "bad", "ValueError('bad')")


@both_kinds
def test_the_worker_the_hooks_and_the_dead_letters_have_the_plain_message(kind: Kind) -> None:
    class Message:
        pass

    seen, letters, exits = list[object](), list[object](), list[object]()
    inside, go_on = threading.Event(), threading.Event()

    def see(message: object) -> None:
        seen.append(type(message))
        inside.set()
        go_on.wait(15)
        raise ValueError

    def generator(_key: object) -> Generator[None, Any]:
        see((yield))

    def function(_key: object, mailbox: Mailbox[Any]) -> None:
        for message in mailbox:
            see(message)

    with Pool[str, Any](
        generator if kind == "generator" else function,
        observe=Recording(),
        on_dead_letter=lambda letter: letters.append(type(letter.message)),
        on_worker_exit=lambda worker_exit: exits.append(type(worker_exit.message)),
    ) as pool:
        pool.initialize("a", Message())
        inside.wait(15)
        pool.dispatch("a", Message())
        pool.dispatch_later(3600, "a", Message())
        go_on.set()
        until(lambda: exits)

    assert seen == [Message]
    assert letters == [Message, Message]
    assert kind == "function" or exits == [Message]


@both_kinds
def test_a_priority_is_asked_of_the_plain_message(kind: Kind) -> None:
    handled, go_on = list[int](), threading.Event()

    def generator(_key: object) -> Generator[None, int]:
        go_on.wait(15)
        while True:
            handled.append((yield))

    def function(_key: object, mailbox: Mailbox[int]) -> None:
        go_on.wait(15)
        handled.extend(mailbox)

    with Pool[str, int](
        generator if kind == "generator" else function,
        observe=Recording(),
        mailbox=Prioritized(Unlimited(), lambda number: -number),
    ) as pool:
        pool.initialize("a", 3)
        for number in (1, 5, 2):
            pool.dispatch("a", number)
        go_on.set()

    assert handled == [5, 3, 2, 1]


@both_kinds
def test_a_message_whose_priority_raises_was_not_sent(kind: Kind) -> None:
    observer = Recording()

    with Pool(worker_of(kind), observe=observer, mailbox=Prioritized(Unlimited(), len)) as pool:
        pool.initialize("a")
        with pytest.raises(TypeError):
            pool.dispatch("a", 7)
        with pytest.raises(TypeError):
            pool.ref("a").deliver(7)

    assert observer.of("sent", "begun", "done") == []


@pytest.mark.parametrize(
    "mailbox",
    [
        Prioritized(Unlimited(), lambda number: number),
        Prioritized(Blocking(3), lambda number: number),
        CatchAll(Prioritized(Unlimited(), lambda number: number)),
    ],
    ids=mailbox_name,
)
def test_a_late_message_is_told_as_sent_once_and_keeps_its_priority(mailbox: MailboxConfig) -> None:
    observer = Recording()
    handled, busy, go_on = list[int](), threading.Event(), threading.Event()

    def worker(_key: object) -> Generator[None, int]:
        while True:
            number = yield
            handled.append(number)
            if number == 0:
                busy.set()
                go_on.wait(15)

    with Pool(worker, start="on_demand", observe=observer, mailbox=mailbox) as pool:
        pool.dispatch("a", 1)
        assert pool.flush(timeout=15)
        ended: Any = worker_in(pool, "a")
        pool.remove("a", drain=True)
        until(lambda: ended.gone)
        pool.dispatch("a", 0)
        busy.wait(15)
        pool.dispatch("a", 4)
        # A sender that has found the first worker open puts its message only now.
        ended.put(3)
        assert ended.unattended
        ended.attend()
        go_on.set()

    assert handled == [1, 0, 3, 4]
    assert sorted(entry[2] for entry in observer.of("sent")) == [0, 1, 3, 4]


@both_kinds
def test_sent_is_told_on_the_senders_thread_and_the_rest_on_the_workers(kind: Kind) -> None:
    threads = list[tuple[str, int]]()

    class Where(Observer):
        def sent(self, key: object, message: object, /) -> None:
            threads.append(("sent", threading.get_ident()))

        def begun(self, key: object, message: object, sent: object, /) -> None:
            threads.append(("begun", threading.get_ident()))

        def done(self, key: object, message: object, begun: object, error: object, /) -> None:
            threads.append(("done", threading.get_ident()))

    with Pool(worker_of(kind), observe=Where(), start="on_demand") as pool:
        pool.dispatch("a", "x")

    (_, sender), (_, begins), (_, ends) = threads
    assert sender == threading.get_ident()
    assert begins == ends != sender


_where: Final = contextvars.ContextVar("_where", default="nowhere")


class Binding(Observer):
    """Sets a variable while a message is handled, to what the sender has."""

    def sent(self, key: object, message: object, /) -> str:
        return _where.get()

    def begun(self, key: object, message: object, sent: str, /) -> contextvars.Token[str]:
        return _where.set(f"from {sent}")

    def done(
        self, key: object, message: object, begun: contextvars.Token[str], error: object, /
    ) -> None:
        _where.reset(begun)


@both_kinds
def test_what_begun_sets_in_the_context_the_worker_sees_until_done(kind: Kind) -> None:
    seen = list[str]()

    def generator(_key: object) -> Generator[Any, Any]:
        seen.append(_where.get())
        try:
            while True:
                yield
                yield from sleep(0)
                seen.append(_where.get())
        finally:
            seen.append(_where.get())

    def function(_key: object, mailbox: Mailbox[Any]) -> None:
        seen.append(_where.get())
        for _ in mailbox:
            seen.append(_where.get())
        seen.append(_where.get())

    def send(name: str) -> None:
        _where.set(name)
        pool.dispatch("a", "x")

    worker: Any = generator if kind == "generator" else function
    with Pool[str, Any](worker, observe=Binding()) as pool:
        pool.initialize("a")
        for name in ("one", "two"):
            contextvars.copy_context().run(send, name)

    assert seen == ["nowhere", "from one", "from two", "nowhere"]


def test_a_wait_in_the_midst_of_a_message_does_not_end_it() -> None:
    observer = Recording()
    with Pool(worker_of("generator"), observe=observer, start="on_demand") as pool:
        pool.dispatch("a", "wait")
        pool.dispatch("a", "x")

    assert observer.of("begun", "done") == [*whole("a", "wait")[1:], *whole("a", "x")[1:]]


def test_a_message_in_whose_midst_a_worker_is_cancelled_is_done_with_that() -> None:
    observer = Recording()
    waits = threading.Event()

    def worker(_key: object) -> Generator[Any, Any]:
        yield
        waits.set()
        yield from sleep(3600)

    with Pool[str, Any](worker, observe=observer, start="on_demand") as pool:
        pool.dispatch("a", "x")
        waits.wait(15)
        pool.remove("a")

    (done,) = observer.of("done")
    assert done[-1].startswith("Cancelled(")


@pytest.mark.parametrize("error", ["", "ValueError('no')"], ids=["returns", "raises"])
def test_a_worker_that_ends_after_a_wait_in_the_midst_of_a_message_is_done_with_it(
    error: str,
) -> None:
    observer = Recording()

    def worker(_key: object) -> Generator[Any, Any]:
        yield
        yield from sleep(0)
        if error:
            raise ValueError("no")

    with Pool[str, Any](worker, observe=observer) as pool:
        pool.initialize("a", "last")

    assert observer.of("sent", "begun", "done") == whole("a", "last", error or None)


def test_a_worker_that_returns_has_handled_its_last_message_well() -> None:
    observer = Recording()

    def worker(_key: object) -> Generator[None, Any]:
        yield

    with Pool[str, Any](worker, observe=observer) as pool:
        pool.initialize("a", "last")

    assert observer.of("sent", "begun", "done") == whole("a", "last")


def test_a_worker_that_yields_what_is_no_wait_has_failed_with_the_message() -> None:
    observer = Recording()

    def worker(_key: object) -> Generator[Any, Any]:
        yield
        yield 7

    with Pool[str, Any](worker, observe=observer) as pool:
        pool.initialize("a", "x")
        until(lambda: observer.of("ended"))

    assert [each[:3] for each in observer.of("begun", "done")] == [
        ("begun", "a", "x"),
        ("done", "a", "x"),
    ]
    assert "it yielded 7" in observer.of("done")[0][-1]


@both_kinds
@pytest.mark.parametrize("inline", [False, True])
def test_calls_are_messages(
    kind: Kind,
    inline: bool,  # noqa: FBT001 - a parameter
) -> None:
    observer = Recording()

    async def ask_from_a_loop() -> int:
        return await aio.call(pool.ref("a"), Twice(3))

    with Pool(worker_of(kind), observe=observer, start="on_demand", inline_calls=inline) as pool:
        assert call(pool.ref("a"), Twice(1)) == 2
        pool.flush("a")
        assert call(pool.ref("a"), Twice(2)) == 4
        assert ask(pool.ref("a"), Twice(2)).result() == 4
        assert asyncio.run(ask_from_a_loop()) == 6

    told = observer.of("sent", "begun", "done")
    assert len(told) == 4 * 3
    for each in ("sent", "begun", "done"):
        assert [type(one[2]) for one in told if one[0] == each] == [Call] * 4
    assert all(one[3] == ("with", one[2]) for one in told if one[0] == "begun")


@both_kinds
@pytest.mark.parametrize("inline", [False, True])
def test_the_caller_of_a_call_that_a_worker_drops_is_told(
    kind: Kind,
    inline: bool,  # noqa: FBT001 - a parameter
) -> None:
    class Dropped(Command[int]):
        """The worker does not know it."""

    class Watching(Observer):
        def sent(self, key: object, message: object, /) -> int:
            return 1

        def done(self, key: object, message: object, begun: object, error: object, /) -> None:
            pass

    with Pool(worker_of(kind), observe=Watching(), start="on_demand", inline_calls=inline) as pool:
        for _ in range(2):
            with pytest.raises(WorkerGone, match="dropped"):
                call(pool.ref("a"), Dropped())
            pool.flush("a")


def test_a_call_that_is_handled_on_its_callers_thread_is_told_there() -> None:
    threads = set[int]()

    class Where(Observer):
        def begun(self, key: object, message: object, sent: object, /) -> None:
            threads.add(threading.get_ident())

    with Pool(worker_of("generator"), observe=Where(), inline_calls=True) as pool:
        pool.initialize("a")
        pool.flush("a")
        until(lambda: call(pool.ref("a"), Twice(1)) and threading.get_ident() in threads)


@both_kinds
def test_messages_at_a_time_are_sent_by_the_thread_that_asks_for_it(kind: Kind) -> None:
    observer = Recording()
    senders = list[int]()

    class Where(Observer):
        def sent(self, key: object, message: object, /) -> None:
            senders.append(threading.get_ident())

    with Pool(worker_of(kind), observe=[observer, Where()], start="on_demand") as pool:
        pool.dispatch_later(0.001, "a", "later")
        until(lambda: observer.of("done"))
        timer = pool.dispatch_every(0.001, "a", "again")
        until(lambda: len(observer.of("done")) > 3)
        timer.cancel()

    assert observer.of("sent") == [("sent", "a", "later"), ("sent", "a", "again")]
    assert senders == [threading.get_ident()] * 2
    begun = observer.of("begun")
    assert begun[0] == ("begun", "a", "later", ("with", "later"))
    assert set(begun[1:]) == {("begun", "a", "again", ("with", "again"))}


@pytest.mark.parametrize("mailbox", OWN, ids=mailbox_name)
def test_a_paused_worker_is_told_of_nothing_until_it_goes_on(mailbox: MailboxConfig) -> None:
    observer = Recording()

    with Pool(worker_of("generator"), observe=observer, mailbox=mailbox) as pool:
        pool.initialize("a")
        # Not only flushed: what comes in a turn that has not ended is handled in it.
        until(lambda: next(pool.workers()).state == "idle")
        assert pool.pause("a")
        pool.dispatch("a", "x")
        pool.dispatch("a", "y")
        assert not pool.flush("a", timeout=0.01)
        assert observer.of("sent", "begun") == [("sent", "a", "x"), ("sent", "a", "y")]
        assert pool.resume("a")

    assert [each[2] for each in observer.of("done")] == ["x", "y"]


@both_kinds
def test_a_call_that_is_handed_on_is_told_of_both_workers(kind: Kind) -> None:
    observer = Recording()

    def first(_key: object) -> Generator[None, Any]:
        while True:
            delegate(second.ref("b"), (yield))

    with (
        Pool[str, Any](worker_of(kind), observe=observer, start="on_demand") as second,
        Pool[str, Any](first, observe=observer, start="on_demand") as pool,
    ):
        assert call(pool.ref("a"), Twice(5)) == 10

    assert sorted(each[:2] for each in observer.of("sent", "begun", "done")) == [
        (event, key) for event in ("begun", "done", "sent") for key in ("a", "b")
    ]


def test_a_message_that_is_tried_again_is_told_with_what_was_said_as_it_was_sent() -> None:
    observer = Recording()
    tries = itertools.count()

    def worker(_key: object) -> Generator[None, Any]:
        while True:
            yield
            if next(tries) < 2:
                raise ValueError("again")

    with Pool[str, Any](
        worker, observe=observer, start="on_demand", restart=Restart(delay=0.001, in_hand="retry")
    ) as pool:
        pool.dispatch("a", "x")
        pool.dispatch("a", "y")

    assert observer.of("begun") == [("begun", "a", "x", ("with", "x"))] * 3 + [
        ("begun", "a", "y", ("with", "y"))
    ]
    assert [each[-1] for each in observer.of("done")] == ["ValueError('again')"] * 2 + [None] * 2


@both_kinds
def test_a_users_own_kind_of_mailbox_gets_plain_messages_and_carries_nothing_else(
    kind: Kind,
) -> None:
    observer = Recording()
    delivered = list[object]()

    with Pool(
        worker_of(kind), observe=observer, mailbox=Intercepting(deliver=delivered.append)
    ) as pool:
        pool.initialize("a")
        pool.dispatch("a", "x")
        pool.dispatch_later(0, "a", "y")
        until(lambda: len(observer.of("done")) == 2)

    assert delivered == ["x", "y"]
    assert observer.of("sent") == [("sent", "a", "x"), ("sent", "a", "y")]
    assert observer.of("begun") == [("begun", "a", "x", None), ("begun", "a", "y", None)]


def test_what_a_function_receives_together_is_done_together() -> None:
    observer = Recording()
    go_on = threading.Event()

    def worker(_key: object, mailbox: Mailbox[Any]) -> None:
        go_on.wait(15)
        assert mailbox.receive_many(2) == [1, 2]
        assert mailbox.receive() == 3

    with Pool[str, Any](worker, observe=observer) as pool:
        pool.initialize("a", 1)
        pool.dispatch_many("a", [2, 3])
        go_on.set()

    assert [each[::2] for each in (one[:3] for one in observer.of("begun", "done"))] == [
        ("begun", 1),
        ("begun", 2),
        ("done", 2),
        ("done", 1),
        ("begun", 3),
        ("done", 3),
    ]


def test_a_future_of_a_function_begins_its_message_when_it_is_read() -> None:
    observer = Recording()

    def worker(_key: object, mailbox: Mailbox[Any]) -> None:
        future = mailbox.try_receive()
        assert future.result() == 1
        assert future.result() == future.try_now() == 1
        assert future.done()
        assert observer.of("begun", "done") == whole("a", 1)[1:2]
        assert mailbox.receive() == 2

    with Pool[str, Any](worker, observe=observer) as pool:
        pool.initialize("a", 1)
        pool.dispatch("a", 2)

    assert observer.of("begun", "done") == whole("a", 1)[1:] + whole("a", 2)[1:]


def test_a_future_that_another_thread_reads_gives_the_plain_message() -> None:
    observer = Recording()
    read = list[object]()

    def worker(_key: object, mailbox: Mailbox[Any]) -> None:
        future = mailbox.try_receive()
        run_together(lambda: read.append(future.result(timeout=15)))

    with Pool[str, Any](worker, observe=observer) as pool:
        pool.initialize("a", 1)

    assert read == [1]
    assert observer.of("begun", "done") == []


def test_a_loop_of_asyncio_in_a_function_gets_plain_messages() -> None:
    observer = Recording()
    received = list[object]()

    async def receive(mailbox: Mailbox[Any]) -> None:
        received.extend([message async for message in aio.messages(mailbox)])

    def worker(_key: object, mailbox: Mailbox[Any]) -> None:
        asyncio.run(receive(mailbox))

    with Pool[str, Any](worker, observe=observer) as pool:
        pool.initialize("a", 1)
        pool.dispatch("a", 2)

    assert received == [1, 2]
    assert observer.of("begun", "done") == whole("a", 1)[1:] + whole("a", 2)[1:]


@both_kinds
def test_a_message_is_kept_by_nobody_once_it_is_done(kind: Kind) -> None:
    class Message:
        pass

    class Looking(Observer):
        def sent(self, key: object, message: object, /) -> weakref.ref[Any]:
            return weakref.ref(message)

        def begun(self, key: object, message: object, sent: object, /) -> object:
            return sent

    done = list[object]()
    with Pool[str, Any](worker_of(kind), observe=Looking(), start="on_demand") as pool:
        message = Message()
        ref = weakref.ref(message, done.append)
        pool.dispatch("a", message)
        del message
        pool.dispatch("a", "x")
        pool.flush("a")
        gc.collect()
        until(lambda: not ref())


@both_kinds
@pytest.mark.racing
def test_each_message_is_begun_with_its_own(kind: Kind) -> None:
    """Keys start on demand, end as idle, are removed, and start again, as several threads send."""
    begun, done, dead = list[tuple[Any, Any]](), list[Any](), list[Any]()

    class Watching(Observer):
        def sent(self, key: object, message: object, /) -> object:
            return (key, message)

        def begun(self, key: object, message: object, sent: object, /) -> object:
            begun.append((sent, (key, message)))
            return sent

        def done(self, key: object, message: object, begun: object, error: object, /) -> None:
            done.append((begun, error))

    def send(sender: int) -> None:
        for number in range(300):
            pool.dispatch(number % 3, (sender, number))
            if sender == 0 and number % 20 == 0:
                pool.remove(number % 3, drain=number % 40 == 0)

    with Pool[int, Any](
        worker_of(kind),
        observe=Watching(),
        start="on_demand",
        idle_timeout=0.001,
        on_dead_letter=lambda letter: dead.append((letter.key, letter.message)),
    ) as pool:
        run_together(*(lambda sender=sender: send(sender) for sender in range(3)))

    assert all(sent == handled for sent, handled in begun)
    assert sorted([handled for _, handled in begun] + dead) == sorted(
        (number % 3, (sender, number)) for sender in range(3) for number in range(300)
    )
    assert sorted(done) == sorted((handled, None) for _, handled in begun)


def test_several_waits_in_the_midst_of_a_message_do_not_end_it() -> None:
    observer = Recording()

    def worker(_key: object) -> Generator[Any, Any]:
        while True:
            yield
            yield from sleep(0)
            observer.events.append(("goes on",))
            yield from sleep(0)
            observer.events.append(("goes on",))

    with Pool[str, Any](worker, observe=observer, start="on_demand") as pool:
        pool.dispatch_many("a", ["x", "y"])

    (_, *x), (_, *y) = whole("a", "x"), whole("a", "y")
    waits = [("goes on",)] * 2
    assert observer.of("begun", "goes on", "done") == [
        *(x[0], *waits, x[1]),
        *(y[0], *waits, y[1]),
    ]


def test_a_worker_that_is_cancelled_as_it_sets_up_was_in_the_midst_of_no_message() -> None:
    observer = Recording()
    waits = threading.Event()

    def worker(_key: object) -> Generator[Any, Any]:
        waits.set()
        yield from sleep(3600)
        yield

    with Pool[str, Any](worker, observe=observer) as pool:
        pool.initialize("a")
        assert waits.wait(15)
        pool.remove("a")

    assert observer.of("begun", "done") == []
    assert observer.of("ended") == [("ended", "a", "removed")]


@pytest.mark.parametrize("kind", ["generator", "function"])
def test_what_a_handler_raised_in_a_worker_that_is_called_is_not_told_of_its_caller(
    kind: str,
) -> None:
    observer = Recording()

    def fail(_: object) -> None:
        raise ValueError("no")

    def ask(_message: object) -> None:
        with pytest.raises(CallFailed):
            call(inner.ref("b"), Twice(1))

    def generator(_key: str) -> Generator[None, object]:
        while True:
            ask((yield))

    def function(_key: str, mailbox: Mailbox[object]) -> None:
        for message in mailbox:
            ask(message)

    worker: Any = generator if kind == "generator" else function
    with (
        Pool[str, Any](server(lambda _: fail), start="on_demand", inline_calls=True) as inner,
        Pool[str, Any](worker, start="on_demand", observe=observer) as outer,
    ):
        for number in range(3):  # the first one starts the worker that is called
            outer.dispatch("a", number)

    assert [error for *_, error in observer.of("done")] == [None] * 3


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "after a wait"])
@pytest.mark.parametrize("returns", [False, True])
def test_what_a_handler_raised_is_told_of_its_message(waits: bool, returns: bool) -> None:  # noqa: FBT001 - of a test
    observer = Recording()

    def fail(_: object) -> None:
        raise ValueError("no")

    def worker(key: str) -> Generator[Any, Any]:
        serving = server(lambda _: fail)(key)
        next(serving)
        request = yield
        if waits:
            yield from sleep(0)
        serving.send(request)
        del request
        if not returns:
            yield

    with Pool[str, Any](worker, observe=observer) as pool:
        pool.initialize("a")
        with pytest.raises(CallFailed):
            call(pool.ref("a"), Twice(1), timeout=15)

    ((_, _, _, _, error),) = observer.of("done")
    assert error == "ValueError('no')"
