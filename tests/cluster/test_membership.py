"""What a pool does where Dask loses a node that is starting: the membership alone.

The client is a stand-in: what a real one does at these moments depends on who is faster.
"""

import logging
from typing import Any

import pytest

from threadpool_mb.cluster import membership as membership_module
from threadpool_mb.cluster.membership import Membership
from threadpool_mb.cluster.own_threads import OwnThreads

A = "tcp://a"
B = "tcp://b"
C = "tcp://c"


class FakeFuture:
    """A task, in the state that the test gives it."""

    def __init__(self) -> None:
        self.status = "pending"
        self.key = "key"

    def done(self) -> bool:
        """Return whether it has ended, in whatever way."""
        return self.status != "pending"


class FakeClient:
    """Submits tasks that stay as the test wants them."""

    status = "running"

    def __init__(self) -> None:
        self.submitted: dict[str, FakeFuture] = {}
        self.there: dict[str, str] | Exception = {A: "running", B: "running"}
        self.given_back: list[FakeFuture] = []

    def submit(self, *_: object, workers: list[str], **options: object) -> FakeFuture:
        """Return a task that has not ended."""
        del options
        future = self.submitted[workers[0]] = FakeFuture()
        return future


class Owner:
    """What a link asks of its owner."""

    def __init__(self) -> None:
        self.threads = OwnThreads("orders")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    """A stand-in for a client."""
    client = FakeClient()

    def addresses(_: object) -> dict[str, str]:
        if isinstance(client.there, Exception):
            raise client.there
        return client.there

    monkeypatch.setattr(membership_module, "node_addresses", addresses)
    monkeypatch.setattr(
        membership_module, "give_back", lambda _, future: client.given_back.append(future)
    )
    return client


def _any(value: object) -> Any:  # noqa: ANN401 - it stands in for a client
    return value


def _actor_or_error(_: object, future: FakeFuture, *_more: object) -> object:
    if future.status == "error":
        raise LookupError("no such module there")
    return object()


def _membership(client: FakeClient) -> Membership:
    membership = Membership("orders", _any(client), b"", b"", batch=1, batch_time=0, credits=1)
    for address in (A, B):
        membership.begin(address)
    return membership


def test_a_node_whose_dask_worker_goes_as_it_starts_is_given_back(client: FakeClient) -> None:
    membership = _membership(client)
    future = client.submitted[A]
    client.there = {A: "closing", B: "running"}

    assert membership.look() == [B]

    assert client.given_back == [future]
    membership.begin(A)
    assert client.submitted[A] is not future  # another one, should it come back


def test_the_dask_workers_are_those_that_were_seen_last_where_the_scheduler_is_silent(
    client: FakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    membership = _membership(client)
    assert membership.look() == [A, B]
    client.there = OSError("no way there")

    assert membership.look() == [A, B]

    assert client.given_back == []
    assert "orders: the scheduler does not answer: OSError: no way there" in caplog.text


def test_a_dask_worker_on_which_a_node_has_failed_gets_no_other(
    client: FakeClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.ERROR)
    membership = Membership("orders", _any(client), b"", b"", batch=1, batch_time=0, credits=1)
    owner: Any = Owner()
    for address in (C, A, B):
        membership.begin(address)
    client.submitted[C].status = "finished"
    for address in (A, B):
        client.submitted[address].status = "error"
    monkeypatch.setattr(membership_module, "actor_of", _actor_or_error)
    client.there = {A: "running", C: "running"}  # B has failed since it is gone

    # The one that was there before the failure is not left without its threads.
    assert [link.address for link in membership.started(owner)] == [C]

    assert "orders: no node on the Dask worker tcp://a" in caplog.text
    assert "tcp://b" not in caplog.text
    client.submitted.clear()
    for address in (A, B, C):
        membership.begin(address)
    assert list(client.submitted) == [B]


def test_a_node_that_is_lost_as_it_has_started_is_begun_again(client: FakeClient) -> None:
    membership = _membership(client)
    owner: Any = Owner()
    client.submitted[A].status = "lost"

    assert membership.started(owner) == []

    client.submitted.clear()
    for address in (A, B):
        membership.begin(address)
    assert list(client.submitted) == [A]
    assert membership.starting


def test_a_dask_worker_has_a_node_from_before_it_starts_until_it_is_given_back(
    client: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    membership = Membership("orders", _any(client), b"", b"", batch=1, batch_time=0, credits=1)
    seen: list[bool] = []
    submit = client.submit

    def submitting(*arguments: object, workers: list[str], **options: object) -> FakeFuture:
        # It is to be freed just now, after it was looked whether it is.
        membership.vacate(A)
        seen.append(membership.has(A))
        return submit(*arguments, workers=workers, **options)

    def started(*_: object) -> object:
        seen.append(membership.has(A))
        return object()

    monkeypatch.setattr(client, "submit", submitting)
    monkeypatch.setattr(membership_module, "actor_of", started)
    assert not membership.has(A)

    membership.begin(A)
    assert membership.has(A)
    client.submitted[A].status = "finished"
    owner: Any = Owner()
    (link,) = membership.started(owner)
    assert membership.has(A)
    assert seen == [True, True]

    membership.forget(link)
    assert not membership.has(A)
    membership.begin(A)
    assert not membership.has(A)
