"""Sessions: no request is lost, whenever a session leaves memory, and what it saved is loaded."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import threadpool_mb as mb
from examples.sessions import Shop, Store, visit

SETTINGS = settings(max_examples=10, deadline=None)


@SETTINGS
@given(sessions=st.integers(1, 8), requests=st.integers(1, 10))
def test_carts_hold_what_was_put_before_and_after_a_quiet_time(
    sessions: int, requests: int
) -> None:
    store = Store()

    carts = asyncio.run(visit(store, sessions=sessions, requests=requests))

    cart = tuple(f"{day} {n}" for day in ("monday", "tuesday") for n in range(1, requests + 1))
    assert carts == [cart] * sessions
    assert store.carts == {f"session {n}": cart for n in range(1, sessions + 1)}
    for number in range(1, sessions + 1):
        assert store.loads.count(f"session {number}") >= 3


def test_no_request_is_lost_to_a_session_that_leaves_memory_at_the_same_time() -> None:
    async def ask() -> list[int]:
        shop = Shop(store, idle_timeout=0.0001)
        async with shop.sessions:
            return [await shop.handle("ann", str(number)) for number in range(300)]

    store = Store()

    answers = asyncio.run(ask())

    assert answers == list(range(1, 301))
    assert store.carts == {"ann": tuple(map(str, range(300)))}


def test_a_session_in_memory_is_not_loaded_again() -> None:
    async def ask() -> tuple[str, ...]:
        shop = Shop(store, idle_timeout=60.0)
        async with shop.sessions:
            for item in ("tea", "rice"):
                await shop.handle("ann", item)
            return await shop.cart("ann")

    store = Store()
    store.save("ann", ("salt",))

    assert asyncio.run(ask()) == ("salt", "tea", "rice")
    assert store.loads == ["ann"]


def test_a_session_that_is_cancelled_is_not_saved() -> None:
    async def ask() -> None:
        shop = Shop(store, idle_timeout=60.0)
        async with shop.sessions:
            await shop.handle("ann", "tea")
            raise ZeroDivisionError

    store = Store()
    store.save("ann", ("salt",))

    with pytest.raises(ZeroDivisionError):
        asyncio.run(ask())
    assert store.carts == {"ann": ("salt",)}


def test_a_caller_is_told_if_a_session_cannot_be_loaded() -> None:
    class BrokenStore(Store):
        def load(self, session: str) -> tuple[str, ...]:
            raise OSError(session)

    async def ask() -> None:
        shop = Shop(BrokenStore(), idle_timeout=60.0)
        async with shop.sessions:
            with pytest.raises(mb.WorkerGone) as gone:
                await shop.handle("ann", "tea")
            assert isinstance(gone.value.__cause__, OSError)

    asyncio.run(ask())
