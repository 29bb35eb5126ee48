"""What is read after each round, once everything is quiet.

**What counts as quiet.** Whoever ran in the round may be about to park, with an object in hand. So
it is looked again and again, up to `GRACE` seconds, until there is no more than there was: waiting
does not make a leak go away. Time does not count in which a thread of this process gets no core,
since it has no chance to park; see `waiting`. Each look begins with two collections. The first also
drains what free-threaded builds keep for the thread that made an object which another one has
dropped (gh-157838); the second frees what hung from that.

**What reading costs.** Nothing that is counted: the figures go into arrays whose memory is there
before the first round, and the dicts of counts by class are dropped, but for those of classes that
have grown. A look at the objects is one walk over all that the collector tracks, whatever is asked
of it, and it asks each class once, not each object: a process with much else in it, such as a test
run, has hundreds of thousands of objects.
"""

import array
import collections
import gc
import linecache
import os
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, final

from benchmarks.machine import peak_memory
from leakcheck.results import Growth, Series
from leakcheck.waiting import holds_within

GRACE: Final = 5.0
"""Seconds, as `waiting` counts them, that a round has to come to rest."""
_GRACE_ONCE_STUCK: Final = 0.2
"""... after one that has not: that is held to be a leak, and the next ones have less time."""

_LOOKS: Final = 3
_BETWEEN: Final = 0.02
"""Seconds."""

CAPACITY: Final = 20_000
"""The most rounds."""

_LIBRARY: Final = "threadpool_mb"
_TASKS: Final = Path("/proc/self/task")
_FILES: Final = Path("/proc/self/fd")


def _own_name(kind: type) -> str | None:
    """Return the full name of a class of the library's own, else `None`."""
    module = str(getattr(kind, "__module__", ""))
    return f"{module}.{kind.__name__}" if module.split(".", 1)[0] == _LIBRARY else None


def _own_names(kinds: Iterable[type]) -> dict[type, str]:
    return {kind: name for kind in kinds if (name := _own_name(kind)) is not None}


def collect() -> None:
    """Free what can be freed: see the module.

    Caches go first. That of attributes keeps the names that were looked up, and C code looks up
    names that it makes anew each time: it fills slowly, up to 4096. That of source lines is filled
    by the first traceback that is logged, whenever it comes.
    """
    linecache.clearcache()
    sys._clear_internal_caches()  # noqa: SLF001 - the documented name
    gc.collect()
    gc.collect()


def own_objects() -> dict[str, int]:
    """Return how many objects there are of each of the library's own classes."""
    kinds = collections.Counter(map(type, gc.get_objects()))
    counts: dict[str, int] = {}
    for kind, name in _own_names(kinds).items():
        counts[name] = counts.get(name, 0) + kinds[kind]
    return counts


def objects_by_class() -> dict[str, list[object]]:
    """Return the objects of the library's own classes, by the names that `own_objects` gives."""
    everything = gc.get_objects()
    names = _own_names(set(map(type, everything)))
    found: dict[str, list[object]] = {}
    for each in everything:
        if type(each) in names:
            found.setdefault(names[type(each)], []).append(each)
    return found


def threads() -> int:
    """Return how many threads there are: Python's, or the system's if these are more.

    Some threads of the library are no `threading.Thread`, and one that was joined may be about to
    leave the system.
    """
    return max(threading.active_count(), sum(1 for _ in _TASKS.iterdir()))


def files() -> int:
    """Return how many file descriptors are open."""
    return sum(1 for _ in _FILES.iterdir())


@final
class _Memory:
    """The process's memory, as the kernel counts it, read without a file object.

    Reading `/proc/self/status` as text leaves a block behind now and then on free-threaded builds,
    a few hundred in all.
    """

    def __init__(self) -> None:
        self._file: Final = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._page: Final = os.sysconf("SC_PAGE_SIZE")

    def read(self) -> tuple[int, int]:
        """Return the bytes that are resident, and those that the cap limits."""
        fields = os.pread(self._file, 200, 0).split()
        return int(fields[1]) * self._page, int(fields[5]) * self._page


@final
class Readings:
    """The readings of one scenario."""

    def __init__(self) -> None:
        """Take the threads and files that there are now for those that there have to be."""
        self.count = 0
        self._memory: Final = _Memory()
        self.growth: Final[dict[str, Growth]] = {}
        self._threads: Final = threads()
        self._files: Final = files()
        self._objects: dict[str, int] | None = None
        self._known: dict[str, set[int]] = {}
        self._grace = GRACE
        # What is waited for; it gives way to what does not go.
        self._quiet_threads = self._threads
        self._quiet_files = self._files
        self._quiet_objects: dict[str, int] | None = None
        self._start: Final = time.perf_counter()
        self._seconds: Final = array.array("d", bytes(8 * CAPACITY))
        self._columns: Final = {
            name: array.array("q", bytes(8 * CAPACITY))
            for name in ("blocks", "objects", "threads", "files", "resident", "data")
        }

    @property
    def elapsed(self) -> float:
        """Seconds since the first round began."""
        return time.perf_counter() - self._start

    def take(self) -> None:
        """Read, once everything is quiet."""
        # Of the last look, which is what is read if everything is quiet then.
        counts: dict[str, int] = {}

        def is_quiet() -> bool:
            nonlocal counts
            collect()
            counts = own_objects()
            return self._is_quiet(counts)

        if not holds_within(self._grace, is_quiet):
            self._grace = _GRACE_ONCE_STUCK
            self._quiet_threads = max(self._quiet_threads, threads())
            self._quiet_files = max(self._quiet_files, files())
            if self._quiet_objects is not None:
                self._quiet_objects = counts
        place = self.count
        # Again: a traceback may have been logged since.
        linecache.clearcache()
        # Before what follows makes objects of its own.
        self._columns["blocks"][place] = sys.getallocatedblocks()
        self._seconds[place] = self.elapsed
        self._columns["objects"][place] = sum(counts.values())
        self._columns["threads"][place] = threads()
        self._columns["files"][place] = files()
        self._columns["resident"][place], self._columns["data"][place] = self._memory.read()
        self.count += 1
        if self._objects is not None:
            self._compare(counts, self._objects)

    def begin_to_count(self) -> None:
        """Hold the objects of all later rounds against those that there are now.

        Of several looks the least counts: one that is about to go does not make room for a leak.
        """
        least = own_objects()
        for _ in range(_LOOKS):
            time.sleep(_BETWEEN)
            collect()
            now = own_objects()
            least = {name: min(count, now.get(name, 0)) for name, count in least.items()}
        self._objects = self._quiet_objects = least
        self._known = {
            name: {id(each) for each in objects} for name, objects in objects_by_class().items()
        }

    def _is_quiet(self, counts: dict[str, int]) -> bool:
        if threads() > self._quiet_threads or files() > self._quiet_files:
            return False
        before = self._quiet_objects
        return before is None or all(count <= before.get(name, 0) for name, count in counts.items())

    def _compare(self, counts: dict[str, int], before: dict[str, int]) -> None:
        for name, count in counts.items():
            if count > before.get(name, 0):
                self.growth[name] = Growth(name, before.get(name, 0), count)

    def newest(self) -> dict[str, list[object]]:
        """Return, for each class that has grown, the objects that counting began without."""
        found = objects_by_class()
        nothing: set[int] = set()
        return {
            name: [
                each
                for each in found.get(name, [])
                if id(each) not in self._known.get(name, nothing)
            ]
            for name in self.growth
        }

    def series(self) -> Series:
        """Return all readings."""
        columns = {name: tuple(values[: self.count]) for name, values in self._columns.items()}
        return Series(seconds=tuple(self._seconds[: self.count]), **columns)

    @property
    def expected(self) -> tuple[int, int]:
        """The threads and the files that there have to be after each round."""
        return self._threads, self._files

    @staticmethod
    def peak() -> int:
        """Return the most resident memory that this process has had."""
        return peak_memory()
