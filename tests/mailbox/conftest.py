"""A stage for the tests of the single kinds."""

import pytest

from tests.mailbox.staging import Stage


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stage on which the mailboxes that the test creates play."""
    return Stage(monkeypatch)
