"""What a generator worker's `with` over a `yield` sets holds in its turns and nowhere else."""

import contextlib
import decimal
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from structlog.contextvars import bind_contextvars, bound_contextvars, get_contextvars

import threadpool_mb as mb

TRACER = TracerProvider().get_tracer("tests")
TIMEOUT = 15


class Setting(NamedTuple):
    """Something that a `with` sets, and how to look at it."""

    enter: Callable[[str], AbstractContextManager[object]]
    """Enter it with a value that belongs to a key."""
    look: Callable[[], object]
    of: Callable[[str], object]
    """What is seen inside, for a key."""
    outside: object


@contextlib.contextmanager
def _attached(key: str) -> Generator[None]:
    token = context.attach(baggage.set_baggage("key", key))
    try:
        yield
    finally:
        # Logs an error, and goes on, if it is not in the context in which it was attached.
        context.detach(token)


SETTINGS = {
    "decimal": Setting(
        lambda key: decimal.localcontext(prec=40 + len(key)),
        lambda: decimal.getcontext().prec,
        lambda key: 40 + len(key),
        28,
    ),
    "structlog": Setting(
        lambda key: bound_contextvars(key=key),
        lambda: get_contextvars().get("key"),
        lambda key: key,
        None,
    ),
    "a span": Setting(
        TRACER.start_as_current_span,
        lambda: getattr(trace.get_current_span(), "name", None),
        lambda key: key,
        None,
    ),
    "baggage": Setting(_attached, lambda: baggage.get_baggage("key"), lambda key: key, None),
    "numpy": Setting(
        lambda key: np.errstate(divide="raise" if key == "a" else "ignore"),
        lambda: np.geterr()["divide"],
        lambda key: "raise" if key == "a" else "ignore",
        "warn",
    ),
}


@pytest.fixture(params=SETTINGS)
def setting(request: pytest.FixtureRequest) -> Setting:
    """What the workers hold."""
    return SETTINGS[request.param]


class Look(mb.Command[tuple[object, threading.Thread]]):
    """Asks a worker what it sees, and on which thread."""


class Block(mb.Command[None]):
    """Has a worker keep its thread until `go` is set."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()
        self.thread: threading.Thread | None = None


def _answer(command: Any, box: Any, look: Callable[[], object]) -> None:  # noqa: ANN401
    match command:
        case Look():
            box.reply((look(), threading.current_thread()))
        case Block():
            command.thread = threading.current_thread()
            command.begun.set()
            command.go.wait(TIMEOUT)
            box.reply(None)


def workers(setting: Setting) -> Callable[[str], Generator[None, mb.originals.Request]]:
    """Return a worker that holds the setting over its `yield`s, unless its key is "plain"."""

    def worker(key: str) -> Generator[None, mb.originals.Request]:
        with contextlib.nullcontext() if key.startswith("plain") else setting.enter(key):
            while True:
                request = yield
                _answer(request.command, request.reply_box, setting.look)

    return worker


def _look(pool: mb.Pool[str, mb.originals.Request], key: str) -> tuple[object, threading.Thread]:
    return mb.call(pool.ref(key), Look(), timeout=TIMEOUT)


def test_it_is_in_force_for_its_own_key_on_whichever_thread(setting: Setting) -> None:
    with mb.Pool(workers(setting), max_threads=3, inline_calls=False) as pool:
        for key in ("a", "bb", "plain", "plain 2"):
            pool.initialize(key)
        first = _look(pool, "a")
        blocks = [Block(), Block()]
        replies = []
        threads = {first[1]}
        # Each takes a thread away: what is looked at in between runs on one that is left.
        for block, key in zip(blocks, ("plain", "plain 2"), strict=True):
            replies.append(mb.ask(pool.ref(key), block))
            block.begun.wait(TIMEOUT)
            seen, thread = _look(pool, "a")
            assert seen == setting.of("a")
            threads.add(thread)
        for block in blocks:
            block.go.set()
        assert first[0] == setting.of("a")
        assert setting.look() == setting.outside


def test_it_moves_with_its_key_from_one_thread_to_another(setting: Setting) -> None:
    with mb.Pool(workers(setting), max_threads=2, inline_calls=False) as pool:
        for key in ("a", "bb", "plain", "plain 2"):
            pool.initialize(key)
        _, first = _look(pool, "a")
        # Both threads are taken, and the one on which "a" was not is let go: only that one is left.
        blocks = {key: Block() for key in ("plain", "plain 2")}
        for key, block in blocks.items():
            mb.ask(pool.ref(key), block)
            assert block.begun.wait(TIMEOUT)
        (other,) = (block for block in blocks.values() if block.thread is not first)
        other.go.set()

        seen, thread = _look(pool, "a")

        for block in blocks.values():
            block.go.set()
        assert thread is other.thread is not first
        assert seen == setting.of("a")


def test_no_other_key_sees_it_on_the_same_thread(setting: Setting) -> None:
    with mb.Pool(workers(setting), max_threads=1, inline_calls=False) as pool:
        for key in ("a", "bb", "plain"):
            pool.initialize(key)

        seen = {key: _look(pool, key)[0] for _ in range(3) for key in ("a", "plain", "bb")}

    assert seen == {"a": setting.of("a"), "bb": setting.of("bb"), "plain": setting.outside}


def test_its_caller_does_not_see_it_where_it_is_run_in_place(setting: Setting) -> None:
    with mb.Pool(workers(setting), max_threads=1, inline_calls=True) as pool:
        pool.initialize("a")
        _look(pool, "a")

        # Again until it was idle, and so run on this thread.
        for _ in range(1000):
            seen, thread = mb.call(pool.ref("a"), Look())
            if thread is threading.current_thread():
                break

        assert thread is threading.current_thread()
        assert seen == setting.of("a")
        assert setting.look() == setting.outside


def test_it_does_not_see_its_callers_where_it_is_run_in_place(setting: Setting) -> None:
    with mb.Pool(workers(setting), max_threads=1, inline_calls=True) as pool:
        pool.initialize("plain")
        _look(pool, "plain")

        with setting.enter("bb"):
            for _ in range(1000):
                seen, thread = mb.call(pool.ref("plain"), Look())
                if thread is threading.current_thread():
                    break

        assert thread is threading.current_thread()
        assert seen == setting.outside


def test_it_is_left_without_an_error_when_its_worker_ends(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[BaseException | None] = []

    with mb.Pool(
        workers(setting),
        max_threads=2,
        on_worker_exit=lambda ended: errors.append(ended.error),
    ) as pool:
        for key in ("a", "bb"):
            pool.initialize(key)
            _look(pool, key)

    assert errors == [None, None]
    # OpenTelemetry does not raise, it logs.
    assert caplog.messages == []


def test_what_a_worker_binds_for_good_stays_its_own() -> None:
    def worker(key: str) -> Generator[None, mb.originals.Request]:
        while True:
            request = yield
            bind_contextvars(**{key: len(get_contextvars())})
            _answer(request.command, request.reply_box, get_contextvars)

    with mb.Pool(worker, max_threads=2, inline_calls=False) as pool:
        for key in ("a", "b"):
            pool.initialize(key)

        seen = {key: _look(pool, key)[0] for key in ("a", "b")}

    assert seen == {"a": {"a": 0}, "b": {"b": 0}}
    assert get_contextvars() == {}


def test_a_span_of_a_worker_is_the_parent_of_what_its_messages_open() -> None:
    def worker(key: str) -> Generator[None, mb.originals.Request]:
        with TRACER.start_as_current_span("worker " + key) as outer:
            while True:
                request = yield
                with TRACER.start_as_current_span("message") as inner:
                    parent = getattr(inner, "parent", None)
                    same = parent is not None and parent.span_id == outer.get_span_context().span_id
                request.reply_box.reply((same, threading.current_thread()))

    with mb.Pool(worker, max_threads=2) as pool:
        for key in ("a", "b", "c"):
            pool.initialize(key)

        assert all(_look(pool, key)[0] for _ in range(20) for key in ("a", "b", "c"))
