"""Keys that cannot be hashed, or whose `__hash__` or `__eq__` raises, at once or later."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers import until
from tests.pool.doubles import Boom, EvilKey
from tests.pool.witness import Witness, finish
from threadpool_mb import Dispatch, Initialize, Pool, Remove

USES: dict[str, Callable[[Pool[Any, Any], Any], object]] = {
    "initialize": lambda pool, key: pool.initialize(key, 1),
    "dispatch": lambda pool, key: pool.dispatch(key, 1),
    "remove": lambda pool, key: pool.remove(key),
    "drain": lambda pool, key: pool.remove(key, drain=True),
    "ref": lambda pool, key: pool.ref(key),
    "Initialize": lambda pool, key: pool.input.deliver(Initialize(key, 1)),
    "Dispatch": lambda pool, key: pool.input.deliver(Dispatch(key, 1)),
    "Remove": lambda pool, key: pool.input.deliver(Remove(key)),
}
LOOKS_UP = [use for name, use in USES.items() if name != "ref"]


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("key", [[1], {}, ("a", [1])], ids=repr)
def test_a_key_that_cannot_be_hashed_is_refused_with_its_repr(
    witness: Witness,
    use: Callable[[Pool[Any, Any], Any], object],
    key: Any,  # noqa: ANN401
) -> None:
    with witness.pool() as pool:
        with pytest.raises(TypeError) as caught:
            use(pool, key)

        assert f"a key must be hashable, not {key!r}: " in str(caught.value)
        assert pool.keys() == []
        assert witness.dead == []


def test_looking_for_a_key_that_cannot_be_hashed_raises_as_for_a_dict(witness: Witness) -> None:
    with witness.pool() as pool, pytest.raises(TypeError, match="unhashable type: 'list'"):
        assert [] in pool


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_what_a_keys_hash_raises_at_first_use_passes_and_nothing_has_changed(
    witness: Witness, use: Callable[[Pool[Any, Any], Any], object]
) -> None:
    key = EvilKey("evil")
    key.hash_raises = True

    with witness.pool() as pool:
        with pytest.raises(Boom, match="__hash__"):
            use(pool, key)

        assert len(pool) == 0
        assert pool.stats().waiting == 0
        assert witness.dead == []


@pytest.mark.parametrize("use", LOOKS_UP)
def test_what_a_keys_eq_raises_at_first_use_passes_and_nothing_has_changed(
    witness: Witness, use: Callable[[Pool[Any, Any], Any], object]
) -> None:
    key, other = EvilKey("evil"), EvilKey("other")
    key.eq_raises = True

    with witness.pool() as pool:
        pool.initialize(other)
        with pytest.raises(Boom, match="__eq__"):
            use(pool, key)
        assert pool.keys() == [other]
        assert witness.dead == []

        pool.dispatch(other, 1)
        finish(pool)

    assert witness.handled == [(other, 1)]


@pytest.mark.parametrize("use", LOOKS_UP)
def test_a_key_that_raises_later_raises_to_its_users_and_the_pool_drains_all_the_same(
    witness: Witness, use: Callable[[Pool[Any, Any], Any], object]
) -> None:
    key = EvilKey("evil")

    with witness.pool() as pool:
        gate = witness.hold(pool, key)
        pool.initialize("good")
        pool.dispatch(key, "backlog")
        key.hash_raises = True

        with pytest.raises(Boom, match="__hash__"):
            use(pool, key)
        pool.dispatch("good", 1)
        until(lambda: ("good", 1) in witness.handled)
        gate.open()
        report = finish(pool)

    assert witness.handled == [("good", 1), (key, "backlog")]
    assert witness.dead == []
    assert report.finished


def test_the_worker_of_a_key_that_raises_later_can_be_cancelled_with_the_pool(
    witness: Witness,
) -> None:
    key = EvilKey("evil")

    with witness.pool() as pool:
        gate = witness.hold(pool, key)
        pool.dispatch(key, 1)
        pool.remove(key)
        pool.initialize(key, 2)
        key.hash_raises = True

        pool.cancel()
        gate.open()
        report = pool.join()

    assert report.finished
    assert sorted((message, reason) for _, message, reason in witness.dead) == [
        (1, "pool closed"),
        (2, "pool closed"),
    ]


@pytest.mark.parametrize("message", [Boom("the worker's"), "end"], ids=["raises", "returns"])
def test_a_worker_whose_key_raises_when_it_ends_is_reported_and_leaves_dead_letters(
    witness: Witness,
    message: object,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = EvilKey("evil")

    with witness.pool() as pool:
        gate = witness.hold(pool, key)
        pool.dispatch(key, message)
        pool.dispatch(key, 1)
        key.hash_raises = True
        gate.open()
        until(lambda: not pool.stats().waiting)
        until(lambda: witness.exits)
        finish(pool)

    error, reason = (
        (message, "worker failed") if isinstance(message, Boom) else (None, "worker ended")
    )
    assert [(exit_.key is key, exit_.error) for exit_ in witness.exits] == [(True, error)]
    (letter,) = witness.letters
    assert letter.key is key
    assert (letter.message, str(letter.reason)) == (1, reason)
    assert "__hash__" in caplog.text


def test_a_key_that_raised_when_its_worker_ended_counts_as_free_once_it_raises_no_more(
    witness: Witness,
) -> None:
    key = EvilKey("evil")

    with witness.pool() as pool:
        gate = witness.hold(pool, key)
        pool.dispatch(key, "end")
        key.hash_raises = True
        gate.open()
        until(lambda: not list(pool.workers()) and witness.exits)
        key.hash_raises = False

        assert key not in pool
        assert pool.keys() == []
        assert pool.dispatch(key, "lost") is False
        assert pool.remove(key) is False
        assert pool.initialize(key, "again")
        assert pool.keys() == [key]
        finish(pool)

    assert witness.handled == [(key, "again")]
    assert [letter.message for letter in witness.letters] == ["lost"]


def test_a_key_whose_hash_changes_loses_its_worker_to_senders_but_nothing_is_lost_silently(
    witness: Witness,
) -> None:
    key = EvilKey("mutable", 7)

    with witness.pool() as pool:
        gate = witness.hold(pool, key)
        pool.dispatch(key, "backlog")
        key._number = 8

        assert pool.dispatch(key, "lost") is False
        assert pool.initialize(key, "another")
        gate.open()
        report = finish(pool)

    assert sorted(message for _, message in witness.handled) == ["another", "backlog"]
    assert [letter.message for letter in witness.letters] == ["lost"]
    assert report.finished


def test_a_key_that_raises_does_not_disturb_the_line_of_a_key_that_collides_with_it(
    witness: Witness,
) -> None:
    evil, good = EvilKey("evil"), EvilKey("good")

    with witness.pool() as pool:
        hold_evil = witness.hold(pool, evil)
        gate = witness.hold(pool, good)
        pool.remove(good, drain=True)
        pool.initialize(good, 1)
        evil.eq_raises = True
        gate.open()
        until(lambda: witness.handled)
        evil.eq_raises = False
        pool.remove(good, drain=True)
        hold_evil.open()
        report = finish(pool)

    assert witness.handled == [(good, 1)]
    assert report.finished
