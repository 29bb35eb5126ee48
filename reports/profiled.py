"""Small programs for the profilers: `python -m reports.profiled PROGRAM N [FILE]`.

`key`, `message` and `call` for memory: N of them. `dispatch`, `turn` and `calls` for time: so many
seconds. With a file, memray writes into it what is allocated once everything is imported.
"""

import ctypes
import gc
import itertools
import sys
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Final

import threadpool_mb as mb

KEYS: Final = range(8)
BURST: Final = 2000
"""Messages for each key, after which the sender waits until they are handled."""


def _summing(_key: int) -> Generator[None, int]:
    total = 0
    while True:
        total += yield


@dataclass(frozen=True, slots=True)
class Seven(mb.Command[int]):
    """What is seven?"""


def _answering(_key: int, mailbox: mb.Mailbox[mb.Call[int]]) -> None:
    for call in mailbox:
        call.reply_box.reply(7)


def key(count: int) -> None:
    """Let `count` keys live at the same time, generator workers that have handled a message."""
    with mb.Pool(_summing) as pool:
        for number in range(count):
            pool.initialize(number)
            pool.dispatch(number, number)
        pool.flush()


def message(count: int) -> None:
    """Let `count` messages wait at the same time for a worker that does not come to them."""
    gate = threading.Event()

    def waiting(_key: int, mailbox: mb.Mailbox[int]) -> None:
        gate.wait()
        for _ in mailbox:
            pass

    with mb.Pool(waiting) as pool:
        pool.initialize(0)
        for number in itertools.repeat(7, count):  # one object: what is seen is what we add
            pool.dispatch(0, number)
        gate.set()


def call(count: int) -> None:
    """Call a worker `count` times, one after the other."""
    with mb.Pool(_answering) as pool:
        pool.initialize(0)
        for _ in range(count):
            mb.call(pool.ref(0), Seven())


def dispatch(seconds: float) -> None:
    """Dispatch to eight function workers from one thread."""

    def worker(_key: int, mailbox: mb.Mailbox[int]) -> None:
        for _ in mailbox:
            pass

    with mb.Pool(worker) as pool:
        for name in KEYS:
            pool.initialize(name)
        _send(pool, seconds)


def turn(seconds: float) -> None:
    """Dispatch to eight generator workers, which take their turns on two threads."""
    with mb.Pool(_summing, max_threads=2) as pool:
        for name in KEYS:
            pool.initialize(name)
        _send(pool, seconds)


def calls(seconds: float) -> None:
    """Call function workers from two threads, one after the other."""
    with mb.Pool(_answering) as pool:
        for name in range(2):
            pool.initialize(name)
        end = time.monotonic() + seconds

        def calling(name: int) -> None:
            while time.monotonic() < end:
                mb.call(pool.ref(name), Seven())

        callers = [
            threading.Thread(target=calling, args=(name,), name=f"caller-{name}")
            for name in range(2)
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()


def _send(pool: mb.Pool[int, int], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(BURST):
            for name in KEYS:
                pool.dispatch(name, 7)
        pool.flush()


PROGRAMS: Final[dict[str, Callable[[int], None]]] = {
    each.__name__: each for each in (key, message, call, dispatch, turn, calls)
}


def name_for_perf() -> int:
    """Have CPython write down for perf where each function is; return how many there are.

    By itself it does so as a function is first called. On a free-threaded build nothing guards that
    (`perf_map_jit_write_entry` in Python/perf_jit_trampoline.c of 3.14.7). Of two threads that do
    so at once, one spoils what the other writes, and perf misses what comes behind it; or CPython
    crashes.
    """
    compile_code = ctypes.pythonapi.PyUnstable_PerfTrampoline_CompileCode
    compile_code.argtypes = [ctypes.py_object]
    codes = [each.__code__ for each in gc.get_objects() if isinstance(each, FunctionType)]
    for code in codes:  # it grows
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
        if compile_code(code):
            raise SystemExit(f"there is no name for perf for {code}")
    return len(codes)


def main(name: str, count: str, *files: str) -> None:
    """Run a program, its allocations traced if there is a file for them."""
    if sys.is_stack_trampoline_active():
        name_for_perf()
    if not files:
        PROGRAMS[name](int(count))
        return
    PROGRAMS[name](1)  # what is made once in a process is made
    import memray  # noqa: PLC0415 - perf runs the others without it

    with memray.Tracker(files[0], trace_python_allocators=True):
        PROGRAMS[name](int(count))


if __name__ == "__main__":
    main(*sys.argv[1:])
