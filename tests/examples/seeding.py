"""Examples whose pools take their turns on the test's thread, in an order that a seed decides."""

import contextlib
from collections.abc import Callable, Generator
from typing import Any

import pytest

import threadpool_mb as mb
from threadpool_mb.testing import SeededPool


@contextlib.contextmanager
def seeded_pools(*, may_fail: bool = False) -> Generator[list[SeededPool[Any, Any]]]:
    """Have the pools that are made in the block be seeded; yield a list of them.

    `may_fail`: whether that their workers fail belongs to the example.
    """
    pools: list[SeededPool[Any, Any]] = []

    def make(worker: Callable[..., Any], **options: Any) -> SeededPool[Any, Any]:  # noqa: ANN401
        pools.append(SeededPool(worker, may_fail=may_fail, **options))
        return pools[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mb, "Pool", make)
        yield pools
