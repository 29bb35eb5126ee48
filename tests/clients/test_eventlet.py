"""Pools, calls, executors, mailboxes and brokers where eventlet has patched the standard library.

Their threads are greenlets then.
"""

import pytest

from tests.clients.programs import SCENARIOS, run


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_works_where_eventlet_has_patched(scenario: str) -> None:
    done = run("eventlet", scenario)

    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    # It warns of what it is, and of a lock that is not ours.
    assert "Traceback" not in done.stderr
