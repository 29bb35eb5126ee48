"""Generator workers: set-up, turns, ends, and the threads they share."""

import contextlib
import contextvars
import functools
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from tests.helpers import DEADLINE, until
from tests.insides import worker_of
from tests.points import interrupted_at_each_point
from tests.pool.doubles import Boom
from tests.pool.witness import Witness, finish
from threadpool_mb import Cancelled, Observer, Pool, PoolClosed, Unlimited, sleep
from threadpool_mb.line.inlet import IDLE

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class Follows(Observer):
    """Is told of each message, so that generators are wrapped."""

    def begun(self, key: object, message: object, sent: object) -> None:
        """Be told, and do nothing."""


@pytest.fixture
def witness() -> Witness:
    """Return a witness of generator workers."""
    return Witness("generator")


def test_set_up_runs_before_the_first_message_on_a_shared_thread(witness: Witness) -> None:
    seen: list[str] = []

    def worker(key: str) -> Generator[None, str]:
        seen.append(threading.current_thread().name)
        while True:
            seen.append((yield))

    with witness.pool(worker, name="io", max_threads=1) as pool:
        pool.initialize("a", "first")
        finish(pool)

    assert seen == ["io-shared-1", "first"]


def test_a_set_up_that_takes_long_holds_up_neither_senders_nor_other_keys(
    witness: Witness,
) -> None:
    gate = witness.gate()

    def worker(key: str) -> Generator[None, str]:
        if key == "slow":
            gate()
        while True:
            witness.handled.append((key, (yield)))

    with witness.pool(worker, max_threads=2) as pool:
        pool.initialize("slow", 1)
        gate.wait_until_reached()
        pool.initialize("quick", 2)
        until(lambda: witness.handled)

        assert witness.handled == [("quick", 2)]
        gate.open()
        finish(pool)

    assert witness.handled == [("quick", 2), ("slow", 1)]


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (lambda pool: pool.remove("a"), Cancelled),
        (lambda pool: pool.remove("a", drain=True), GeneratorExit),
        (lambda pool: pool.close(), GeneratorExit),
        (lambda pool: pool.cancel(), Cancelled),
    ],
    ids=["remove", "drain", "close", "cancel"],
)
def test_a_worker_is_ended_at_its_yield(
    witness: Witness, end: Callable[[Pool[str, str]], object], kind: type[BaseException]
) -> None:
    ends: list[object] = []

    def worker(key: str) -> Generator[None, str]:
        try:
            yield
        except BaseException as error:
            ends.append(type(error))
            raise
        finally:
            ends.append("finally")

    with witness.pool(worker) as pool:
        witness.start(pool, "a")

        end(pool)
        until(lambda: witness.exits)

    assert ends == [kind, "finally"]
    assert witness.ended == [("a", None)]


def test_a_worker_that_returns_ends_well_and_leaves_dead_letters(witness: Witness) -> None:
    def worker(key: str) -> Generator[None, str]:
        witness.handled.append((key, (yield)))

    with witness.pool(worker) as pool:
        gate = witness.gate()
        pool.initialize("a", gate)
        pool.dispatch("a", "left")
        finish(pool)

    assert witness.handled == [("a", gate)]
    assert witness.dead == [("a", "left", "worker ended")]
    assert witness.ended == [("a", None)]


def test_a_worker_that_returns_in_its_set_up_ends_well(witness: Witness) -> None:
    def worker(key: str) -> Generator[None, str]:
        if key != "a":
            yield

    with witness.pool(worker) as pool:
        pool.initialize("a")
        until(lambda: witness.exits)

    assert witness.ended == [("a", None)]


def test_a_worker_that_raises_in_its_set_up_fails(witness: Witness) -> None:
    error = Boom()

    def worker(key: str) -> Generator[None, str]:
        raise error
        yield

    with witness.pool(worker) as pool:
        pool.initialize("a", "left")
        until(lambda: witness.exits)

    assert witness.ended == [("a", error)]
    assert witness.dead == [("a", "left", "worker failed")]


@pytest.mark.parametrize(("drain", "ignored"), [(True, "GeneratorExit"), (False, "Cancelled")])
@pytest.mark.parametrize("observed", [False, True])
def test_a_worker_that_goes_on_when_it_is_ended_fails_and_is_told_where(
    witness: Witness, *, drain: bool, ignored: str, observed: bool
) -> None:
    def worker(key: str) -> Generator[Any, str]:
        with contextlib.suppress(GeneratorExit, Cancelled):
            yield
        yield from sleep(0)

    with witness.pool(worker, observe=Follows() if observed else None) as pool:
        witness.start(pool, "a")
        pool.remove("a", drain=drain)
        until(lambda: witness.exits)

    line = worker.__code__.co_firstlineno + 3
    assert str(witness.exits[0].error) == (
        f"the worker ignored {ignored}: it went on to its next yield, in line {line} of"
        f" {worker.__qualname__}; a worker that ends has no more turns, and cannot wait by"
        " `yield from` any more"
    )
    assert witness.exits[0].cause == "failed"


def test_a_runtime_error_of_a_workers_own_clean_up_is_reported_as_it_is(witness: Witness) -> None:
    error = RuntimeError("of its own")

    def worker(key: str) -> Generator[None, str]:
        try:
            yield
        finally:
            raise error

    with witness.pool(worker) as pool:
        witness.start(pool, "a")
        pool.remove("a", drain=True)
        until(lambda: witness.exits)

    assert witness.ended == [("a", error)]


@pytest.mark.parametrize("when", ["in its set-up", "for a message"])
def test_a_worker_that_yields_something_fails_with_a_clear_error_at_its_yield(
    witness: Witness, when: str
) -> None:
    ends: list[type[BaseException]] = []

    def worker(key: str) -> Generator[Any, str]:
        try:
            if when == "for a message":
                yield
            yield "something"
        except BaseException as error:
            ends.append(type(error))
            raise

    with witness.pool(worker) as pool:
        pool.initialize("a", "message")
        until(lambda: witness.exits)

    ((_, error),) = witness.ended
    assert isinstance(error, TypeError)
    assert "with `message = yield`, it yielded 'something'" in str(error)
    assert ends == [TypeError]


def test_what_yields_something_and_goes_on_is_closed(witness: Witness) -> None:
    ends: list[str] = []

    def worker(key: str) -> Generator[Any, str]:
        try:
            for _ in range(2):
                try:
                    yield "something"
                except TypeError:
                    ends.append("told")
        finally:
            ends.append("closed")

    with witness.pool(worker) as pool:
        pool.initialize("a")
        until(lambda: witness.exits)

    assert ends == ["told", "closed"]
    assert isinstance(witness.exits[0].error, TypeError)


class Called:
    """An object that makes a generator when it is called."""

    def __call__(self, key: str) -> Generator[None, Any]:
        """Call what comes."""
        while True:
            (yield)()

    method_that_yields = __call__


@functools.wraps(Called.__call__)
def _wrapping(key: str) -> Iterator[None]:
    return Called()(key)


@pytest.mark.parametrize(
    "worker",
    [
        Called(),
        Called().method_that_yields,
        functools.partial(lambda prefix, key: (yield from Called()(key)), "prefix"),
        _wrapping,
    ],
    ids=["object", "method", "partial", "decorated"],
)
def test_whatever_makes_a_generator_is_a_generator_worker(witness: Witness, worker: Any) -> None:  # noqa: ANN401
    done = threading.Event()

    with witness.pool(worker) as pool:
        pool.initialize("a", done.set)
        assert done.wait(DEADLINE)
        finish(pool)

    assert pool.stats().started == 1


def test_workers_that_block_get_as_many_threads_as_there_may_be(witness: Witness) -> None:
    together = threading.Barrier(5)

    def worker(key: int) -> Generator[None]:
        while True:
            yield
            together.wait(DEADLINE)

    with witness.pool(worker, max_threads=5) as pool:
        for key in range(5):
            pool.initialize(key, None)
        finish(pool)

    assert witness.ended == [(key, None) for key, _ in witness.ended]
    assert len(witness.exits) == 5


def test_there_are_never_more_threads_than_there_may_be(witness: Witness) -> None:
    gates = [witness.gate() for _ in range(3)]

    with witness.pool(max_threads=2) as pool:
        for key in range(3):
            pool.initialize(key, gates[key])
        gates[0].wait_until_reached()
        gates[1].wait_until_reached()

        assert pool.stats().threads == 3  # with the dispatcher
        gates[0].open()
        gates[2].wait_until_reached()
        gates[1].open()
        gates[2].open()
        finish(pool)


def test_a_hot_key_gives_way_after_as_many_messages_as_belong_into_a_turn(
    witness: Witness,
) -> None:
    with witness.pool(max_threads=1, throughput=2) as pool:
        gate = witness.hold(pool, "holding the thread")
        for key in ("hot", "cold"):
            pool.initialize(key)
        pool.dispatch_many("hot", range(5))
        pool.dispatch("cold", 0)
        gate.open()
        finish(pool)

    assert witness.handled == [
        ("hot", 0),
        ("hot", 1),
        ("cold", 0),
        ("hot", 2),
        ("hot", 3),
        ("hot", 4),
    ]


def test_workers_run_in_an_empty_context(witness: Witness) -> None:
    seen: list[str] = []

    def worker(key: str) -> Generator[None]:
        while True:
            yield
            seen.append(variable.get())

    def use_pool() -> None:
        variable.set("set by the pool's owner")
        with witness.pool(worker) as pool:
            pool.initialize("a", None)
            finish(pool)

    contextvars.copy_context().run(use_pool)

    assert seen == ["unset"]


def test_a_batch_reaches_its_worker_in_order_and_is_counted(witness: Witness) -> None:
    with witness.pool() as pool:
        pool.initialize("a")

        taken = pool.dispatch_many("a", range(1000))
        finish(pool)

    assert taken == 1000
    assert witness.handled == [("a", number) for number in range(1000)]


def test_of_a_batch_for_an_unknown_key_each_message_is_a_dead_letter(witness: Witness) -> None:
    with witness.pool() as pool:
        assert pool.dispatch_many("nobody", [1, 2]) == 0
        finish(pool)

    assert witness.dead == [("nobody", 1, "unknown key"), ("nobody", 2, "unknown key")]


def test_a_batch_whose_worker_is_removed_meanwhile_goes_on_to_its_successor(
    witness: Witness,
) -> None:
    def messages() -> Iterator[int]:
        yield from (1, 2)
        pool.remove("a", drain=True)
        yield 3
        pool.initialize("a")
        yield from (4, 5)

    with witness.pool() as pool:
        pool.initialize("a")

        taken = pool.dispatch_many("a", messages())
        finish(pool)

    assert taken == 4
    assert witness.handled == [("a", number) for number in (1, 2, 4, 5)]
    assert [letter.message for letter in witness.letters] == [3]


def test_what_a_batch_raises_passes_and_what_was_taken_before_is_handled(witness: Witness) -> None:
    def messages() -> Iterator[int]:
        yield from (1, 2)
        raise Boom

    with witness.pool() as pool:
        pool.initialize("a")

        with pytest.raises(Boom):
            pool.dispatch_many("a", messages())
        finish(pool)

    assert witness.handled == [("a", 1), ("a", 2)]


def test_a_batch_for_a_closed_pool_raises(witness: Witness) -> None:
    with witness.pool() as pool:
        pool.initialize("a")
        pool.close()

        with pytest.raises(PoolClosed):
            pool.dispatch_many("a", [1])
        with pytest.raises(PoolClosed):
            pool.dispatch_all([("a", 1)])

    assert witness.handled == witness.dead == []


def test_pairs_go_to_the_workers_of_their_keys(witness: Witness) -> None:
    with witness.pool(max_threads=1) as pool:
        for key in "ab":
            pool.initialize(key)

        taken = pool.dispatch_all([("a", 1), ("b", 2), ("nobody", 3), ("a", 4)])
        finish(pool)

    assert taken == 3
    assert sorted(witness.handled) == [("a", 1), ("a", 4), ("b", 2)]
    assert witness.dead == [("nobody", 3, "unknown key")]


class _Interrupting:
    """A mailbox whose `deliver` is interrupted once it has taken "interrupted"."""

    limit = None

    def __init__(self) -> None:
        self._mailbox: Any = None

    def create(self, *, on_dead_letter: Callable[[Any], object] | None = None) -> Any:  # noqa: ANN401
        box = _Interrupting()
        box._mailbox = Unlimited().create(on_dead_letter=on_dead_letter)
        return box

    def new_input(self) -> "_Interrupting":
        return self

    def deliver(self, message: object, /) -> bool:
        self._mailbox.new_input().deliver(message)
        if message == "interrupted":
            raise KeyboardInterrupt
        return True

    def __len__(self) -> int:
        return len(self._mailbox)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the mailbox's
        return getattr(self._mailbox, name)


def test_a_message_that_a_users_mailbox_took_before_an_interrupt_is_handled_in_its_turn() -> None:
    witness = Witness("generator")
    with witness.pool(mailbox=_Interrupting()) as pool:
        pool.initialize("a")
        with pytest.raises(KeyboardInterrupt):
            pool.dispatch("a", "interrupted")
        pool.dispatch("a", "next")

        until(lambda: len(witness.handled) == 2)
        finish(pool)

    assert witness.handled == [("a", "interrupted"), ("a", "next")]


def test_a_worker_that_counts_on_a_thread_that_is_refused_gets_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    witness = Witness("generator")
    gate = witness.gate()
    start = threading.Thread.start
    refused: list[threading.Thread] = []

    def refuse_the_first(thread: threading.Thread) -> None:
        if "-shared-" in thread.name and not refused:
            refused.append(thread)
            gate()
            raise RuntimeError("can't start new thread")
        start(thread)

    with witness.pool() as pool:
        monkeypatch.setattr(threading.Thread, "start", refuse_the_first)
        pool.initialize("refused")
        gate.wait_until_reached()
        pool.initialize("b", 1)
        gate.open()

        until(lambda: witness.handled == [("b", 1)])
        finish(pool)

    assert [key for key, error in witness.ended if error is not None] == ["refused"]


def test_an_interrupt_wherever_a_message_wakes_a_worker_leaves_a_pool_that_can_be_ended() -> None:
    def prepare() -> tuple[Witness, Pool[Any, Any]]:
        witness = Witness("generator")
        pool: Pool[Any, Any] = Pool(witness.work_in_turns, max_threads=1)
        pool.initialize("a", 0)
        lane: Any = worker_of(pool, "a").mailbox  # type: ignore[union-attr]
        until(
            lambda: len(witness.handled) > 0 and lane.unattended == IDLE and not lane._busy.locked()
        )
        return witness, pool

    for witness, pool in interrupted_at_each_point(
        prepare, lambda scene: scene[1].dispatch("a", 1)
    ):
        taken = len(witness.handled) == 2
        pool.close()

        assert pool.join(timeout=DEADLINE).finished
        assert not taken or witness.handled == [("a", 0), ("a", 1)]
