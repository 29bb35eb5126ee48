"""The pool as an input: `Pool.input` and `Pool.ref`."""

import gc

import pytest

from tests.helpers import until
from tests.pool.witness import Witness, finish
from threadpool_mb import Dispatch, Initialize, PoolClosed, Remove


def test_the_pools_input_carries_messages_out_and_returns_what_the_methods_return(
    witness: Witness,
) -> None:
    with witness.pool() as pool:
        deliver = pool.input.deliver

        results = [
            deliver(message)
            for message in (
                Initialize("a", 1),
                Initialize("a", 2),
                Dispatch("a", 3),
                Dispatch("b", 4),
                Remove("b"),
                Remove("a", drain=True),
            )
        ]
        finish(pool)

    assert results == [True, False, True, False, False, True]
    assert witness.handled == [("a", 1), ("a", 3)]
    assert witness.dead == [("a", 2, "duplicate initialize"), ("b", 4, "unknown key")]


@pytest.mark.parametrize("message", ["work", None, ("a", 1), Initialize], ids=repr)
def test_the_pools_input_refuses_what_is_no_message_for_a_pool(
    witness: Witness, message: object
) -> None:
    with witness.pool() as pool:
        with pytest.raises(TypeError) as caught:
            pool.input.deliver(message)

        expected = f"a pool takes Initialize, Dispatch or Remove, not {message!r}"
        assert str(caught.value) == expected
        assert witness.dead == []


def test_the_pools_input_raises_once_the_pool_is_closed(witness: Witness) -> None:
    with witness.pool() as pool:
        deliver = pool.input.deliver
        finish(pool)

        with pytest.raises(PoolClosed):
            deliver(Dispatch("a", 1))
        with pytest.raises(PoolClosed):
            deliver(Initialize("a", 1))
        assert deliver(Remove("a")) is False

    assert witness.dead == []


def test_a_ref_addresses_whichever_worker_its_key_has(witness: Witness) -> None:
    with witness.pool() as pool:
        ref = pool.ref("a")

        before = ref.deliver("before")
        pool.initialize("a")
        first = ref.deliver("first")
        pool.remove("a", drain=True)
        between = ref.deliver("between")
        pool.initialize("a")
        second = ref.deliver("second")
        finish(pool)

    assert (before, first, between, second) == (False, True, False, True)
    assert witness.handled == [("a", "first"), ("a", "second")]
    assert witness.dead == [("a", "before", "unknown key"), ("a", "between", "unknown key")]
    assert ref.key == "a"


def test_a_ref_shows_its_key(witness: Witness) -> None:
    with witness.pool() as pool:
        assert repr(pool.ref(("alice", 3))) == "<KeyInput ('alice', 3)>"


def test_a_ref_keeps_its_pool_alive(witness: Witness) -> None:
    with witness.pool() as made:
        dispatcher = made._dispatcher
        ref = made.ref("a")
        made.initialize("a")
        del made
        gc.collect()

        assert ref.deliver("work")
        until(lambda: witness.handled)
        assert dispatcher.state == "running"
