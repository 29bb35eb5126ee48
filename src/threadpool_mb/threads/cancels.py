"""How many of those that wait for a time were cancelled, and are still kept.

**Guarantees.** None is left out: the thread that keeps them counts each that was cancelled before
it looks. It may count some that are gone, until it next lets go of all.

Who cancels one marks it first, and then *counts* it: takes a number. The thread that keeps them
knows how many of these are gone; the rest is still here. If that is too much, it is to look, and so
may have to be woken. The one who cancels is (1) to (4), the thread (a) to (c):

1. The one who cancels takes a number. Then it writes that there may be `any`, if nobody has.
2. It reads `asked`. If the thread was asked already, it goes.
3. If there are too many, it writes that the thread was `asked`.
4. It wakes the thread, which then begins with (a).
a. The thread writes that it was not asked, and that there are none.
b. It takes a number, too: those that have one by now have a smaller one.
c. It takes over what is new, and so keeps all that have a smaller number, if they are not gone. If
   these are too many, it lets go of each that is marked. If there are some, it writes so.

If the number of (1) comes before that of (b), the thread counts it. If not, (a) comes before all of
(1), so that `any` stays written; and (2) sees that nobody has asked since (a), or that one has, who
wakes the thread after it. The thread begins with (a) wherever there may be any.
`tests/model/test_cancels_model.py` runs through every interleaving.

**Assumes.** Threads that take numbers from one `itertools.count` get different ones
(`tests/test_assumptions.py`).
"""

import itertools
from collections.abc import Callable
from typing import Final, final

__all__ = ["Cancels"]

_FEW: Final = 64
"""How many are no reason to let go of them."""


@final
class Cancels:
    """Counts them. Threads: any calls `count` and asks; the rest is for the one that keeps them."""

    __slots__ = ("_number", "any", "asked", "gone")

    def __init__(self) -> None:
        """Have counted none."""
        self._number: Final[Callable[[], int]] = itertools.count(1).__next__
        self.gone: int = 0
        """How many of those that were counted are not kept any more."""
        self.any: bool = False
        """Whether there may be any."""
        self.asked: bool = False
        """Whether the thread is to look."""

    def count(self) -> int:
        """Count one that was marked; return how many are here, 0 if that is no reason to look."""
        here = self._number() - self.gone  # (1)
        if not self.any:
            self.any = True
        return 0 if here <= _FEW or self.asked else here  # (2)

    def look(self) -> int:
        """Return a number that is greater than those of all that were counted."""
        self.asked = self.any = False  # (a)
        self.gone += 1  # the number that is taken here
        return self._number()  # (b)

    def too_many(self, number: int, kept: int) -> bool:
        """Return whether too many are kept that had a number when `look` has returned `number`.

        If so, all that are marked have to go: they count as gone.
        """
        here = number - self.gone  # (c)
        if here > _FEW and here > kept // 2:
            self.gone = number
            return True
        if not kept:
            self.gone = number
        elif here > 0:
            self.any = True
        return False
