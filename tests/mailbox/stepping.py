"""Stopping a thread before any one bytecode instruction of the mailboxes' own code.

A staged race says where a thread stops; this goes through all the places where it could.
"""

import functools
import pathlib
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

from tests.helpers import DEADLINE, Running, until
from threadpool_mb.mailbox import sending

_COLD_RUNS: Final = 4
_CODE: Final = str(pathlib.Path(sending.__file__).parent)

type _Trace = Callable[[FrameType, str, object], _Trace | None]


class Stepped[T]:
    """A function in a thread of its own that stops before its `stop_at`-th instruction."""

    def __init__(self, function: Callable[[], T], stop_at: int) -> None:
        self._function: Final = function
        self._left = stop_at
        self._stopped: Final = threading.Event()
        self._go: Final = threading.Event()
        self._thread: Final = Running(self._run)
        until(lambda: self._stopped.is_set() or not self._thread.running)

    def _run(self) -> T:
        sys.settrace(self._called)
        try:
            return self._function()
        finally:
            sys.settrace(None)

    def _called(self, frame: FrameType, event: str, arg: object) -> "_Trace | None":
        if not frame.f_code.co_filename.startswith(_CODE):
            return None
        frame.f_trace_opcodes = True
        return self._step

    def _step(self, frame: FrameType, event: str, arg: object) -> "_Trace | None":
        if event == "opcode":
            self._left -= 1
            if self._left == 0:
                self._stopped.set()
                assert self._go.wait(DEADLINE), "the test has not let the thread go"
        return self._step

    @property
    def stopped(self) -> bool:
        """Whether it has stopped; if not, it has ended before."""
        return self._stopped.is_set()

    def result(self) -> T:
        """Let it go on to its end, and return or raise what it did."""
        self._go.set()
        return self._thread.result()


def each_step[S](
    prepare: Callable[[], S], act: Callable[[S], object]
) -> Iterator[tuple[S, Stepped[object]]]:
    """Prepare a scene and act in it, again and again, stopped at the first, second … last step.

    The last times `act` does not stop. Nor, perhaps, does it the first times: functions whose
    instructions were never traced report none while they run first. So it has come to the end only
    where it has not stopped again and again.
    """
    number, unstopped = 1, 0
    while unstopped < _COLD_RUNS:
        scene = prepare()
        stepped = Stepped(functools.partial(act, scene), number)
        yield scene, stepped
        stepped.result()
        if stepped.stopped:
            number, unstopped = number + 1, 0
        else:
            unstopped += 1
    assert number > 1, "it has stopped nowhere: nothing was shown"


def warm[S](prepare: Callable[[], S], act: Callable[[S], object]) -> None:
    """Let `act` be traced before other threads run what it runs; see `each_step`."""
    for _ in range(_COLD_RUNS):
        Stepped(functools.partial(act, prepare()), sys.maxsize).result()


def held(lock: "threading.Lock | threading.RLock") -> bool:
    """Whether another thread holds `lock`: who stopped there must go on before anybody else can."""
    if lock.acquire(blocking=False):
        lock.release()
        return False
    return True
