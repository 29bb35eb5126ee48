"""Calls to workers on a cluster."""

import asyncio
import re
import threading
from typing import Any

import pytest
from distributed import Client

import threadpool_mb as mb
from tests.cluster.workers import GetAll, GetLock, Never, Raise, collecting, failing
from tests.helpers import run_together
from threadpool_mb.cluster import ClusterPool


def test_a_call_returns_the_reply(client: Client) -> None:
    with ClusterPool(collecting, client) as pool:
        pool.dispatch("a", 1)

        assert mb.call(pool.ref("a"), GetAll()) == [1]


def test_a_call_without_waiting_gives_a_reply_to_be(client: Client) -> None:
    with ClusterPool(collecting, client) as pool:
        replies = [mb.ask(pool.ref(key), GetAll()) for key in range(20)]

        assert [reply.result(timeout=15) for reply in replies] == [[]] * 20


def test_a_call_from_asyncio_returns_the_reply(client: Client) -> None:
    async def calls() -> list[object]:
        refs = [pool.ref(key) for key in range(20)]
        return list(await asyncio.gather(*[mb.aio.call(ref, GetAll()) for ref in refs]))

    with ClusterPool(collecting, client) as pool:
        assert asyncio.run(calls()) == [[]] * 20


def test_a_notice_comes_in_order_with_messages_and_calls(client: Client) -> None:
    class Hello(mb.Notice):
        pass

    with ClusterPool(collecting, client) as pool:
        ref = pool.ref("a")
        pool.dispatch("a", 1)
        mb.cast(ref, Hello())
        ref.deliver(2)
        got = mb.call(ref, GetAll(), timeout=15)

    assert [got[0], type(got[1]), got[2]] == [1, mb.Cast, 2]


def test_the_error_of_a_worker_that_fails_reaches_its_caller(client: Client) -> None:
    with ClusterPool(collecting, client) as pool, pytest.raises(mb.WorkerGone) as caught:
        mb.call(pool.ref("a"), Raise(), timeout=15)

    assert caught.value.key == "a"
    assert caught.value.started
    assert isinstance(caught.value.__cause__, LookupError)
    assert "asked to" in "".join(caught.value.__cause__.__notes__)


def test_a_reply_that_cannot_be_pickled_fails_its_call(client: Client) -> None:
    with ClusterPool(collecting, client) as pool, pytest.raises(mb.CallFailed) as caught:
        mb.call(pool.ref("a"), GetLock(), timeout=15)

    assert "pickle" in str(caught.value)


def test_a_call_that_is_not_answered_in_time_times_out(client: Client) -> None:
    with ClusterPool(collecting, client) as pool:
        with pytest.raises(mb.CallTimedOut):
            mb.call(pool.ref("a"), Never(), timeout=0.05)

        assert mb.call(pool.ref("a"), GetAll(), timeout=15) == []


def test_the_caller_of_a_worker_that_ends_without_an_answer_is_told(client: Client) -> None:
    with ClusterPool(collecting, client) as pool:
        reply = mb.ask(pool.ref("a"), Never())
        pool.dispatch("a", "end")

        with pytest.raises(mb.WorkerGone):
            reply.result(timeout=15)


def test_callers_on_several_threads_each_get_their_own_reply(client: Client) -> None:
    with ClusterPool(collecting, client) as pool:

        def calls(sender: int) -> None:
            for number in range(30):
                pool.dispatch((sender, number), number)
                assert mb.call(pool.ref((sender, number)), GetAll(), timeout=15) == [number]

        run_together(*[lambda sender=sender: calls(sender) for sender in range(4)])


def test_a_worker_here_can_hand_a_call_on_to_a_cluster(client: Client) -> None:
    with ClusterPool(collecting, client) as cluster:
        cluster.dispatch("a", 1)

        def front(key: str, mailbox: mb.Mailbox[mb.Call[object]]) -> None:
            for call in mailbox:
                mb.delegate(cluster.ref(key), call)

        with mb.Pool(front, start="on_demand") as pool:
            assert mb.call(pool.ref("a"), GetAll(), timeout=15) == [1]


def test_a_call_to_a_closed_pool_is_not_delivered(client: Client) -> None:
    with ClusterPool(collecting, client) as pool:
        ref = pool.ref("a")

    with pytest.raises(mb.CallNotDelivered):
        mb.call(ref, GetAll())


def test_the_callback_of_a_reply_is_called_once(client: Client) -> None:
    called: list[object] = []
    done = threading.Event()
    with ClusterPool(collecting, client) as pool:
        reply = mb.ask(pool.ref("a"), GetAll())
        reply.add_done_callback(lambda each: (called.append(each), done.set()))

        assert done.wait(15)

    assert called == [reply]


def test_an_error_that_the_client_cannot_unpickle_is_told_as_one_that_says_the_same(
    client: Client,
) -> None:
    exits: list[mb.WorkerExit[Any]] = []
    with ClusterPool(failing, client, on_worker_exit=exits.append) as pool:
        with pytest.raises(mb.WorkerGone, match="worker failed") as caught:
            mb.call(pool.ref("a"), GetAll(), timeout=15)
        pool.dispatch("b", 1)
        assert pool.flush(timeout=15)

    text = "OneSidedError: .*of a library that is only there"
    assert sorted(each.key for each in exits) == ["a", "b"]  # each of a node of its own
    for error in (caught.value.__cause__, *(each.error for each in exits)):
        assert isinstance(error, RuntimeError)
        assert re.search(text, str(error))
        assert "in failing" in error.__notes__[0]  # the traceback
