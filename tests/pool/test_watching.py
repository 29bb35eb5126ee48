"""`stuck_after`: who is busy on one message for long."""

import faulthandler
import gc
import logging
import threading
import weakref
from collections.abc import Callable, Generator
from typing import Any, Final, Literal

import pytest

import threadpool_mb as mb
from tests.helpers import DEADLINE, Running, refusing_threads, until
from tests.insides import NEVER_BY_ITSELF, look_twice, watch_of
from threadpool_mb import Mailbox, Pool
from threadpool_mb.threads import stacks, watching
from threadpool_mb.threads.stacks import _FRAMES_ARE_SAFE, stack_of
from threadpool_mb.threads.watching import Busy, Watch

type Kind = Literal["function", "generator", "pinned"]

SOON: Final = 0.02


class Held:
    """A worker that holds what is called "stuck" until it is let go."""

    def __init__(self) -> None:
        self.inside = list[int]()
        self.handled = list[object]()
        self._shut = threading.Lock()
        self._shut.acquire()

    def handle(self, message: object) -> None:
        """Handle a message."""
        if message == "stuck":
            self.in_the_deep()
        self.handled.append(message)

    def in_the_deep(self) -> None:
        """Wait until it is let go: with no frame on top, from its first step to its last."""
        self.inside.append(threading.get_ident())
        assert self._shut.acquire(timeout=DEADLINE)
        self._shut.release()

    def let_go(self) -> None:
        """Let all go on."""
        self._shut.release()

    def in_turns(self, _key: str) -> Generator[None, object]:
        """Handle messages, in turns."""
        while True:
            self.handle((yield))

    def on_a_thread(self, _key: str, mailbox: Mailbox[object]) -> None:
        """Handle messages, on a thread."""
        for message in mailbox:
            self.handle(message)

    def pool(self, kind: Kind, **options: Any) -> Pool[str, object]:  # noqa: ANN401 - as a pool has them
        """Return a pool that watches."""
        options = {"stuck_after": SOON, "start": "on_demand"} | options
        if kind == "function":
            return Pool(self.on_a_thread, **options)
        return Pool(self.in_turns, pinned=kind == "pinned", max_threads=2, **options)


class Told(mb.Observer):
    """Notes who was stuck."""

    def __init__(self) -> None:
        self.stuck_workers = list[mb.StuckWorker[Any]]()

    def stuck(self, worker: mb.StuckWorker[Any]) -> None:
        """Note it."""
        self.stuck_workers.append(worker)


@pytest.fixture(params=["function", "generator", "pinned"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """A kind of worker."""
    return request.param  # type: ignore[no-any-return]


def test_who_is_busy_on_one_message_for_long_is_told_of_once(
    kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    held, told = Held(), Told()
    with held.pool(kind, name="io", observe=told, stuck_after=NEVER_BY_ITSELF) as pool:
        pool.dispatch_many("a", ["stuck", "behind"])
        until(lambda: held.inside)
        look_twice(watch_of(pool))
        # It is told of once, however many looks there are.
        seen = told.stuck_workers[0].seconds
        look_twice(watch_of(pool))
        stats = pool.stats()
        held.let_go()
        assert pool.flush(timeout=DEADLINE)
        until(lambda: pool.stats().handled == 2)
        until(lambda: not pool.stats().stuck)
        until(lambda: pool.stats().oldest == 0)

    (worker,) = told.stuck_workers
    lines = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert (worker.key, worker.incarnation) == ("a", stats.stuck[0].incarnation)
    assert worker.seconds == seen >= NEVER_BY_ITSELF
    assert worker.thread.startswith("io-'a'" if kind == "function" else "io-shared-")
    assert worker.stack.splitlines()[-1].endswith(" in in_the_deep")
    first = worker.stack.splitlines()[0]
    assert first.endswith("in on_a_thread" if kind == "function" else "in in_turns")
    (stuck,) = stats.stuck
    assert stuck.seconds > worker.seconds
    assert stats.oldest == pytest.approx(stuck.seconds)
    assert (stuck.stack, stuck.thread) == (worker.stack, worker.thread)
    assert stats.busy == 1
    assert stats.waiting == 1
    assert len(lines) == 1
    assert lines[0].startswith("io: the worker of key 'a' has been busy on one message for ")
    assert "in in_the_deep" in lines[0]


def test_who_goes_on_is_not_stuck(kind: Kind) -> None:
    told = Told()
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def take(_: object) -> None:
        begun.release()
        assert go_on.acquire(timeout=DEADLINE)

    def in_turns(_: str) -> Generator[None, object]:
        while True:
            take((yield))

    def on_a_thread(_: str, mailbox: Mailbox[object]) -> None:
        for message in mailbox:
            take(message)

    worker: Any = on_a_thread if kind == "function" else in_turns
    with Pool(
        worker, start="on_demand", stuck_after=3600, pinned=kind == "pinned", observe=told
    ) as pool:
        watch = watch_of(pool)
        # They all wait before the first one is over: it is one turn, one stretch of the mailbox.
        pool.dispatch_many("a", range(12))
        for number in range(11):
            assert begun.acquire(timeout=DEADLINE)
            watch._look(number * 3000.0)
            go_on.release()
        assert told.stuck_workers == []
        # The last one, at two looks.
        assert begun.acquire(timeout=DEADLINE)
        watch._look(40_000.0)
        watch._look(44_000.0)
        go_on.release()
    assert [each.seconds for each in told.stuck_workers] == [4000]


def test_who_waits_for_a_time_holds_no_thread_and_is_not_stuck() -> None:
    told = Told()

    def worker(_: str) -> Generator[Any, object]:
        while True:
            yield
            yield from mb.sleep(3600)

    with Pool(worker, start="on_demand", stuck_after=3600, observe=told) as pool:
        watch = watch_of(pool)
        pool.dispatch("a", 1)
        until(lambda: pool.stats().timers == 1)
        until(lambda: not list(watch._busy()))  # it sleeps before its turn is over
        for number in range(3):
            watch._look(number * 3000.0)
        pool.cancel()
    assert told.stuck_workers == []


def test_who_is_stuck_as_the_pool_drains_is_told_of() -> None:
    held, told = Held(), Told()
    with held.pool("generator", observe=told) as pool:
        pool.dispatch("a", "stuck")
        pool.close()
        until(lambda: told.stuck_workers)
        held.let_go()


def test_of_a_thousand_keys_the_one_that_is_stuck_is_named() -> None:
    held, told = Held(), Told()
    with held.pool("generator", observe=told) as pool:
        for key in range(1000):
            pool.dispatch(str(key), "stuck" if key == 617 else "quick")
        until(lambda: "617" in [each.key for each in told.stuck_workers])
        until(lambda: len(held.handled) == 999)
        until(lambda: pool.stats().busy == 1)
        stats = pool.stats()
        held.let_go()
    # On a busy machine others may take that long, too; they go on.
    assert [each.key for each in told.stuck_workers].count("617") == 1
    assert [each.key for each in stats.stuck] == ["617"]
    assert (stats.keys, stats.busy) == (1000, 1)


def test_a_message_is_not_kept_by_the_watch() -> None:
    class Message:
        pass

    held = Held()
    held.handled = []
    with held.pool("generator") as pool:
        message = Message()
        gone = weakref.ref(message)
        pool.dispatch("a", message)
        assert pool.flush(timeout=DEADLINE)
        held.handled.clear()
        del message
        until(lambda: [gc.collect()] and gone() is None)


@pytest.mark.parametrize("value", [0, -1, "5", True, float("nan")])
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="stuck_after must be seconds, more than 0, not "):
        Pool(Held().in_turns, stuck_after=value)  # type: ignore[arg-type]


def test_without_it_nobody_is_watched() -> None:
    held = Held()
    with held.pool("generator", stuck_after=None) as pool:
        pool.dispatch("a", "stuck")
        until(lambda: pool.stats().busy)
        assert (pool.stats().oldest, pool.stats().stuck) == (None, ())
        held.let_go()


def test_who_goes_on_as_it_is_looked_up_is_not_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    marks = [1]
    told = list[object]()

    def goes_on(_: int) -> str:
        marks[0] += 1
        return ""

    monkeypatch.setattr(watching, "stack_of", goes_on)
    watch = Watch("it", 4.0, lambda: [Busy(1, "a", 1, marks[0])], told.append)
    for now in range(1, 7):
        watch._look(float(now))
    assert told == []
    monkeypatch.setattr(watching, "stack_of", lambda _: "")
    for now in range(7, 13):
        watch._look(float(now))
    assert len(told) == 1


def test_what_is_told_holds_up_nothing_and_is_known_before(kind: Kind) -> None:
    held, gate = Held(), threading.Event()

    class Slow(mb.Observer):
        def stuck(self, worker: mb.StuckWorker[Any]) -> None:
            assert worker.key == "a"
            assert gate.wait(DEADLINE)

    with held.pool(kind, observe=Slow()) as pool:
        pool.dispatch("a", "stuck")
        until(lambda: [each.key for each in pool.stats().stuck] == ["a"])
        # The dispatcher starts workers, and does what is due.
        pool.dispatch("b", "quick")
        pool.dispatch_later(0, "b", "due")
        until(lambda: {"quick", "due"} <= set(held.handled))
        gate.set()
        held.let_go()


def test_a_server_whose_handler_raises_tells_it() -> None:
    done = list[BaseException | None]()

    class Done(mb.Observer):
        def done(
            self, key: object, message: object, begun: object, error: BaseException | None
        ) -> None:
            done.append(error)

    class Ask(mb.Command[int]):
        pass

    def refuse(_: Ask) -> int:
        raise ValueError("no")

    def serving(_: str, mailbox: Mailbox[Any]) -> None:
        mb.serve(mailbox, refuse)

    workers: list[Any] = [mb.server(lambda _: refuse), serving]
    for worker in workers:
        with Pool(worker, start="on_demand", observe=Done(), inline_calls=True) as pool:
            for timeout in (None, DEADLINE):
                with pytest.raises(mb.CallFailed):
                    mb.call(pool.ref("a"), Ask(), timeout=timeout)
    assert [str(each) for each in done] == ["no"] * 4


class Careless:
    """A key that can be compared with its own kind alone."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self.number == other.number  # type: ignore[attr-defined,no-any-return]


def test_keys_are_not_compared_by_the_watch() -> None:
    told = list[object]()
    keys: list[Any] = [Careless(1), "a", Careless(2)]
    now = [keys[0]]
    watch = Watch("it", 4.0, lambda: [Busy(1, now[0], 1, 7)], told.append)
    for number, now[0] in enumerate([*keys, keys[2], keys[2], keys[2]]):
        watch._look(3.0 * number)
    assert [each.key for each in told] == [keys[2]]  # type: ignore[attr-defined]
    assert watch.now()[1]


def test_a_look_that_raises_is_logged_and_the_next_one_comes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    raised = list[int]()

    def stack(_: int) -> str:
        raised.append(1)
        if len(raised) == 1:
            raise SystemExit
        return "  here\n"

    monkeypatch.setattr(watching, "stack_of", stack)
    held = Held()
    with held.pool("generator") as pool:
        pool.dispatch("a", "stuck")
        until(lambda: pool.stats().stuck)
        held.let_go()
    assert "a look at what is stuck raised" in caplog.text


@pytest.mark.parametrize("stops", [OSError, SystemExit])
def test_who_is_told_may_raise(stops: type[BaseException]) -> None:
    class Raises(mb.Observer):
        def stuck(self, worker: mb.StuckWorker[Any]) -> None:
            raise stops(worker.key)

    held = Held()
    with held.pool("generator", observe=Raises()) as pool:
        for key in ("a", "b"):
            pool.dispatch(key, "stuck")
        until(lambda: {each.key for each in pool.stats().stuck} == {"a", "b"})
        held.let_go()


def test_a_function_worker_keeps_its_count_from_life_to_life() -> None:
    def worker(_: str, mailbox: Mailbox[str]) -> None:
        for message in mailbox:
            if message == "raise":
                raise ValueError(message)

    with Pool(worker, stuck_after=3600, restart=mb.Restart(max_restarts=9, delay=0)) as pool:
        pool.initialize("a")
        for number in range(1, 4):
            pool.dispatch_many("a", ["x", "x", "raise"])
            until(lambda: pool.stats().restarted == number)  # noqa: B023 - in this round
            until(lambda: pool.stats().handled == 3 * number)  # noqa: B023


@pytest.mark.parametrize("why", ["no file", "not among a hundred"])
def test_a_stack_that_faulthandler_does_not_show_is_shown(
    why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise OSError(why)

    if why == "no file":
        monkeypatch.setattr(stacks.tempfile, "TemporaryFile", refuse)
    else:
        monkeypatch.setattr(faulthandler, "dump_traceback", lambda *_, **__: None)
    gate = threading.Event()

    def in_the_deep() -> None:
        assert gate.wait(DEADLINE)

    ident = list[int]()

    def run() -> None:
        ident.append(threading.get_ident())
        in_the_deep()

    running = Running(run)
    until(lambda: ident)
    # On 3.13t such frames cannot be looked at.
    shown = " in in_the_deep" if _FRAMES_ARE_SAFE else "not shown: on 3.13t"
    until(lambda: shown in stack_of(ident[0]))
    gate.set()
    running.result()


def test_a_stack_is_that_of_its_thread() -> None:
    gate = threading.Event()

    def deep(levels: int) -> None:
        if levels:
            deep(levels - 1)
        else:
            assert gate.wait(DEADLINE)

    found = list[int | None]()

    def run(levels: int) -> Callable[[], None]:
        def begin() -> None:
            found.append(threading.get_ident())
            deep(levels)

        return begin

    one = Running(run(3))
    until(lambda: len(found) == 1)
    two = Running(run(7))
    until(lambda: len(found) == 2)
    try:
        until(lambda: stack_of(found[0] or 0).count(" in deep") == 4)
        until(lambda: stack_of(found[1] or 0).count(" in deep") == 8)
        assert "not shown" in stack_of(1)
    finally:
        gate.set()
        one.result()
        two.result()


def test_a_pool_is_not_watched_where_the_system_starts_no_thread_for_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refuses = refusing_threads(monkeypatch, "io-watch")
    refuses.set()
    handled: list[object] = []

    def worker(_: str) -> Generator[None, object]:
        while True:
            handled.append((yield))

    with Pool(worker, name="io", stuck_after=SOON, start="on_demand") as pool:
        pool.dispatch("a", 1)

    assert handled == [1]
    assert "io is not watched: the system starts no thread: can't start new thread" in caplog.text
