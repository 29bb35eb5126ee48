"""How workers come to life."""

import threading

import pytest

from tests.helpers import DEADLINE, leaving, until
from tests.pool.doubles import Boom, Intercepting, raising
from tests.pool.witness import Witness, finish, named
from threadpool_mb import Dispatch, Initialize, Mailbox, Pool


@pytest.mark.behaviour("PoolTest 3")
def test_initialize_runs_the_worker_on_another_thread_than_the_caller_and_the_dispatcher(
    witness: Witness,
) -> None:
    threads: list[threading.Thread] = []

    with witness.pool(lambda key, mailbox: threads.append(threading.current_thread())) as pool:
        assert pool.input.deliver(Initialize("a"))
        finish(pool)

    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()
    assert not threads[0].name.endswith("-dispatcher")


@pytest.mark.behaviour("PoolTest 1")
def test_an_error_of_a_mailbox_that_is_created_does_not_block_but_reaches_the_caller(
    witness: Witness,
) -> None:
    # The original's pool has a mailbox of its own, and cannot be made if that one's input cannot.
    # This one has none; a worker's mailbox is created by the caller of `initialize`.
    error = Boom()

    with witness.pool(mailbox=Intercepting(new_input=raising(error)), name="p") as pool:
        with pytest.raises(Boom) as caught:
            pool.input.deliver(Initialize("a", "first"))

        assert caught.value is error
        assert repr(pool) == "<Pool 'p' [0 workers | 0 threads | running]>"
        assert [thread.name for thread in named("p-")] == ["p-dispatcher"]


@pytest.mark.behaviour("PoolTest 2")
def test_an_error_on_the_way_of_a_message_reaches_its_sender_and_the_pool_lives_on(
    witness: Witness,
) -> None:
    # The original's pool ends when receiving from its own mailbox throws. This one receives
    # nothing: the sender carries the message out, and learns what that raises.
    error = Boom()

    def deliver(message: object) -> None:
        if message == "bad":
            raise error

    with witness.pool(mailbox=Intercepting(deliver=deliver)) as pool:
        pool.input.deliver(Initialize("a"))
        with pytest.raises(Boom) as caught:
            pool.input.deliver(Dispatch("a", "bad"))
        pool.input.deliver(Dispatch("a", "good"))
        finish(pool)

    assert caught.value is error
    assert witness.handled == [("a", "good")]


@pytest.mark.behaviour("PoolTest 4")
def test_an_initialize_whose_mailbox_could_not_be_created_can_be_tried_again(
    witness: Witness,
) -> None:
    tries: list[str] = []

    def create() -> None:
        tries.append("create")
        if len(tries) == 1:
            raise Boom

    with witness.pool(mailbox=Intercepting(create=create)) as pool:
        with pytest.raises(Boom):
            pool.initialize("a")
        after_the_first = "a" in pool, pool.stats().started
        assert pool.initialize("a")
        pool.dispatch("a", "message")
        finish(pool)

    assert after_the_first == (False, 0)
    assert tries == ["create", "create"]
    assert witness.handled == [("a", "message")]


@pytest.mark.behaviour("PoolTest 5")
def test_an_initialize_whose_input_could_not_be_created_can_be_tried_again(
    witness: Witness,
) -> None:
    tries: list[str] = []

    def new_input() -> None:
        tries.append("new_input")
        if len(tries) == 1:
            raise Boom

    with witness.pool(mailbox=Intercepting(new_input=new_input)) as pool:
        with pytest.raises(Boom):
            pool.initialize("a")
        after_the_first = "a" in pool, pool.stats().started
        assert pool.initialize("a")
        pool.dispatch("a", "message")
        finish(pool)

    assert after_the_first == (False, 0)
    assert tries == ["new_input", "new_input"]
    assert witness.handled == [("a", "message")]


@pytest.mark.behaviour("PoolTest 7")
def test_each_of_several_keys_gets_a_worker_that_answers_its_own_messages(
    witness: Witness,
) -> None:
    with witness.pool() as pool:
        for key in range(4):
            pool.input.deliver(Initialize(key))
        for key in range(4):
            pool.input.deliver(Dispatch(key, f"for {key}"))
        finish(pool)

    assert sorted(witness.handled) == [(0, "for 0"), (1, "for 1"), (2, "for 2"), (3, "for 3")]


def test_the_message_of_initialize_is_handled_ahead_of_all_others(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.remove("a", drain=True)
        pool.initialize("a", "first")  # waits for its predecessor, so that all are there before it
        pool.dispatch("a", "second")
        pool.dispatch("a", "third")
        gate.open()
        finish(pool)

    assert witness.handled == [("a", "first"), ("a", "second"), ("a", "third")]


def test_none_is_a_message_like_any_other(witness: Witness) -> None:
    with witness.pool() as pool:
        pool.initialize("a", None)
        pool.dispatch("a", None)
        finish(pool)

    assert witness.handled == [("a", None), ("a", None)]


def test_an_initialize_of_a_key_that_has_a_worker_returns_false_and_makes_a_dead_letter(
    witness: Witness,
) -> None:
    with witness.pool() as pool:
        assert pool.initialize("a", "first")
        assert pool.initialize("a", "second") is False
        finish(pool)

    assert witness.handled == [("a", "first")]
    assert witness.dead == [("a", "second", "duplicate initialize")]
    assert [exit_.incarnation for exit_ in witness.exits] == [1]


def test_an_initialize_without_a_message_of_a_key_that_has_a_worker_loses_nothing(
    witness: Witness,
) -> None:
    with witness.pool() as pool:
        pool.initialize("a")

        assert pool.initialize("a") is False

        assert witness.dead == []


def test_a_first_message_that_the_mailbox_refuses_is_a_dead_letter_and_the_worker_starts(
    witness: Witness,
) -> None:
    with witness.pool(mailbox=Intercepting(deliver=lambda message: message != "first")) as pool:
        assert pool.initialize("a", "first")
        pool.dispatch("a", "second")
        finish(pool)

    assert witness.handled == [("a", "second")]
    assert witness.dead == [("a", "first", "refused by the limit")]


def test_a_first_message_that_was_refused_is_one_dead_letter_if_another_came_first(
    witness: Witness,
) -> None:
    rivals = ["rival"]

    def deliver(message: object) -> bool:
        if rivals:
            pool.initialize("a", rivals.pop())
            return False
        return True

    with witness.pool(mailbox=Intercepting(deliver=deliver)) as pool:
        assert pool.initialize("a", "late") is False
        finish(pool)

    assert witness.handled == [("a", "rival")]
    assert witness.dead == [("a", "late", "duplicate initialize")]


def test_messages_are_accepted_from_the_return_of_initialize_on(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.remove("a")
        pool.initialize("a")

        assert pool.dispatch("a", "early")
        assert witness.handled == []

        gate.open()
        finish(pool)

    assert witness.handled == [("a", "early")]


def test_keys_that_are_equal_share_a_worker_and_others_never_do(witness: Witness) -> None:
    with witness.pool() as pool:
        assert pool.initialize(1)
        assert pool.initialize(1.0) is False
        assert pool.initialize("1")
        assert pool.initialize((1,))
        assert pool.initialize(None)

        assert pool.keys() == [1, "1", (1,), None]


def test_incarnation_numbers_rise_over_the_whole_pool(witness: Witness) -> None:
    with witness.pool() as pool:
        for key in ("a", "b", "a", "a"):
            witness.start(pool, key)
            pool.remove(key)
            until(lambda: not leaving(pool))

    assert [(exit_.key, exit_.incarnation) for exit_ in witness.exits] == [
        ("a", 1),
        ("b", 2),
        ("a", 3),
        ("a", 4),
    ]


def test_threads_are_named_after_the_pool_and_the_key() -> None:
    names: list[str] = []

    def worker(key: object, mailbox: Mailbox[object]) -> None:
        names.append(threading.current_thread().name)

    with Pool(worker, name="io") as pool:
        dispatchers = named("io-dispatcher")
        pool.initialize("alice")
        pool.initialize(3)

    assert len(dispatchers) == 1
    assert sorted(names) == ["io-'alice'", "io-3"]


def test_pools_without_a_name_are_numbered(witness: Witness) -> None:
    with witness.pool() as first, witness.pool() as second:
        one, two = repr(first).split("'")[1], repr(second).split("'")[1]

    assert one.startswith("pool-")
    assert int(two.removeprefix("pool-")) == int(one.removeprefix("pool-")) + 1


def test_a_worker_starts_while_the_one_that_was_asked_for_before_it_is_busy(
    witness: Witness,
) -> None:
    together = threading.Barrier(2)

    def worker(key: object, mailbox: Mailbox[object]) -> None:
        together.wait(DEADLINE)

    with witness.pool(worker) as pool:
        pool.initialize("a")
        pool.initialize("b")
        finish(pool)

    assert sorted(witness.ended) == [("a", None), ("b", None)]
