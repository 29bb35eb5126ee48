"""Pools, calls, executors, mailboxes and brokers where gevent has patched the standard library.

Their threads are greenlets then. On a GIL build: gevent has no wheels for free-threaded ones.
"""

import pytest

from tests.clients.programs import SCENARIOS, run


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_works_where_gevent_has_patched(scenario: str) -> None:
    done = run("gevent", scenario)

    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
