"""What a scenario's process is told."""

import dataclasses
from typing import Final

COUNTED: Final = 30
"""Rounds: what is there after a round swings by as much as the band, and over ten of them such a
swing can look like a rise."""

WINDOWS: Final = 3
"""How often the rounds are counted, at most. A leak goes on. A counter that becomes a block once it
has passed 256, or a dict that grows for the last time, adds a block once. But a pool has dozens of
these, and each does so in a round of its own. So where nothing but the blocks has risen, as many
rounds follow, which are judged by themselves."""


@dataclasses.dataclass(frozen=True, slots=True)
class Spec:
    """Which scenario, how long, how large."""

    scenario: str
    seconds: float
    """How long to go on; all rounds that have to be are done in any case."""
    scale: float
    """Of what is done in a round: 1 is all of it."""
    cap: int
    """The most data the process may have, in bytes."""
    patience: float
    """Seconds that a round may take, or what comes before the first or after the last one; then the
    process says where it is, and ends."""
    output: str
    """Folder for what is found."""
    label: str
    """What files there begin with."""
    result: str
    """File for the result."""
    counted: int = COUNTED
    """Rounds that are counted, at least."""
    seed: str = ""
    """Leak that is planted, if any."""
