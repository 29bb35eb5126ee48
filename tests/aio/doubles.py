"""Commands, workers, and running a coroutine under a deadline."""

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import threadpool_mb as mb
from tests.helpers import DEADLINE


@dataclasses.dataclass(frozen=True, slots=True)
class Echo(mb.Command[int]):
    number: int


@dataclasses.dataclass(frozen=True, slots=True)
class Keep(mb.Command[int]):
    """Its call is kept by whoever takes it, and not answered."""


@dataclasses.dataclass(frozen=True, slots=True)
class Drop(mb.Command[int]):
    """Its call is dropped."""


class Kept:
    """Calls that a worker keeps."""

    def __init__(self) -> None:
        self.calls: list[mb.Call[int]] = []

    def worker(self, key: object) -> Generator[None, mb.originals.Request]:
        while True:
            match (yield):
                case mb.Call(Echo(number), box):
                    box.reply(number)
                case mb.Call(Keep()) as call:
                    self.calls.append(call)
                case _:
                    pass


def run[T](coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop of its own; fail if it is stuck."""

    async def in_time() -> T:
        async with asyncio.timeout(DEADLINE):
            return await coroutine

    return asyncio.run(in_time())


async def until_in_loop(condition: Callable[[], object]) -> None:
    """Let other tasks run until `condition()` holds."""
    while not condition():  # noqa: ASYNC110 - it is of other threads too
        await asyncio.sleep(0)
