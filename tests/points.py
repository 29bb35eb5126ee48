"""Running something wherever the interpreter runs signal handlers and finalizers.

That is where a Python function begins, and after a call of a C function; never between two other
instructions (but for the end of a loop, which is not staged). `tests/mailbox/stepping.py` stops a
thread for another one; this runs a handler on the same thread, in the middle of the package's code.
"""

import contextlib
import dis
import functools
import gc
import itertools
import pathlib
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

import threadpool_mb
from tests.strides import STRIDE

_CODE: Final = str(pathlib.Path(threadpool_mb.__file__).parent)

_NOT_HERE: Final = frozenset({"sweep", "_bury", "take", "displaced", "_displaced"})
"""Where nothing is run: what has a single message in hand that dies, which an interrupt may cost;
nor is it in finalizers, whose errors the interpreter prints and drops."""


def _in_finalizer(frame: FrameType | None) -> bool:
    while frame is not None:
        # Or in the callback of a weak reference: the threads' `WeakSet` has one.
        if frame.f_code.co_name == "__del__" or frame.f_code.co_filename.endswith("_weakrefset.py"):
            return True
        frame = frame.f_back
    return False


def _maybe_closed(frame: FrameType) -> bool:
    # `any` drops a generator expression at a `yield`. 3.14 tells of its close as of a call of it;
    # no signal is handled there, and what a handler raises there is printed and dropped.
    return frame.f_code.co_name == "<genexpr>" and any(
        each.opname == "YIELD_VALUE" and each.offset < frame.f_lasti
        for each in dis.get_instructions(frame.f_code)
    )


def _ours(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_filename.startswith(_CODE)


class Point:
    """The `number`-th point of a function: `handler` runs there, on the function's own thread.

    Points are in the package's own code, and where a function begins that it calls.
    """

    def __init__(self, number: int, handler: Callable[[], object]) -> None:
        self._left = number
        self._handler: Final = handler

    @property
    def reached(self) -> bool:
        """Whether the function had so many points."""
        return self._left <= 0

    def run(self, function: Callable[[], object]) -> object:
        """Call `function`; what it or the handler raises passes.

        The collector does not run meanwhile. It comes when others have made enough garbage, and
        what it ends and calls back in the middle of the package's code are no points of that: what
        a handler raises there is printed and dropped.
        """
        collects = gc.isenabled()
        gc.disable()
        sys.setprofile(self._passing)
        try:
            return function()
        finally:
            sys.setprofile(None)
            if collects:
                gc.enable()

    def _passing(self, frame: FrameType, event: str, arg: object) -> None:
        callers = (frame, frame.f_back)
        if any(each is not None and each.f_code.co_name in _NOT_HERE for each in callers):
            return
        begins = event == "call" and (_ours(frame) or _ours(frame.f_back))
        returns = event == "c_return" and _ours(frame)
        # Not as a lock is entered: on 3.14 an interrupt there leaves it held (gh-148874).
        here = begins or (returns and getattr(arg, "__name__", "") != "__enter__")
        if here and not _in_finalizer(frame) and not _maybe_closed(frame):
            self._left -= 1
            if self._left == 0:
                self._handler()


def at_each_point[S](
    prepare: Callable[[], S], act: Callable[[S], object], handler: Callable[[S], object]
) -> Iterator[S]:
    """Prepare a scene and act in it, again and again; at the first, second … point handle it.

    The last time the handler is not called. With a stride, points between are left out
    (`tests/strides.py`).
    """
    for number in itertools.count(1, STRIDE):
        scene = prepare()
        point = Point(number, functools.partial(handler, scene))
        point.run(functools.partial(act, scene))
        yield scene
        if not point.reached:
            return


def interrupted_at_each_point[S](
    prepare: Callable[[], S], act: Callable[[S], object]
) -> Iterator[S]:
    """Prepare a scene and act in it, again and again; at the first, second … point interrupt it."""

    def act_or_not(scene: S) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            act(scene)

    return at_each_point(prepare, act_or_not, interrupt)


def interrupt(*_: object, **__: object) -> None:
    """Be interrupted."""
    raise KeyboardInterrupt
