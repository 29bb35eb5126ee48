"""What tests of flow share."""

from collections.abc import Iterator

import pytest

from tests.pool.witness import Gate


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Return a gate that is opened at the end."""
    gate = Gate()
    yield gate
    gate.open()
