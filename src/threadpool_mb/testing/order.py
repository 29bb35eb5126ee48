"""The order in which a world's workers did what they did, to be read and compared."""

import dataclasses
from collections.abc import Sequence
from typing import Final, Literal, final, overload, override

from threadpool_mb.arguments import describe
from threadpool_mb.values import MISSING

__all__ = ["Order", "Step", "What"]

type What = Literal["starts", "handles", "waits", "goes on", "ends", "fails"]
"""What a worker does; see `Step.what`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """Something that a worker has done."""

    turn: int
    """The number of its turn; 0 if a call was handled outside of all turns."""
    at: float
    """The time, in seconds since the first pool was made."""
    pool: str
    """The name of its pool."""
    key: object
    """Its key."""
    what: What
    """What it has done:

    - `"starts"`: it was called, and comes to its first `yield`;
    - `"handles"`: it gets a message;
    - `"waits"`: it waits, in `sleep` or `wait`;
    - `"goes on"`: it goes on after that;
    - `"ends"`: it has come to its end, was closed, or was told to stop;
    - `"fails"`: it has raised.
    """
    message: object = MISSING
    """The message, where it handles one; of a call, its command."""
    text: str = ""
    """What the message, or the error, looked like then."""

    def __str__(self) -> str:
        """Show it in a line."""
        line = f"{self.at:9.3f} s  turn {self.turn:<4} {self.pool}  {describe(self.key)}"
        return f"{line} {self.what}{' ' if self.text else ''}{self.text}"


@final
class Order(Sequence[Step]):
    """The steps of all workers, in the order in which they were done; it grows.

    Its `str` has a line for each. Threads: for the one that takes the turns.
    """

    __slots__ = ("_steps", "seed")

    def __init__(self, seed: int) -> None:
        self.seed: Final = seed
        """What has chosen the order."""
        self._steps: Final[list[Step]] = []

    def add(self, step: Step) -> None:
        """Add a step; for the pool."""
        self._steps.append(step)

    def handled(self) -> list[tuple[object, object]]:
        """Return the key and the message of each step in which a message was handled."""
        return [(step.key, step.message) for step in self._steps if step.what == "handles"]

    def signature(self) -> str:
        """Return what is the same for orders in which the workers took the same turns."""
        steps = self._steps
        return "\n".join(f"{each.pool} {describe(each.key)} {each.what}" for each in steps)

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> list[Step]: ...
    @override
    def __getitem__(self, index: int | slice) -> Step | list[Step]:
        return self._steps[index]

    @override
    def __len__(self) -> int:
        return len(self._steps)

    def __str__(self) -> str:
        """Show the seed, and a line for each step."""
        return "\n".join([f"the order of seed {self.seed}:", *map(str, self._steps)])

    def __repr__(self) -> str:
        """Show the seed, and how many steps there are."""
        return f"<Order of seed {self.seed}: {len(self._steps)} steps>"
