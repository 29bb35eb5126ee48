"""Stopping a thread before any one bytecode instruction of the package's own code.

A staged race says where a thread stops; this goes through all the places where it could. Left out
are instructions that touch nothing but the thread's own frame: no other thread could tell whether
it has stopped before them or before the next one that does. One that may drop the last reference to
something is no such instruction.
"""

import contextlib
import dis
import functools
import itertools
import pathlib
import sys
import threading
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

import pytest

from tests.helpers import DEADLINE, Running
from tests.strides import STRIDE
from threadpool_mb.mailbox import sending

STEPS: Final = pytest.mark.timeout(120)
"""For tests that go through `each_step`: some 300 scenes, with up to six threads each, two of which
are monitored. They take 2 s of processor time; but each hand-over from thread to thread waits for a
turn on the processor: it took 48 s beside a load of 14 on 2 cores.
"""

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


_MONITOR: Final = sys.monitoring.PROFILER_ID
_INSTRUCTION: Final = sys.monitoring.events.INSTRUCTION

_steppers: Final[dict[int, "Stepped[Any]"]] = {}
"""Those that have not stopped yet, by their threads."""
_places: Final[dict[int, frozenset[int]]] = {}
"""Where they may stop, by the `id` of what is monitored: the hash of code reads all of it."""


def _on_instruction(code: CodeType, offset: int) -> None:
    stepper = _steppers.get(threading.get_ident())
    if stepper is not None and offset in _places[id(code)]:
        stepper.step()


def _codes_in(prefix: str | tuple[str, ...]) -> set[CodeType]:
    """Return the code of all functions of the modules whose files' names begin so."""
    found: set[CodeType] = set()
    seen: set[int] = set()
    left: list[Any] = [
        module
        for module in list(sys.modules.values())
        if str(getattr(module, "__file__", None)).startswith(prefix)
    ]
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, CodeType):
            if each.co_filename.startswith(prefix):
                found.add(each)
            left += each.co_consts
        elif isinstance(each, (ModuleType, type)):
            left += vars(each).values()
        elif isinstance(each, property):
            left += [each.fget, each.fset]
        elif isinstance(each, (staticmethod, classmethod, FunctionType)):
            left += [getattr(each, "__code__", None), getattr(each, "__wrapped__", None)]
    return found


@contextlib.contextmanager
def _monitored(prefix: str | tuple[str, ...]) -> Iterator[None]:
    """Have threads report each instruction of some modules.

    Not by `sys.settrace`: a function reports nothing to it where a thread that is not traced has
    run it since, until it has run once more.
    """
    monitoring, codes = sys.monitoring, _codes_in(prefix)
    assert codes, f"there is no code in {prefix}"
    _places.update((id(code), _shared(code)) for code in codes)
    monitoring.use_tool_id(_MONITOR, "stepping")
    monitoring.register_callback(_MONITOR, _INSTRUCTION, _on_instruction)
    try:
        for code in codes:
            monitoring.set_local_events(_MONITOR, code, _INSTRUCTION)
        yield
    finally:
        for code in codes:
            monitoring.set_local_events(_MONITOR, code, 0)
        monitoring.register_callback(_MONITOR, _INSTRUCTION, None)
        monitoring.free_tool_id(_MONITOR)


class Stepped[T]:
    """A function in its own thread, which stops before the `stop_at`-th instruction that counts."""

    def __init__(self, function: Callable[[], T], stop_at: int) -> None:
        self._function: Final = function
        self._left = stop_at
        self._stopped = False
        # That it has stopped or ended. Waited for without looking again and again: a busy machine
        # would spend the thread's time on that, and there are hundreds of steps in a test.
        self._rests: Final = threading.Event()
        self._go: Final = threading.Event()
        self._thread: Final = Running(self._run)
        assert self._rests.wait(DEADLINE), "the thread neither stopped nor ended"

    def _run(self) -> T:
        me = threading.get_ident()
        _steppers[me] = self
        try:
            return self._function()
        finally:
            _steppers.pop(me, None)
            self._rests.set()

    def step(self) -> None:
        """Count one instruction, on its thread; stop before the one that was asked for."""
        self._left -= 1
        if self._left == 0:
            # What follows need not be counted.
            del _steppers[threading.get_ident()]
            self._stopped = True
            self._rests.set()
            assert self._go.wait(DEADLINE), "the test has not let the thread go"

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
) -> Iterator[tuple[S, Stepped[object]]]:
    """Prepare a scene and act in it, again and again, stopped at the first, second … last step.

    The last time `act` does not stop. With a stride, steps between are left out
    (`tests/strides.py`).
    """
    with _monitored(code):
        for number in itertools.count(1, STRIDE):
            scene = prepare()
            stepped = Stepped(functools.partial(act, scene), number)
            yield scene, stepped
            stepped.result()
            if not stepped.stopped:
                break
    assert number > 1, "it has stopped nowhere: nothing was shown"


def held(lock: "threading.Lock | threading.RLock") -> bool:
    """Whether another thread holds `lock`: who stopped there must go on before anybody else can."""
    if lock.acquire(blocking=False):
        lock.release()
        return False
    return True
