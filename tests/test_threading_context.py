"""`new_thread`: a thread of the library keeps nothing of whoever has started it."""

import contextvars
import gc
import threading
import weakref

from tests.helpers import Running
from threadpool_mb.threads.launching import new_thread

VARIABLE: contextvars.ContextVar[object] = contextvars.ContextVar("VARIABLE", default="unset")


class Value:
    """Something that a context holds, and that can be referred to weakly."""


def test_a_thread_begins_with_an_empty_context_and_keeps_nothing_of_its_starters() -> None:
    seen = []
    held, go = threading.Event(), threading.Event()

    def run() -> None:
        seen.append(VARIABLE.get())
        held.set()
        go.wait(15)

    def start() -> tuple[threading.Thread, "weakref.ref[Value]"]:
        value = Value()
        VARIABLE.set(value)
        thread = new_thread(run, "named")
        thread.start()
        return thread, weakref.ref(value)

    # The starter's context ends with its thread.
    thread, reference = Running(start).result()
    assert held.wait(15)
    gc.collect()
    kept = reference()
    go.set()
    thread.join(15)

    assert seen == ["unset"]
    assert kept is None
    assert (thread.name, thread.daemon) == ("named", False)
