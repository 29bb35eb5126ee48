"""What is bound in structlog's context while a message is handled."""

import asyncio
from collections.abc import Generator
from typing import Any

import pytest
import structlog
from structlog.contextvars import bind_contextvars, get_contextvars
from structlog.testing import capture_logs

import threadpool_mb as mb
from threadpool_mb import aio
from threadpool_mb.observers.structlog import Structlog


def test_pool_key_and_message_are_in_each_line_while_it_is_handled() -> None:
    def worker(key: str) -> Generator[Any, Any]:
        log = structlog.get_logger()
        log.info("begins")
        while True:
            log.info("handles", message_is=(yield))
            yield from mb.sleep(0)
            log.info("goes on")

    processors = [structlog.contextvars.merge_contextvars]
    with (
        capture_logs(processors=processors) as lines,
        mb.Pool[str, Any](worker, name="orders", observe=Structlog()) as pool,
    ):
        pool.initialize("a", 1)
        pool.dispatch("a", {"n": 2})

    bound = {"pool": "orders", "key": "a", "log_level": "info"}
    assert lines == [
        {"event": "begins", "log_level": "info"},
        {"event": "handles", "message_is": 1, "message": "1", **bound},
        {"event": "goes on", "message": "1", **bound},
        {"event": "handles", "message_is": {"n": 2}, "message": "{'n': 2}", **bound},
        {"event": "goes on", "message": "{'n': 2}", **bound},
    ]


@pytest.mark.parametrize("kind", ["generator", "function"])
def test_nothing_is_left_behind_and_what_was_bound_before_is_bound_again(kind: str) -> None:
    seen = list[dict[str, Any]]()

    def generator(_key: object) -> Generator[None, Any]:
        bind_contextvars(key="mine")
        try:
            while True:
                yield
                seen.append(get_contextvars())
        finally:
            seen.append(get_contextvars())

    def function(_key: object, mailbox: mb.Mailbox[Any]) -> None:
        bind_contextvars(key="mine")
        for _ in mailbox:
            seen.append(get_contextvars())
        seen.append(get_contextvars())

    worker: Any = generator if kind == "generator" else function
    with mb.Pool[int, Any](worker, name="orders", observe=Structlog()) as pool:
        pool.initialize(1, "x")

    assert seen == [{"pool": "orders", "key": "1", "message": "'x'"}, {"key": "mine"}]
    assert get_contextvars() == {}


def test_a_task_has_its_submitters_and_what_is_bound_of_itself() -> None:
    with mb.KeyedExecutor(1, thread_name_prefix="tasks", observe=Structlog(message=None)) as tasks:
        bind_contextvars(request=7)
        try:
            inside = tasks.submit_keyed("a", get_contextvars).result()
            without_key = tasks.submit(get_contextvars).result()
        finally:
            structlog.contextvars.clear_contextvars()
        after = tasks.submit(lambda: None).result()

    assert inside == {"request": 7, "pool": "tasks", "key": "a"}
    assert without_key == {"request": 7, "pool": "tasks"}
    assert after is None


def test_names_and_what_is_shown_can_be_chosen() -> None:
    seen = list[dict[str, Any]]()

    def worker(_key: object) -> Generator[None, Any]:
        yield
        seen.append(get_contextvars())

    observer = Structlog(pool=None, key="account", message="order", describe=type)
    with mb.Pool[int, Any](worker, observe=observer) as pool:
        pool.initialize(1, "x")

    assert seen == [{"account": int, "order": str}]


def test_a_function_that_leaves_its_loop_of_asyncio_with_a_message_in_hand_leaves_nothing() -> None:
    seen = list[dict[str, Any]]()

    async def receive(mailbox: mb.Mailbox[Any]) -> None:
        async for _ in aio.messages(mailbox):
            seen.append(get_contextvars())
            break

    def worker(_key: object, mailbox: mb.Mailbox[Any]) -> None:
        asyncio.run(receive(mailbox))
        seen.append(get_contextvars())

    with mb.Pool[str, Any](worker, name="loop", observe=Structlog()) as pool:
        pool.initialize("a", "x")

    assert seen == [{"pool": "loop", "key": "a", "message": "'x'"}, {}]
