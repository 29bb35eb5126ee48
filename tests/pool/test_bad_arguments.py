"""What a pool refuses when it is made, and what it refuses to be asked."""

import functools
import operator
import re
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any

import pytest

from tests.helpers import DEADLINE, in_thread, until
from tests.pool.doubles import Boom, Intercepting, raising
from tests.pool.witness import Witness, finish, named
from threadpool_mb import (
    CatchAll,
    Command,
    Mailbox,
    NonBlocking,
    Pool,
    Unlimited,
    Waiting,
    WorkerExit,
    call,
    handles,
    serve,
)
from threadpool_mb.arguments import describe


@pytest.fixture(autouse=True)
def _no_pool_was_made() -> Iterator[None]:
    """Fail if a pool that was refused has left a thread."""
    yield

    assert named("refused") == []


def good(key: object, mailbox: object) -> None:
    """Do nothing."""


def one(key: object) -> None:
    """Take too little."""


def three(key: object, mailbox: object, more: object) -> None:
    """Take too much."""


def keyword_only(key: object, *, mailbox: object) -> None:
    """Take the mailbox in a way in which it is not passed."""


class OneArgument:
    """Takes too little, in every way."""

    def __init__(self, key: object) -> None:
        """Take a key."""

    def method(self, key: object) -> None:
        """Take a key."""

    def __call__(self, key: object) -> None:
        """Take a key."""


class TwoArguments:
    """Takes a key and a mailbox, in every way."""

    def __init__(self, key: object = None, mailbox: object = None) -> None:
        """Take a key and a mailbox."""

    def method(self, key: object, mailbox: object) -> None:
        """Take a key and a mailbox."""

    def __call__(self, key: object, mailbox: object) -> None:
        """Take a key and a mailbox."""


@pytest.mark.parametrize("worker", [None, 3, "worker", [good]], ids=repr)
def test_a_worker_that_cannot_be_called_is_refused(worker: Any) -> None:  # noqa: ANN401
    with pytest.raises(TypeError) as caught:
        Pool(worker, name="refused")

    assert str(caught.value) == f"worker must be callable with (key, mailbox), not {worker!r}"


@pytest.mark.parametrize(
    "worker",
    [
        one,
        three,
        keyword_only,
        lambda: None,
        lambda key: None,
        functools.partial(good, "key"),
        functools.partial(three),
        OneArgument,
        OneArgument(1).method,
        OneArgument(1),
        operator.neg,
    ],
)
def test_a_worker_that_takes_other_arguments_is_refused(worker: Any) -> None:  # noqa: ANN401
    with pytest.raises(TypeError, match=r"worker must take \(key, mailbox\), but .* takes "):
        Pool(worker, name="refused")


@pytest.mark.parametrize("worker", [one, lambda key: None, OneArgument(1).method])
def test_a_worker_of_a_key_alone_without_a_yield_is_told_what_is_missing(
    worker: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(TypeError, match=r"; a worker of a key alone has a `yield`, which takes"):
        Pool(worker, name="refused")


class Ask(Command[int]):
    """Asks for a number."""


class Handling:
    """Handles commands, for `mb.server`."""

    def __init__(self, key: object, more: object = None) -> None:
        """Be the handlers of a key."""

    @handles(Ask)
    def ask(self, command: Ask) -> int:
        """Return a number."""
        return 1


class HandlingAndServing(Handling):
    """Handles commands, and is a function worker."""

    def __call__(self, key: object, mailbox: Mailbox[Any]) -> None:
        """Be a worker."""
        serve(mailbox, self)


class ServingItself(Handling):
    """A function worker that is a class."""

    def __init__(self, key: object, mailbox: Mailbox[Any]) -> None:
        """Be a worker."""
        super().__init__(key)
        serve(mailbox, self)


@pytest.mark.parametrize("worker", [Handling, HandlingAndServing, Handling("key")])
def test_handlers_are_no_worker_and_the_error_names_what_makes_one_of_them(
    worker: Any,  # noqa: ANN401
) -> None:
    expected = ", whose methods handle commands: mb.server makes a worker of such a class"

    with pytest.raises(
        TypeError, match=f"^worker must be .*{re.escape(describe(worker) + expected)}$"
    ):
        Pool(worker, name="refused")


@pytest.mark.parametrize("worker", [HandlingAndServing("all keys"), ServingItself])
def test_what_handles_commands_may_be_a_function_worker_as_well(
    worker: Any,  # noqa: ANN401
) -> None:
    with Pool[str, Any](worker, start="on_demand") as pool:
        assert call(pool.ref("a"), Ask(), timeout=DEADLINE) == 1


@functools.wraps(three)
def decorated(*args: object) -> None:
    """Pass more to `three` than it takes itself."""
    three(*args, "more")


@pytest.mark.parametrize(
    "worker",
    [
        good,
        lambda key, mailbox: None,
        lambda *args: None,
        lambda key, mailbox, more=None: None,
        functools.partial(three, more=1),
        functools.partial(three, "first"),
        TwoArguments,
        TwoArguments().method,
        TwoArguments(),
        decorated,
        max,
        [].insert,
        range,
    ],
)
def test_what_can_be_called_with_a_key_and_a_mailbox_or_does_not_tell_is_a_worker(
    witness: Witness, worker: Callable[[object, object], object]
) -> None:
    with witness.pool(worker) as pool:
        report = finish(pool)

    assert report.finished


def good_generator(key: object) -> Generator[None, object]:
    """Take messages."""
    while True:
        yield


def generator(key: object, mailbox: object) -> Iterator[None]:
    """Run nothing when it is called."""
    yield


async def coroutine(key: object, mailbox: object) -> None:
    """Run nothing when it is called."""


async def asynchronous_generator(key: object, mailbox: object) -> AsyncIterator[None]:
    """Run nothing when it is called."""
    yield


class CalledAs:
    """Callable objects that run nothing when they are called."""

    class Generator:
        """Called, makes a generator."""

        __call__ = generator

    class Coroutine:
        """Called, makes a coroutine."""

        __call__ = coroutine


@pytest.mark.parametrize(
    ("worker", "kind"),
    [
        (coroutine, "coroutine"),
        (CalledAs.Coroutine(), "coroutine"),
        (asynchronous_generator, "asynchronous generator"),
    ],
)
def test_a_function_that_would_run_nothing_when_called_is_refused_as_a_worker(
    worker: Any,  # noqa: ANN401
    kind: str,
) -> None:
    with pytest.raises(TypeError) as caught:
        Pool(worker, name="refused")

    expected = f"worker must be a plain function, not the {kind} function {describe(worker)}"
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    "worker",
    [generator, functools.partial(generator)],
    ids=["function", "partial"],
)
def test_a_generator_worker_that_takes_more_than_a_key_is_refused(
    worker: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(TypeError, match=r"worker must take \(key\), but .* takes \(key"):
        Pool(worker, name="refused")


@pytest.mark.parametrize("number", [0, -1, True, 2.5, "4"], ids=repr)
@pytest.mark.parametrize("name", ["max_threads", "throughput"])
def test_a_number_for_generator_workers_that_is_none_is_refused(
    name: str,
    number: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        Pool(good_generator, **{name: number})

    assert str(caught.value) == f"{name} must be an int of at least 1, not {number!r}"


@pytest.mark.parametrize("name", ["max_threads", "throughput"])
def test_a_number_for_generator_workers_is_refused_for_functions(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is for generator workers, not 2 for a function"):
        Pool(good, **{name: 2})  # type: ignore[arg-type]


def test_a_receive_timeout_is_refused_for_generator_workers() -> None:
    config = Waiting(1, deliver_timeout=None, receive_timeout=1)

    with pytest.raises(ValueError, match="can have no receive_timeout, as in Waiting"):
        Pool(good_generator, mailbox=CatchAll(config))


@pytest.mark.parametrize("config", [Unlimited, NonBlocking, 3, "Unlimited", []], ids=repr)
def test_what_is_no_mailbox_config_is_refused(config: Any) -> None:  # noqa: ANN401
    with pytest.raises(TypeError) as caught:
        Pool(good, mailbox=config, name="refused")

    expected = f"mailbox must be a mailbox config such as Unlimited(), not {config!r}"
    assert str(caught.value) == expected


@pytest.mark.parametrize("overflow", ["x", "", None, True], ids=repr)
def test_another_overflow_is_refused(overflow: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match="overflow must be") as caught:
        Pool(good, overflow=overflow, name="refused")

    assert str(caught.value) == f"overflow must be 'refuse' or 'remove_worker', not {overflow!r}"


@pytest.mark.parametrize("name", ["on_dead_letter", "on_worker_exit"])
def test_a_hook_that_cannot_be_called_is_refused(name: str) -> None:
    hook: dict[str, Any] = {name: "hook"}

    with pytest.raises(TypeError) as caught:
        Pool(good, name="refused", **hook)

    assert str(caught.value) == f"{name} must be callable with ({name[3:]}), not 'hook'"


def test_a_mailbox_config_whose_create_raises_raises_out_of_initialize_and_loses_nothing(
    witness: Witness,
) -> None:
    error = Boom()

    with witness.pool(mailbox=Intercepting(create=raising(error)), name="io") as pool:
        with pytest.raises(Boom) as caught:
            pool.initialize("a", "message")

        assert caught.value is error
        assert "a" not in pool
        assert pool.stats().threads == 1
        assert witness.dead == []


@pytest.mark.parametrize("timeout", [float("nan"), "1", True], ids=repr)
@pytest.mark.parametrize("method", ["join", "drain"])
def test_a_bad_timeout_is_refused_and_changes_nothing(
    witness: Witness,
    method: str,
    timeout: Any,  # noqa: ANN401
) -> None:
    with witness.pool() as pool:
        pool.initialize("a")

        with pytest.raises(ValueError, match="timeout must be seconds") as caught:
            getattr(pool, method)(timeout=timeout)

        assert repr(timeout) in str(caught.value)
        assert pool.stats().state == "running"
        pool.dispatch("a", 1)
        finish(pool)

    assert witness.handled == [("a", 1)]


def test_a_timeout_that_has_run_out_is_one_of_no_seconds(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "stuck")

        joined = pool.join(timeout=-1)
        running = pool.stats().state
        drained = pool.drain(timeout=-1)
        gate.open()

    assert (joined.finished, running, drained.finished) == (False, "running", False)


def test_join_on_a_workers_thread_raises_and_changes_nothing(witness: Witness) -> None:
    errors: list[RuntimeError] = []

    def join() -> None:
        with pytest.raises(RuntimeError) as caught:
            pool.join()
        errors.append(caught.value)

    with witness.pool(name="io") as pool:
        pool.initialize("a", join)
        pool.dispatch("a", 1)
        finish(pool)

    assert "cannot be joined from" in str(errors[0])
    assert witness.thread_name("io", "a") in str(errors[0])
    assert "would wait for itself" in str(errors[0])
    assert witness.handled == [("a", 1)]
    assert witness.ended == [("a", None)]


def test_drain_on_a_workers_thread_raises_before_it_closes_the_pool(witness: Witness) -> None:
    drained = threading.Event()

    def drain() -> None:
        with pytest.raises(RuntimeError, match="would wait for itself"):
            pool.drain(timeout=1)
        drained.set()

    with witness.pool() as pool:
        pool.initialize("a", drain)
        assert drained.wait(15)
        pool.dispatch("a", 1)
        finish(pool)

    assert witness.handled == [("a", 1)]


def test_join_in_the_exit_hook_raises_and_is_logged(
    witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    with witness.pool(on_worker_exit=lambda exit_: pool.join(), name="io") as pool:
        pool.initialize("a", 1)
        finish(pool)

    assert witness.handled == [("a", 1)]
    assert "cannot be joined from" in caplog.text
    assert witness.thread_name("io", "a") in caplog.text


def test_join_in_the_dead_letter_hook_on_a_workers_thread_raises_and_is_logged(
    witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    with witness.pool(on_dead_letter=lambda letter: pool.join(), name="io") as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)
        pool.remove("a")
        gate.open()
        report = finish(pool)

    assert report.dead_letters == {"worker removed": 1}
    assert "cannot be joined from" in caplog.text
    assert witness.thread_name("io", "a") in caplog.text


def test_a_with_block_in_a_worker_of_the_same_pool_raises_and_loses_nothing_silently(
    witness: Witness,
) -> None:
    def use() -> None:
        with pool:
            pass

    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", use)
        pool.dispatch("a", 1)
        pool.initialize("b", 2)
        until(lambda: witness.handled)
        gate.open()
        report = pool.join()

    errors = dict(witness.ended)
    assert isinstance(errors["a"], RuntimeError)
    assert errors["b"] is None
    assert witness.dead == [("a", 1, "worker failed")]
    assert report.finished


def test_a_worker_may_join_another_pool(witness: Witness) -> None:
    exits: list[WorkerExit[str]] = []

    with witness.pool(name="outer") as pool:

        def use_another() -> None:
            with Pool(good, name="inner", on_worker_exit=exits.append) as inner:
                inner.initialize("x")

        pool.initialize("a", use_another)
        finish(pool)

    assert witness.ended == [("a", None)]
    assert exits == [WorkerExit("x", 1, None, "drained")]


def test_join_from_many_threads_at_once_wakes_them_all(witness: Witness) -> None:
    with (
        witness.pool() as pool,
        in_thread(pool.join) as one_thread,
        in_thread(pool.join) as another,
    ):
        pool.initialize("a", 1)
        pool.close()

        assert one_thread.result().finished
        assert another.result().finished


def test_what_a_users_own_mailbox_raises_passes_though_it_looks_like_a_missing_key(
    witness: Witness,
) -> None:
    error = KeyError("a")
    with witness.pool(mailbox=Intercepting(deliver=raising(error)), name="io") as pool:
        pool.initialize("a")

        with pytest.raises(KeyError) as caught:
            pool.dispatch("a", 1)

    assert caught.value is error
    assert witness.dead == []


def test_a_mapping_is_not_dispatched_by_its_keys_though_these_are_pairs() -> None:
    taken: list[object] = []

    def worker(key: str) -> Generator[None, object]:
        while True:
            taken.append((yield))

    orders: Any = {("alice", "EUR"): 5}
    with Pool(worker, start="on_demand") as pool:
        with pytest.raises(TypeError, match=r"are the items\(\) of {\('alice', 'EUR'\): 5}"):
            pool.dispatch_all(orders)
        pool.dispatch_all(orders.items())

    assert taken == [5]
