"""Every kind of mailbox there is, as fixtures."""

import pytest

import threadpool_mb as mb
from tests.conformance.configs import EVERY, ROOM_FOR_TWO, SENDERS_WAIT
from tests.mailbox.staging import Stage


@pytest.fixture(params=EVERY, ids=repr)
def config(request: pytest.FixtureRequest) -> mb.MailboxConfig:
    """One of all configurations."""
    found: mb.MailboxConfig = request.param
    return found


@pytest.fixture(params=ROOM_FOR_TWO, ids=repr)
def roomy(request: pytest.FixtureRequest) -> mb.MailboxConfig:
    """One of the configurations whose mailboxes hold at least two messages."""
    found: mb.MailboxConfig = request.param
    return found


@pytest.fixture(params=SENDERS_WAIT, ids=repr)
def waiting(request: pytest.FixtureRequest) -> mb.MailboxConfig:
    """One of the configurations whose senders wait for room."""
    found: mb.MailboxConfig = request.param
    return found


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stage on which the mailboxes that the test creates play."""
    return Stage(monkeypatch)
