"""`SeededPool.explore`: a test in many orders, until it fails in one; and that one again."""

from collections.abc import Generator
from typing import Any

import pytest

import threadpool_mb as mb
from tests.testing.workers import Log
from threadpool_mb.testing import ExploredFailure, SeededPool


class Shop:
    """A shop with a planted race: whether there is something left is asked before it is sold."""

    def __init__(self, stock: int) -> None:
        self.stock = stock
        self.sold: list[str] = []

    def customer(self, name: str) -> Generator[Any, str]:
        """Look, and buy with the next message."""
        while True:
            _ = yield
            there_is_one = self.stock > 0
            _ = yield
            if there_is_one:
                self.stock -= 1
                self.sold.append(name)


def sells_no_more_than_there_is(seed: int) -> None:
    shop = Shop(stock=2)
    with SeededPool(shop.customer, seed=seed) as pool:
        for name in ("ann", "bob", "cid"):
            pool.initialize(name)
            pool.dispatch_many(name, ["look", "buy"])
    assert shop.stock >= 0, f"{shop.sold} of 2"


def counts_all(seed: int) -> None:
    """Read and write with a wait in between: a race that shows in nearly each order."""
    count = [0]

    def worker(key: str) -> Generator[Any, str]:
        while True:
            yield
            before = count[0]
            yield from mb.sleep(0)
            count[0] = before + 1

    with SeededPool(worker, seed=seed) as pool:
        pool.initialize("a", "add")
        pool.initialize("b", "add")
    assert count == [2]


def never_all_of_one_between_two_of_the_other(seed: int) -> None:
    """A rare order: of 30 seeds, one."""
    log = Log()
    with SeededPool(log.worker, seed=seed, start="on_demand") as pool:
        pool.dispatch_all((key, number) for number in range(6) for key in "ab")
    text = "".join(f"{key}{number}" for key, number in log.handled)
    assert "a2b0b1b2b3b4b5a3" not in text


@pytest.mark.parametrize(
    "test", [sells_no_more_than_there_is, counts_all, never_all_of_one_between_two_of_the_other]
)
def test_a_planted_race_is_found_and_replayed_and_its_order_is_shown(test: Any) -> None:  # noqa: ANN401
    with pytest.raises(ExploredFailure) as found:
        SeededPool.explore(test, n=1000)

    failure = found.value
    assert isinstance(failure.__cause__, AssertionError)
    text = str(failure)
    assert text.startswith(f"seed {failure.seed} fails (order {failure.seed + 1}): AssertionError")
    assert f"the order of seed {failure.seed}:\n" in text
    assert text.endswith(failure.order)
    for _ in range(2):
        with pytest.raises(AssertionError) as again:
            SeededPool.replay(test, failure.seed)
        assert str(again.value).splitlines()[0] == str(failure.__cause__).splitlines()[0]
        assert again.value.__notes__ == [failure.order]
    with pytest.raises(AssertionError, match=r"\[2\]|of 2|b5a3"):
        test(failure.seed)


def test_the_order_of_the_race_shows_who_came_in_between() -> None:
    with pytest.raises(ExploredFailure) as found:
        SeededPool.explore(sells_no_more_than_there_is)
    lines = [line.split("pool-1  ")[1] for line in found.value.order.splitlines()[1:]]
    looks = [place for place, line in enumerate(lines) if line.endswith("handles 'look'")]
    buys = [place for place, line in enumerate(lines) if line.endswith("handles 'buy'")]

    assert len(looks) == len(buys) == 3
    assert looks[2] < buys[1]


def test_a_test_that_holds_in_each_order_says_how_many_there_were() -> None:
    seeds: list[int] = []

    def test(seed: int) -> None:
        seeds.append(seed)
        log = Log()
        with SeededPool(log.worker, start="on_demand") as pool:  # the seed comes by itself
            assert pool.seed == seed
            pool.dispatch_all((key, number) for number in (1, 2) for key in "ab")
        assert log.of("a") == [1, 2]

    orders = SeededPool.explore(test, n=50, first_seed=100)

    assert seeds == [*range(100, 150)]
    assert 5 < orders < 50


def test_pools_that_are_open_before_are_left_alone() -> None:
    log = Log()
    with SeededPool(log.worker, seed=3) as pool:
        pool.initialize("a", 1)
        SeededPool.explore(lambda seed: SeededPool(log.worker).drain(timeout=None), n=3)
        assert log.handled == []
        pool.run()
        assert log.handled == [("a", 1)]


def test_a_test_that_fails_by_itself_or_is_interrupted() -> None:
    def fails(_: int) -> None:
        pytest.fail("for a reason")

    with pytest.raises(ExploredFailure, match=r"seed 0 fails \(order 1\): Failed: for"):
        SeededPool.explore(fails)

    def skips(_: int) -> None:
        pytest.xfail("for a reason")

    with pytest.raises(pytest.xfail.Exception):
        SeededPool.explore(skips)

    def is_interrupted(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SeededPool.explore(is_interrupted)


def test_a_worker_that_fails_in_some_orders_only_is_found(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", logger="threadpool_mb")

    def test(seed: int) -> None:
        handled: list[str] = []

        def worker(key: str) -> Generator[None]:
            yield
            handled.append(key)
            if handled == ["c", "b", "a"]:
                raise ValueError("backwards")

        with SeededPool(worker) as pool:
            for key in "abc":
                pool.initialize(key, None)

    with pytest.raises(ExploredFailure, match="ValueError: backwards") as found:
        SeededPool.explore(test)
    assert [line[-1] for line in found.value.order.splitlines() if "handles" in line]
    assert "fails ValueError('backwards')" in found.value.order


def test_a_long_order_is_shortened_in_the_text() -> None:
    def test(seed: int) -> None:
        with SeededPool(Log().worker, start="on_demand") as pool:
            pool.dispatch_many("a", range(500))
        raise AssertionError

    with pytest.raises(ExploredFailure) as found:
        SeededPool.explore(test)
    lines = str(found.value).splitlines()
    assert len(lines) == 201
    assert lines[:3] == [
        "seed 0 fails (order 1): AssertionError",
        "the order of seed 0:",
        "(304 lines before these)",
    ]
    assert len(found.value.order.splitlines()) == 503
    assert lines[3:] == found.value.order.splitlines()[305:]


@pytest.mark.parametrize(
    ("test", "n", "error"),
    [(None, 1, TypeError), (lambda: None, 1, TypeError), (lambda seed: seed, 0, ValueError)],
)
def test_the_arguments_are_checked(test: Any, n: int, error: type[Exception]) -> None:  # noqa: ANN401
    with pytest.raises(error):
        SeededPool.explore(test, n=n)


def test_a_test_that_makes_no_seeded_pool_is_told_so() -> None:
    with pytest.raises(RuntimeError, match=r"made no SeededPool: there is no order"):
        SeededPool.explore(lambda _seed: None, n=3)


@pytest.mark.parametrize("other", [KeyError("of another"), SystemExit(1)], ids=repr)
def test_errors_in_a_group_are_a_failure_unless_an_interrupt_is_among_them(
    other: BaseException,
) -> None:
    def handles_one(seed: int) -> None:
        with SeededPool(Shop(1).customer, seed=seed) as pool:
            pool.initialize("ann", "look")

    def fails(seed: int) -> None:
        handles_one(seed)
        raise BaseExceptionGroup("several", [ValueError("of one worker"), other])

    def is_interrupted(seed: int) -> None:
        handles_one(seed)
        errors = [ValueError("of one worker"), KeyboardInterrupt()]
        raise BaseExceptionGroup("several", errors)

    with pytest.raises(ExploredFailure, match="several"):
        SeededPool.explore(fails)
    with pytest.raises(BaseExceptionGroup) as caught:
        SeededPool.explore(is_interrupted)

    assert not isinstance(caught.value, ExceptionGroup)
