"""Waiting for a state, with a limit after which what should have come is held to be lost.

**Which time counts.** What a thread has in hand it lets go of as it comes to rest, and for that it
takes a core. On a busy machine one that wants to run may be given none for many seconds, at a low
priority above all: then nothing is stuck, and nothing was kept. So time counts against a limit only
as far as the machine gave the threads of this process a core that wanted one. What the thread that
waits here was itself kept from running does not count: the kernel tells it to the nanosecond. Where
another thread wants to run at the end of some time, as much of it counts as that thread has run. A
thread that waits for something does not want to run, and one that runs for ever does run: so what
is stuck uses up the limit, whatever else the machine does.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

PATIENCE: Final = 30.0
"""Seconds after which what a scenario waits for is held to be stuck."""

_PAUSE: Final = 0.0005
_LONGEST_PAUSE: Final = 0.05
"""Seconds between two looks: each time twice as long."""
# No `Path`: it interns the names in a path, each thread's number among them, which stay for ever on
# a free-threaded build.
_TASKS = "/proc/self/task"


class StuckError(AssertionError):
    """Something that should have happened has not."""


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds, looking again and again.

    Raises:
        StuckError: if it never does.
    """
    if not holds_within(PATIENCE, condition):
        raise StuckError(f"waited {PATIENCE:g} s in vain: {what}")


def holds_within(seconds: float, condition: Callable[[], object]) -> bool:
    """Return whether a condition comes to hold within a time; see the module for what counts."""
    if condition():
        return True
    given, pause = Given(), _PAUSE
    while seconds > 0:
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
        seconds -= given.since_last()
        if condition():
            return True
    return False


class Given:
    """How much time this process was given since it was last asked, as the module says."""

    def __init__(self) -> None:
        """Begin now."""
        self._last = time.monotonic()
        self._waited = _waited()
        self._ran = {thread: ran for thread, _, ran in _others()}

    def since_last(self) -> float:
        """Return the seconds that count since this was last called, or since the beginning."""
        now, waited = time.monotonic(), _waited()
        passed = now - self._last - (waited - self._waited)
        others = list(_others())
        for thread, wants, ran in others:
            if wants:
                passed = min(passed, (ran - self._ran.get(thread, 0)) / 1e9)
        self._last, self._waited = now, waited
        self._ran = {thread: ran for thread, _, ran in others}
        return max(0.0, passed)


def _waited() -> float:
    """Return how long this thread was kept from running since it began, in seconds."""
    try:
        return int(_read(str(threading.get_native_id()), "schedstat").split()[1]) / 1e9
    except OSError:  # a kernel that does not tell
        return 0.0


def _others() -> Iterator[tuple[str, bool, int]]:
    """Yield each other thread of this process, whether it wants to run, and how long it has run."""
    own = str(threading.get_native_id())
    for thread in os.listdir(_TASKS):  # noqa: PTH208 - see there
        if thread == own:
            continue
        try:
            state = _read(thread, "stat").rpartition(b") ")[2][:1]
            yield thread, state == b"R", int(_read(thread, "schedstat").split()[0])
        except OSError:  # it has ended, or the kernel does not tell
            continue


def _read(thread: str, name: str) -> bytes:
    """Return what the kernel tells of a thread, read without a file object, as in `readings`."""
    file = os.open(f"{_TASKS}/{thread}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, 1000)
    finally:
        os.close(file)
