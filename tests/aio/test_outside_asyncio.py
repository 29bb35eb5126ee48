"""Where no task of asyncio runs, nothing is sent or received: the loop is looked for first."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import threadpool_mb as mb
from tests.aio.doubles import Echo, Kept

type Door = Callable[[mb.Mailbox[Any]], Coroutine[Any, Any, object]]


async def first_message(mailbox: mb.Mailbox[Any]) -> object:
    async for message in mb.aio.messages(mailbox):
        return message
    return None


SENDING: dict[str, Door] = {
    "aio.call": lambda mailbox: mb.aio.call(mailbox.new_input(), Echo(1)),
    "aio.call in time": lambda mailbox: mb.aio.call(mailbox.new_input(), Echo(1), timeout=5),
    "aio.deliver": lambda mailbox: mb.aio.deliver(mailbox.new_input(), 1),
}


def by_hand(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine as another library does: `send` starts it."""
    coroutine.send(None)


def in_a_callback(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run it by hand where a loop runs, but none of its tasks."""
    raised: list[BaseException] = []

    def callback() -> None:
        try:
            coroutine.send(None)
        except BaseException as error:  # noqa: BLE001 - raised below
            raised.append(error)

    async def main() -> None:
        asyncio.get_running_loop().call_soon(callback)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(main())
    raise raised[0]


@pytest.mark.parametrize("run", [by_hand, in_a_callback])
@pytest.mark.parametrize("name", SENDING)
@pytest.mark.parametrize("is_full", [False, True], ids=["roomy", "full"])
def test_nothing_is_delivered(
    name: str,
    is_full: bool,  # noqa: FBT001 - a case
    run: Callable[[Coroutine[Any, Any, object]], None],
) -> None:
    mailbox: mb.Mailbox[Any] = mb.Blocking(1).create()
    if is_full:
        mailbox.new_input().deliver("before")

    with pytest.raises(
        RuntimeError, match=f"{name.split(maxsplit=1)[0]} must be awaited in a task"
    ):
        run(SENDING[name](mailbox))

    assert len(mailbox) == is_full
    assert len(mailbox.new_input().room.askers) == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("run", [by_hand, in_a_callback])
def test_nothing_is_received(run: Callable[[Coroutine[Any, Any, object]], None]) -> None:
    mailbox: mb.Mailbox[int] = mb.Unlimited().create()
    mailbox.new_input().deliver(1)

    with pytest.raises(RuntimeError, match=r"aio\.messages must be awaited in a task"):
        run(first_message(mailbox))

    assert mailbox.receive(timeout=0) == 1
    assert not mailbox.inlet.unattended  # type: ignore[attr-defined]


@pytest.mark.parametrize("run", [by_hand, in_a_callback])
def test_a_pool_is_neither_closed_nor_entered(
    run: Callable[[Coroutine[Any, Any, object]], None],
) -> None:
    with mb.Pool(Kept().worker) as pool:
        for coroutine in (
            pool.adrain(timeout=5),
            pool.__aenter__(),
            pool.__aexit__(None, None, None),
        ):
            with pytest.raises(RuntimeError, match="must be awaited in a task"):
                run(coroutine)

        assert pool.initialize("key")
