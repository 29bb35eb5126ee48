"""Running a test in many orders, until it fails in one."""

from collections.abc import Callable
from typing import Final, final

from threadpool_mb.arguments import check_callable, check_limit, describe
from threadpool_mb.testing.worlds import fresh_worlds

__all__ = ["ExploredFailure", "explore", "replay"]

_LINES: Final = 200
"""How many lines of an order are shown in an error's text."""


@final
class ExploredFailure(AssertionError):
    """A test has failed in one of the orders in which `SeededPool.explore` has run it.

    What it has raised is the `__cause__`.
    """

    def __init__(self, text: str, seed: int, order: str) -> None:
        super().__init__(text)
        self.seed: Final = seed
        """The seed of the order."""
        self.order: Final = order
        """The order, as text."""


def explore(test: Callable[[int], object], *, n: int = 1000, first_seed: int = 0) -> int:
    """Run a test with one seed after the other; see `SeededPool.explore`."""
    __tracebackhide__ = True  # of pytest: what has failed is the test
    check_callable(test, "test", "seed")
    orders: set[str] = set()
    for seed in range(first_seed, first_seed + check_limit(n, "n")):
        with fresh_worlds(seed) as worlds:
            try:
                test(seed)
            except BaseException as error:
                if not _is_failure(error):
                    raise
                order = "\n".join(str(world.order) for world in worlds)
                raise _failure(error, seed, seed - first_seed + 1, order) from error
            if not worlds:
                raise RuntimeError(
                    f"the test {describe(test)} made no SeededPool: there is no order"
                )
            orders.add("\n".join(world.order.signature() for world in worlds))
    return len(orders)


def replay(test: Callable[[int], object], seed: int) -> None:
    """Run a test once more; see `SeededPool.replay`."""
    check_callable(test, "test", "seed")
    with fresh_worlds(seed) as worlds:
        try:
            test(seed)
        except BaseException as error:
            for world in worlds:
                error.add_note(_shortened(str(world.order)))
            raise


def _is_failure(error: BaseException) -> bool:
    """Return whether a test has failed: not if it was interrupted, or skips itself."""
    # `pytest.fail`, and a `pytest.raises` in which nothing is raised; pytest need not be there.
    if isinstance(error, BaseExceptionGroup):
        group: BaseExceptionGroup[BaseException] = error  # pyright: ignore[reportUnknownVariableType]
        return group.split(KeyboardInterrupt)[0] is None
    return isinstance(error, Exception | SystemExit) or type(error).__qualname__ == "Failed"


def _failure(error: BaseException, seed: int, number: int, order: str) -> ExploredFailure:
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    text = f"seed {seed} fails (order {number}): {what}\n{_shortened(order)}"
    return ExploredFailure(text, seed, order)


def _shortened(order: str) -> str:
    lines = order.splitlines()
    if len(lines) > _LINES:
        lines[: -_LINES + 2] = [lines[0], f"({len(lines) - _LINES + 1} lines before these)"]
    return "\n".join(lines)
