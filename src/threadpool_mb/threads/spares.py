"""Threads that have nothing to do while another thread waits in the queue already.

A turn that is put wakes a thread that waits in the queue, if one does. That costs its sender a
system call, and on a machine with few cores the sender's own core, though a thread that is awake
would have come to the turn in a few µs. So one thread alone waits in the queue. The others are
*spare*: each waits at a bell of its own, and is woken where one more thread is needed. The figures
are in `docs/performance.md`.

**Guarantees.** A spare thread that is woken looks into the queue. Of those, the one that became
spare last is woken first: its core is the warmest.

**Assumes.** Of two threads that pop an entry of a dict, each gets a different one.

A turn must not wait while a thread is spare and no other one will come to it. One more is *needed*
where a turn waits, and no thread is idle. One that is starting is not counted on: it may take long,
as its `prepare` does, or be refused. Threads are woken one after the other, by the thread that has
the *permit* (an entry of a dict). The sender is (1) to (4), the thread that becomes spare (a) and
(b), the woken one (i) to (iii):

1. It puts a turn.
2. It reads whether a thread is idle. If so, it is done.
3. It reads whether a thread is spare. If not, it asks for one more thread: that is not of here.
4. It takes the permit and wakes a thread, which has the permit from then on. If there is no permit,
   it is done. If there is no thread (`nudge` and `grow` need no permit), it puts the permit back,
   and does (2) once more.
a. Under the lock of the count the thread sees that another one is idle, and enters its bell.
b. It waits at its bell.
i. It looks into the queue.
ii. It puts the permit back.
iii. If it has a turn, it does (2) to (4) for the others before it begins with it. If not, it is
     idle, or does (a).

An idle thread that is handed a turn takes itself out of that count, under the lock, and then does
(2) to (4) for the others.

If (2) finds an idle thread, that one does (2) to (4) later, or waits in the queue and is handed
the turn. If there is no permit at (4), the woken thread has it: (1) came before (ii), so (iii)
comes to that turn. Or a different sender has it, which does (2) after it has put it back. If (3)
finds no thread that is spare, and one becomes spare after that, (a) has seen an idle thread: which
does (2) to (4) after that, and so sees the turn.

*Growing.* Whether a sender does (2) to (4) at all is kept in an attribute (`growing`). It is worked
out under the lock of the count: as the idle thread begins with a turn, and after (ii), as the last
thread that was spare may have been woken. A thread that pops a bell meanwhile has another one do
(ii) after that. None adds a bell meanwhile but where a thread is idle, which works it out later. So
it is never out of date where a sender is to look: at worst one looks that need not.

*Lost.* A thread that is ended by an error that is raised into it as it waits, counts no more and
has `growing` worked out, and then does (2) to (4) for the others.

*Moved.* A thread that was woken looks for what was moved, too (`turns`). One that becomes spare
need not: another one is idle, and is nudged.

*Closed.* `close` takes note of that, under the lock, and then wakes each spare thread. None becomes
spare after that: (a) looks. A finalizer may close in the midst of (a): so (a) looks once
more when the thread has entered its bell.

`tests/model/test_spares_model.py` runs through the interleavings.
"""

import queue
from typing import Final, final

from threadpool_mb.interrupts import after

__all__ = ["Spares"]


@final
class Spares:
    """The threads that are spare. Threads: internally synchronized."""

    __slots__ = ("_permit", "bells")

    def __init__(self) -> None:
        """Have none."""
        self.bells: Final[dict[queue.SimpleQueue[None], None]] = {}
        """Of each thread that is spare and was not woken; to be read."""
        # Has its one entry while no thread is being woken. It is not the permit to ask for one more
        # thread: what was asked may take a while, in which threads become spare.
        self._permit: Final[dict[str, bool]] = {"may wake": True}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.bells)

    def add(self) -> "queue.SimpleQueue[None] | None":
        """Add this thread; return what it is to wait at, or `None` if there is no memory for it."""
        try:
            bell = queue.SimpleQueue[None]()
            self.bells[bell] = None
        except MemoryError:
            return None
        return bell

    def has_looked(self, bell: "queue.SimpleQueue[None]") -> None:
        """Put the permit back, on the thread of that bell; an error may have ended its wait."""
        self.bells.pop(bell, None)
        self._permit["may wake"] = True

    def wake_if_none_is_woken(self) -> bool:
        """Wake the thread that was added last, if there is a permit. Blocks: never.

        Returns:
            `False` if the caller has to look again, whether one is needed, and spare.
        """
        # No interrupt comes between the pop and the `try`; see `interrupts`.
        for permit in after(self._permit.pop, "may wake", False):  # noqa: FBT003 - `dict.pop`'s
            if not permit:
                break
            try:
                if self.wake():
                    break
                # Those that found no permit meanwhile count on the caller.
                self._permit["may wake"] = True
            except BaseException:
                self._permit["may wake"] = True
                raise
            return False
        return True

    def wake(self) -> bool:
        """Wake the thread that was added last; return whether there was one. Blocks: never."""
        try:
            # No interrupt comes between the two; see `interrupts`.
            for bell, _ in after(self.bells.popitem):
                bell.put(None)
        except KeyError:
            return False
        return True

    def wake_all(self) -> None:
        """Wake each thread. Blocks: never."""
        while self.wake():
            pass
