"""Which world there is on a thread."""

import contextlib
import threading
from collections.abc import Generator
from typing import Final, final

from threadpool_mb.testing.world import World
from threadpool_mb.threads.here import here

__all__ = ["fresh_worlds", "world_here"]


@final
class _Here(threading.local):
    def __init__(self) -> None:
        self.world: World | None = None
        self.made: list[World] | None = None
        self.seed = 0


_here: Final = _Here()


def _left(world: World) -> None:
    if _here.world is world:
        _here.world = None


def world_here(seed: int | None) -> World:
    """Return the world of this thread, a new one if there is none that is open.

    Raises:
        ValueError: if it has another seed.
        RuntimeError: in a worker.
    """
    world = _here.world
    if world is not None and world.over:
        world.leave()  # its last pool was dropped on another thread
        world = None
    if world is None:
        world = _here.world = World(_here.seed if seed is None else seed, _left)
        if _here.made is not None:
            _here.made.append(world)
    elif seed is not None and seed != world.seed:
        raise ValueError(
            f"seed must be {world.seed}, not {seed}: pools that are open at the same time on one"
            f" thread share an order, and {world.names()} is open"
        )
    world.check_thread()
    return world


@contextlib.contextmanager
def fresh_worlds(seed: int) -> Generator[list[World]]:
    """Have no world at first; give those that are made in the block, and leave them at its end.

    They have that seed, if no other is given.
    """
    before = _here.world, _here.made, _here.seed
    serving, here.serving = here.serving, None
    made: list[World] = []
    _here.world, _here.made, _here.seed = None, made, seed
    try:
        yield made
    finally:
        for world in made:
            world.leave()
        _here.world, _here.made, _here.seed = before
        here.serving = serving
