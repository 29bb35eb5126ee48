"""Messages to keys on a cluster."""

import functools
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

import threadpool_mb as mb
from tests.cluster.workers import GetAll, Where, collecting, logging_function, stuck
from tests.helpers import run_together, until
from threadpool_mb.cluster import ClusterPool


def test_each_key_gets_its_messages_in_order_and_once(client: Client, dead: list[Any]) -> None:
    with ClusterPool(collecting, client, on_dead_letter=dead.append) as pool:
        for number in range(50):
            for key in range(40):
                pool.dispatch(key, number)

        got = [mb.call(pool.ref(key), GetAll(), timeout=15) for key in range(40)]

    assert got == [list(range(50))] * 40
    assert dead == []


def test_messages_of_several_threads_each_keep_their_order(client: Client) -> None:
    with ClusterPool(collecting, client) as pool:

        def send(sender: int) -> None:
            for number in range(2000):
                pool.dispatch(number % 3, (sender, number))

        run_together(*[functools.partial(send, sender) for sender in range(3)])
        got = [mb.call(pool.ref(key), GetAll(), timeout=15) for key in range(3)]

    for key in range(3):
        for sender in range(3):
            numbers = [number for who, number in got[key] if who == sender]
            assert numbers == list(range(key, 2000, 3))


def test_keys_live_on_both_dask_workers(client: Client) -> None:
    with ClusterPool(collecting, client) as pool:
        where = {mb.call(pool.ref(key), Where(), timeout=15) for key in range(40)}

        # What is handled in a turn counts once that has ended; a reply, and a flush, come before.
        until(lambda: pool.stats().handled == 40)
        stats = pool.stats()

    assert len(where) == 2
    assert (stats.keys, stats.started) == (40, 40)


def test_messages_may_be_anything_that_can_be_pickled(client: Client) -> None:
    messages: list[Any] = [None, 1.5, b"x", ("a", [1]), {"a": {1}}, "x" * 100_000]
    with ClusterPool(collecting, client) as pool:
        assert pool.dispatch_many("key", messages) == len(messages)

        got = mb.call(pool.ref("key"), GetAll(), timeout=15)

    assert got == messages


def test_a_message_is_as_it_was_when_it_was_sent(client: Client) -> None:
    message = [1]
    with ClusterPool(collecting, client) as pool:
        pool.dispatch("key", message)
        message.append(2)

        got = mb.call(pool.ref("key"), GetAll(), timeout=15)

    assert got == [[1]]


def test_a_function_worker_gets_its_messages(client: Client, log: Path) -> None:
    worker = functools.partial(logging_function, log)
    with ClusterPool(worker, client) as pool:
        pool.dispatch_many("a", range(3))
        pool.flush(timeout=15)

        handled = log.read_text().split("\n")

    assert handled == ["a 0", "a 1", "a 2", ""]


def test_flush_waits_for_what_was_sent_before(client: Client) -> None:
    with ClusterPool(collecting, client) as pool:
        pool.dispatch_many("a", range(3000))

        assert pool.flush("a", timeout=15)
        assert pool.flush(timeout=15)
        until(lambda: pool.stats().handled == 3000)


def test_a_worker_that_fails_leaves_dead_letters_and_is_told(
    client: Client, dead: list[Any]
) -> None:
    exits: list[mb.WorkerExit[str]] = []
    with ClusterPool(
        collecting, client, on_dead_letter=dead.append, on_worker_exit=exits.append
    ) as pool:
        # In one batch: the second one waits in the mailbox of a worker that fails.
        pool.dispatch_many("a", [["x"], "fail", ("y", 1)])
        pool.flush(timeout=15)

    failed = [each for each in exits if each.cause == "failed"]
    assert [(each.key, each.message) for each in failed] == [("a", "fail")]
    assert isinstance(failed[0].error, ValueError)
    assert [(each.key, each.message, each.reason) for each in dead] in (
        [("a", ("y", 1), mb.DeadLetterReason.WORKER_FAILED)],
        [],  # it came after the worker's end, and has started another one
    )


def test_remove_tells_whether_the_key_had_a_worker(client: Client, dead: list[Any]) -> None:
    exits: list[mb.WorkerExit[str]] = []
    with ClusterPool(
        collecting, client, on_dead_letter=dead.append, on_worker_exit=exits.append
    ) as pool:
        pool.dispatch("a", 1)

        assert pool.remove("a", drain=True)
        assert not pool.remove("a")
        assert not pool.remove("b")
        assert mb.call(pool.ref("a"), GetAll(), timeout=15) == []

    assert [each.cause for each in exits] == ["drained", "drained"]
    assert dead == []


def test_a_full_mailbox_refuses_and_the_sender_is_told_by_a_dead_letter(
    client: Client, dead: list[Any], log: Path
) -> None:
    worker = functools.partial(stuck, log)
    with ClusterPool(
        worker, client, mailbox=mb.NonBlocking(2), on_dead_letter=dead.append, throughput=1
    ) as pool:
        pool.dispatch("a", 0)
        until(lambda: log.read_text() == "a 0\n")
        pool.dispatch_many("a", range(1, 5))
        until(lambda: len(dead) == 2)
        for number in range(3):
            log.with_name(f"go-{number}").touch()

    assert [(each.message, each.reason) for each in dead] == [
        (number, mb.DeadLetterReason.REFUSED) for number in (3, 4)
    ]
    assert log.read_text() == "a 0\na 1\na 2\n"


def test_a_message_that_is_tried_again_is_handled_or_dead_once(
    client: Client, dead: list[Any]
) -> None:
    restart = mb.Restart(delay=0.001, max_restarts=2, in_hand="retry")
    with ClusterPool(collecting, client, restart=restart, on_dead_letter=dead.append) as pool:
        pool.dispatch("a", "fail")
        assert pool.flush(timeout=15)
        stats = pool.stats()

    assert [(each.message, each.reason) for each in dead] == [
        ("fail", mb.DeadLetterReason.WORKER_FAILED)
    ]
    assert stats.restarted == 2


@pytest.mark.parametrize("credits", [1, 7])
def test_senders_wait_for_credits(client: Client, credits: int) -> None:  # noqa: A002 - as it is called
    most: list[int] = []
    with ClusterPool(collecting, client, credits=credits, batch=3) as pool:

        def send() -> None:
            for number in range(100):
                pool.dispatch("a", number)
                most.append(max(link.outbox.outstanding for link in pool._control.links()))

        run_together(send)
        got = mb.call(pool.ref("a"), GetAll(), timeout=15)

    assert got == list(range(100))
    assert max(most) <= credits


def test_who_finds_no_credits_in_time_is_told_so(
    client: Client, dead: list[Any], log: Path
) -> None:
    worker = functools.partial(stuck, log)
    with ClusterPool(worker, client, credits=1, on_dead_letter=dead.append) as pool:
        assert pool.dispatch("a", 1)

        assert not pool.remove("a", timeout=0)
        with pytest.raises(mb.CallTimedOut, match="not delivered within the timeout"):
            mb.call(pool.ref("a"), GetAll(), timeout=0.01)

        log.with_name("go-1").touch()

    assert log.read_text() == "a 1\n"
    assert not pool._control.asks._open
