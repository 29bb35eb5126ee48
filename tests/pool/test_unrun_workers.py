"""A worker that never ran has failed, and says what it was."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import pytest

from tests.helpers import until
from tests.pool.witness import Witness
from threadpool_mb import Mailbox, Pool


def unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate without `functools.wraps`."""

    def call(*arguments: object) -> object:
        return function(*arguments)

    return call


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate with `functools.wraps`."""

    @functools.wraps(function)
    def call(*arguments: object) -> object:
        return function(*arguments)

    return call


def generator(key: object, mailbox: object = None) -> Generator[None, Any]:
    """Wait for messages."""
    while True:
        yield


async def coroutine(key: object, mailbox: object) -> None:
    """Do nothing."""


async def asynchronous_generator(key: object, mailbox: object) -> AsyncIterator[None]:
    """Yield nothing."""
    yield


class Awaited:
    """Can be awaited."""

    def __await__(self) -> Generator[Any, Any]:
        yield


@pytest.mark.parametrize(
    ("worker", "what"),
    [
        (unwrapped(generator), "generator"),
        (lambda key, mailbox: generator(key), "generator"),
        (unwrapped(coroutine), "coroutine"),
        (wrapped(coroutine), "coroutine"),
        (unwrapped(asynchronous_generator), "asynchronous generator"),
        (wrapped(asynchronous_generator), "asynchronous generator"),
        (lambda key, mailbox: Awaited(), "awaitable"),
    ],
)
def test_a_function_worker_that_returns_what_would_have_to_be_run_has_failed(
    witness: Witness, worker: Callable[..., Any], what: str
) -> None:
    with witness.pool(worker) as pool:
        pool.initialize("a", "lost")
        until(lambda: witness.exits)

    error = witness.exits[0].error
    assert isinstance(error, TypeError)
    assert f"returned the {what} <" in str(error)
    assert "functools.wraps" in str(error)
    assert witness.exits[0].cause == "failed"
    assert witness.dead == [("a", "lost", "worker failed")]


@pytest.mark.parametrize("result", [0, "", [], asyncio, generator])
def test_what_else_a_function_worker_returns_is_its_own_affair(
    witness: Witness, result: object
) -> None:
    with witness.pool(lambda key, mailbox: result) as pool:
        pool.initialize("a")
        until(lambda: witness.exits)

    assert witness.ended == [("a", None)]


@pytest.mark.parametrize("made", [None, [], coroutine, Awaited()])
def test_a_generator_worker_that_returns_no_generator_has_failed(
    witness: Witness, made: object
) -> None:
    @functools.wraps(generator)
    def worker(key: str) -> object:
        return made(key, None) if made is coroutine else made

    with witness.pool(worker) as pool:
        pool.initialize("a", "lost")
        until(lambda: witness.exits)

    error = witness.exits[0].error
    assert isinstance(error, TypeError)
    assert "must return a generator, not" in str(error)
    assert witness.dead == [("a", "lost", "worker failed")]


def test_a_set_up_that_raises_stop_iteration_has_failed(witness: Witness) -> None:
    @functools.wraps(generator)
    def worker(key: str) -> object:
        return next(iter(()))

    with witness.pool(worker) as pool:
        pool.initialize("a", "lost")
        until(lambda: witness.exits)

    error = witness.exits[0].error
    assert isinstance(error, RuntimeError)
    assert isinstance(error.__cause__, StopIteration)
    assert witness.dead == [("a", "lost", "worker failed")]


def test_a_function_worker_that_raises_stop_iteration_has_failed(witness: Witness) -> None:
    def worker(key: str, mailbox: Mailbox[str]) -> None:
        next(iter(()))

    with witness.pool(worker) as pool:
        pool.initialize("a")
        until(lambda: witness.exits)

    assert isinstance(witness.exits[0].error, StopIteration)


class Proxy:
    """Answers to any name with itself, as some lazy proxies and mocks do."""

    def __getattr__(self, name: str) -> "Proxy":
        return self

    def __call__(self, *_: object) -> None:
        """Do nothing."""


def test_a_proxy_that_answers_to_every_name_is_a_function_worker(witness: Witness) -> None:
    with witness.pool(Proxy()) as pool:
        pool.initialize("a")
        until(lambda: witness.exits)

    assert witness.ended == [("a", None)]


def test_a_proxy_that_cannot_be_called_is_refused_by_a_type_error() -> None:
    class Uncallable:
        def __getattr__(self, name: str) -> object:
            return self

    with pytest.raises(TypeError, match="worker must be callable"):
        Pool(Uncallable())
