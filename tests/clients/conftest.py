"""Real libraries that use ours, in environments of their own: `tox -e clients,clients-gil`.

Not part of a normal run, which has none of them: `norecursedirs` in pyproject.toml. What
tests/conftest.py says holds here too: nothing is skipped, no thread is left behind, and the GIL
stays off on a free-threaded build.
"""

from collections.abc import Iterator

import pytest

import threadpool_mb as mb


@pytest.fixture
def executor() -> Iterator[mb.KeyedExecutor]:
    """An executor of two threads, which is shut down behind the test."""
    with mb.KeyedExecutor(max_workers=2, thread_name_prefix="ours") as executor:
        yield executor
