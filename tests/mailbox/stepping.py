"""Stopping a thread before any one bytecode instruction of the package's own code.

A staged race says where a thread stops; this goes through all the places where it could. Left out
are instructions that touch nothing but the thread's own frame: no other thread could tell whether
it has stopped before them or before the next one that does. One that may drop the last reference to
something is no such instruction.
"""

import dis
import functools
import pathlib
import sys
import threading
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Final

import pytest

from tests.helpers import DEADLINE, Running
from threadpool_mb.mailbox import sending

STEPS: Final = pytest.mark.timeout(120)
"""For tests that go through `each_step`: some 300 scenes, with up to six threads each, of which two
are traced. They take 2 s of processor time; but each hand-over from thread to thread waits for a
turn on the processor: it took 48 s beside a load of 14 on 2 cores.
"""

_COLD_RUNS: Final = 4

_OF_THE_FRAME: Final = (
    "LOAD_FAST",
    "LOAD_CONST",
    "LOAD_SMALL_INT",
    "PUSH_NULL",
    "COPY",
    "SWAP",
    "NOP",
    "RESUME",
    "CACHE",
    "JUMP",
    "POP_JUMP",
    "NOT_TAKEN",
    "MAKE_CELL",
    "IS_OP",
    "BUILD_TUPLE",
)
"""How the names of the instructions begin that touch nothing else."""
_OF_SEVERAL: Final = ("LOAD_FAST_AND_CLEAR",)
"""... but for these."""
MAILBOXES: Final = str(pathlib.Path(sending.__file__).parent)
"""Where the mailboxes' code is."""

type _Trace = Callable[[FrameType, str, object], _Trace | None]


@functools.cache
def _shared(code: CodeType) -> frozenset[int]:
    """Return where the instructions stand that may touch what other threads see."""
    found: set[int] = set()
    prefixes: list[int] = []
    for each in dis.get_instructions(code):
        if each.opname == "EXTENDED_ARG":
            # Of the next instruction, which may be reported at its place.
            prefixes.append(each.offset)
            continue
        if not each.opname.startswith(_OF_THE_FRAME) or each.opname in _OF_SEVERAL:
            found.update(prefixes, [each.offset])
        prefixes.clear()
    return frozenset(found)


class Stepped[T]:
    """A function in its own thread, which stops before the `stop_at`-th instruction that counts."""

    def __init__(
        self, function: Callable[[], T], stop_at: int, code: str | tuple[str, ...] = MAILBOXES
    ) -> None:
        self._function: Final = function
        self._code: Final = code
        self._left = stop_at
        self._stopped = False
        # That it has stopped or ended. Waited for without looking again and again: a busy machine
        # would spend the thread's time on that, and there are hundreds of steps in a test.
        self._rests: Final = threading.Event()
        self._go: Final = threading.Event()
        self._thread: Final = Running(self._run)
        assert self._rests.wait(DEADLINE), "the thread neither stopped nor ended"

    def _run(self) -> T:
        sys.settrace(self._called)
        try:
            return self._function()
        finally:
            sys.settrace(None)
            self._rests.set()

    def _called(self, frame: FrameType, event: str, arg: object) -> "_Trace | None":
        if not frame.f_code.co_filename.startswith(self._code):
            return None
        frame.f_trace_opcodes = True
        return self._step

    def _step(self, frame: FrameType, event: str, arg: object) -> "_Trace | None":
        if event == "opcode" and frame.f_lasti in _shared(frame.f_code):
            self._left -= 1
            if self._left == 0:
                self._stopped = True
                self._rests.set()
                assert self._go.wait(DEADLINE), "the test has not let the thread go"
        return self._step

    @property
    def stopped(self) -> bool:
        """Whether it has stopped; if not, it has ended before."""
        return self._stopped

    def result(self) -> T:
        """Let it go on to its end, and return or raise what it did."""
        self._go.set()
        return self._thread.result()


def each_step[S](
    prepare: Callable[[], S],
    act: Callable[[S], object],
    code: str | tuple[str, ...] = MAILBOXES,
    *,
    warm: Callable[[], object] | None = None,
) -> Iterator[tuple[S, Stepped[object]]]:
    """Prepare a scene and act in it, again and again, stopped at the first, second … last step.

    The last times `act` does not stop. Nor, perhaps, does it the first times: functions whose
    instructions were never traced report none while they run first. So it has come to the end only
    where it has not stopped again and again.

    They report none the next time either once another thread has run them, which is not traced, as
    the test itself may do. So `act` is traced once more before each time, in a scene of its own; or
    `warm` is, which does the same, where a scene would not end without the test.
    """
    number, unstopped = 1, 0
    while unstopped < _COLD_RUNS:
        again = warm or functools.partial(act, prepare())
        scene = prepare()
        Stepped(again, sys.maxsize, code).result()
        stepped = Stepped(functools.partial(act, scene), number, code)
        yield scene, stepped
        stepped.result()
        if stepped.stopped:
            number, unstopped = number + 1, 0
        else:
            unstopped += 1
    assert number > 1, "it has stopped nowhere: nothing was shown"


def held(lock: "threading.Lock | threading.RLock") -> bool:
    """Whether another thread holds `lock`: who stopped there must go on before anybody else can."""
    if lock.acquire(blocking=False):
        lock.release()
        return False
    return True
