"""Whatever is done to a `SeededPool`, in whatever order: each message has one fate, in order."""

import gc
import logging
import weakref
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import threadpool_mb as mb
from threadpool_mb.testing import SeededPool
from threadpool_mb.threads.here import here

SETTINGS = settings(max_examples=60, deadline=None)

keys = st.sampled_from("abc")
ops = st.one_of(
    st.tuples(st.sampled_from(["start", "remove", "drain", "pause", "resume"]), keys),
    st.tuples(st.just("send"), keys),
    st.tuples(st.just("send"), keys),
    st.tuples(st.sampled_from(["sleep", "fail", "return"]), keys),
    st.tuples(st.just("later"), keys),
    st.tuples(st.sampled_from(["run", "step", "advance"]), st.just("")),
)
options = st.fixed_dictionaries(
    {},
    optional={
        "start": st.just("on_demand"),
        "idle_timeout": st.just(3.0),
        "max_keys": st.just(2),
        "restart": st.sampled_from([mb.Restart(delay=1.0), mb.Restart(in_hand="retry")]),
        "rate": st.just(mb.Rate(2)),
        "message_ttl": st.just(5.0),
        "throughput": st.just(1),
        "pinned": st.just(value=True),
    },
)


class Scene:
    """A pool, what it was sent, and what has become of that."""

    def __init__(self, seed: int, **options: Any) -> None:  # noqa: ANN401
        self.sent: list[tuple[str, str]] = []
        self.handled: list[tuple[str, str]] = []
        self.failed = set[tuple[str, str]]()
        self.dead: list[tuple[str, str]] = []
        restart: mb.Restart | None = options.get("restart")
        # Then it comes again, or is a dead letter.
        self._retries = restart is not None and restart.in_hand == "retry"
        self.pool: SeededPool[str, str] = SeededPool(
            self._worker,
            seed=seed,
            may_fail=True,
            on_dead_letter=lambda letter: self.dead.append((str(letter.key), letter.message)),
            **options,
        )

    def _worker(self, key: str) -> Generator[Any, str]:
        while True:
            message = yield
            if message.startswith("fail") and (key, message) not in self.failed:
                self.failed.add((key, message))
                if not self._retries:
                    self.handled.append((key, message))
                raise ValueError(message)
            self.handled.append((key, message))
            if message.startswith("sleep"):
                yield from mb.sleep(1.5)
            if message.startswith("return"):
                return

    def do(self, op: tuple[str, str]) -> None:
        """Do something to the pool."""
        pool = self.pool
        what, key = op
        message = f"{what} {len(self.sent)}"
        match what:
            case "run":
                pool.run()
            case "step":
                pool.step()
            case "advance":
                pool.advance(1)
            case "start":
                pool.initialize(key)
            case "remove" | "drain":
                pool.remove(key, drain=what == "drain")
            case "pause":
                pool.pause(key)
            case "resume":
                pool.resume(key)
            case "later":
                self.sent.append((key, message))
                pool.dispatch_later(2, key, message)
            case _:
                self.sent.append((key, message))
                pool.dispatch(key, message)


@SETTINGS
@given(seed=st.integers(0, 1000), options=options, ops=st.lists(ops, max_size=40))
def test_each_message_has_one_fate_and_keys_keep_their_order(
    seed: int, options: dict[str, Any], ops: list[tuple[str, str]]
) -> None:
    scene = Scene(seed, **options)
    with scene.pool:
        for op in ops:
            scene.do(op)

    assert Counter(scene.handled) + Counter(scene.dead) == Counter(scene.sent)
    for key in "abc":
        now = [each for each in scene.sent if each[0] == key and not each[1].startswith("later")]
        handled = [each for each in scene.handled if each in now]
        assert handled == [each for each in now if each in handled]
    assert here.serving is None


@SETTINGS
@given(seed=st.integers(0, 1000), options=options, ops=st.lists(ops, max_size=40))
def test_the_same_seed_gives_the_same_order_whatever_is_done(
    seed: int, options: dict[str, Any], ops: list[tuple[str, str]]
) -> None:
    orders: list[str] = []
    for _ in range(2):
        scene = Scene(seed, **options)
        with scene.pool:
            for op in ops:
                scene.do(op)
        orders.append(f"{scene.pool.order} {scene.dead} {scene.pool.now}")

    assert orders[0] == orders[1]


def test_nothing_is_kept_of_a_pool_that_has_ended() -> None:
    class Message:
        pass

    def worker(key: str) -> Generator[None, Message]:
        while True:
            yield

    pool = SeededPool(worker)
    pool.initialize("a", Message())
    pool.drain(timeout=None)
    kept = weakref.ref(pool.order[1].message)
    assert kept() is not None
    del pool
    gc.collect()
    assert kept() is None


@pytest.fixture(autouse=True)
def _log_level() -> Generator[None]:
    logger = logging.getLogger("threadpool_mb")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)
