"""One cell of `benchmarks.lifecycle`, in a process of its own: a state, and an end."""

import asyncio
import atexit
import concurrent.futures
import contextlib
import gc
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Generator
from typing import Any, Final, Protocol

import threadpool_mb as mb

WORK_SECONDS: Final = 1.5
"""How long the user's code takes with a message that is work."""

WAITING: Final = 4
"""Messages that wait behind that one."""


class Ask(mb.Command[str]):
    """What is asked, and answered after some work."""


def note(line: str) -> None:
    """Write a line into the ledger, in one step."""
    os.write(_ledger, f"{line}\n".encode())


_ledger: int = -1
_dropped: list[object] = []


def work(message: object) -> None:
    """Handle a message."""
    if message == "work" or isinstance(message, mb.Call):
        time.sleep(WORK_SECONDS)
    if isinstance(message, mb.Call):
        message.reply_box.reply("answer")
    else:
        note("handled")


def in_turns(_key: str) -> Generator[None, object]:
    """Work as a generator."""
    while True:
        work((yield))


def owns_a_thread(_key: str, mailbox: mb.Mailbox[object]) -> None:
    """Work as a function."""
    for message in mailbox:
        work(message)


class Thing(Protocol):
    """What is in a state."""

    def send(self, message: str) -> None:
        """Have it take a message, and note whether it has."""

    def drain(self) -> None:
        """Shut it down within a grace period."""


class PoolThing:
    """A pool with one worker."""

    def __init__(self, worker: Any, mailbox: mb.MailboxConfig | None = None) -> None:  # noqa: ANN401
        """Start the worker."""
        self.pool: Final[mb.Pool[str, Any]] = mb.Pool(
            worker, mailbox=mailbox, on_dead_letter=lambda _: note("dead"), inline_calls=False
        )
        self.pool.initialize("key")

    def send(self, message: str) -> None:
        """Dispatch."""
        with contextlib.suppress(mb.PoolClosed):
            if self.pool.dispatch("key", message):
                note("accepted")

    def drain(self) -> None:
        """Drain."""
        self.pool.drain(timeout=10)


class ExecutorThing:
    """An executor with one thread."""

    def __init__(self, executor: Any) -> None:  # noqa: ANN401 - either kind
        """Use `executor`."""
        self.executor: Final = executor
        self.future: Any = None

    def send(self, message: str) -> None:
        """Submit."""
        try:
            self.future = self.executor.submit(work, message)
        except RuntimeError:
            return
        note("accepted")
        # One that was cancelled is told, as a dead letter is.
        self.future.add_done_callback(lambda future: future.cancelled() and note("dead"))

    def drain(self) -> None:
        """Shut it down."""
        self.executor.shutdown()


class BrokerThing:
    """A broker with one resource."""

    def __init__(self) -> None:
        """Create the resource."""
        config: mb.BrokerConfig[Any, str, Any, int] = mb.BrokerConfig(
            demultiplex=lambda message: (
                message if isinstance(message, mb.Initialize) else mb.Dispatch("key", message)
            ),
            create=lambda *_: 1,
            handle=lambda _key, message, _resource: work(message),
            clean=lambda *_: None,
        )
        self.broker: Final = mb.Broker(config, on_dead_letter=lambda _: note("dead"))
        self.broker.input.deliver(mb.Initialize("key"))

    def send(self, message: str) -> None:
        """Deliver."""
        with contextlib.suppress(mb.MailboxClosed):
            if self.broker.input.deliver(message):
                note("accepted")

    def drain(self) -> None:
        """Drain."""
        self.broker.drain(timeout=10)


type State = tuple[Thing, Callable[[], object] | None]
"""What is in the state; and what a thread waits in, if any does."""


def _tpe() -> ExecutorThing:
    return ExecutorThing(concurrent.futures.ThreadPoolExecutor(1))


def _keyed() -> ExecutorThing:
    return ExecutorThing(mb.KeyedExecutor(1))


def _idle(thing: Thing) -> State:
    thing.send("first")
    return thing, None


def _busy(thing: Thing) -> State:
    for message in ("work", *["more"] * WAITING):
        thing.send(message)
    return thing, None


def _deliver() -> State:
    thing, _ = _busy(PoolThing(in_turns, mb.Blocking(WAITING)))
    return thing, lambda: thing.send("waits for room")


def _call(**options: Any) -> State:  # noqa: ANN401
    thing = PoolThing(in_turns)
    _busy(thing)
    return thing, lambda: mb.call(thing.pool.ref("key"), Ask(), **options)


def _join(worker: Any) -> State:  # noqa: ANN401
    thing = PoolThing(worker)
    _busy(thing)

    def join() -> None:
        thing.pool.close()
        thing.pool.join()

    return thing, join


def _with(worker: Any) -> State:  # noqa: ANN401
    thing = PoolThing(worker)
    _busy(thing)

    def leave() -> None:
        with thing.pool:
            pass

    return thing, leave


def _drain(thing: Thing) -> State:
    _busy(thing)
    return thing, thing.drain


def _result(thing: ExecutorThing) -> State:
    _busy(thing)
    return thing, thing.future.result


def _acall() -> State:
    thing = PoolThing(in_turns)
    _busy(thing)
    return thing, lambda: asyncio.run(mb.aio.call(thing.pool.ref("key"), Ask()))


def _deliver_async() -> State:
    thing, _ = _busy(PoolThing(in_turns, mb.Blocking(WAITING)))

    async def deliver() -> None:
        with contextlib.suppress(mb.PoolClosed):
            if await mb.aio.deliver(thing.pool.ref("key"), "waits for room"):  # type: ignore[attr-defined]
                note("accepted")

    return thing, lambda: asyncio.run(deliver())


def _asyncio(thing: ExecutorThing) -> State:
    thing.send("work")

    async def run() -> None:
        await asyncio.get_running_loop().run_in_executor(thing.executor, work, "work")

    def waits() -> None:
        note("accepted")
        asyncio.run(run())

    return thing, waits


STATES: Final[dict[str, Callable[[], State]]] = {
    "generator, idle": lambda: _idle(PoolThing(in_turns)),
    "generator, busy": lambda: _busy(PoolThing(in_turns)),
    "function, idle": lambda: _idle(PoolThing(owns_a_thread)),
    "function, busy": lambda: _busy(PoolThing(owns_a_thread)),
    "in deliver": _deliver,
    "in call": _call,
    "in call with timeout": lambda: _call(timeout=60),
    "in join": lambda: _join(in_turns),
    "in join, function": lambda: _join(owns_a_thread),
    "in with": lambda: _with(in_turns),
    "in with, function": lambda: _with(owns_a_thread),
    "in aio.call": _acall,
    "in aio.deliver": _deliver_async,
    "broker, idle": lambda: _idle(BrokerThing()),
    "broker, busy": lambda: _busy(BrokerThing()),
    "broker, in drain": lambda: _drain(BrokerThing()),
    "keyed, idle": lambda: _idle(_keyed()),
    "keyed, busy": lambda: _busy(_keyed()),
    "keyed, in result": lambda: _result(_keyed()),
    "keyed, in shutdown": lambda: _drain(_keyed()),
    "keyed, in asyncio": lambda: _asyncio(_keyed()),
    "tpe, idle": lambda: _idle(_tpe()),
    "tpe, busy": lambda: _busy(_tpe()),
    "tpe, in result": lambda: _result(_tpe()),
    "tpe, in shutdown": lambda: _drain(_tpe()),
    "tpe, in asyncio": lambda: _asyncio(_tpe()),
}

ENDS: Final[dict[str, tuple[signal.Signals, ...]]] = {
    "exit": (),
    "exception": (),
    "Ctrl-C": (signal.SIGINT,),
    "Ctrl-C twice": (signal.SIGINT, signal.SIGINT),
    "SIGTERM": (signal.SIGTERM,),
    "fork": (signal.SIGUSR1,),
    "finalizer": (),
    "subinterpreter": (),
}
"""The signals that an end consists of; none, if the process comes to it by itself."""


def cell(state: str, end: str, ledger: int) -> None:
    """Come into a state, and to an end."""
    global _ledger  # noqa: PLW0603 - one for the process
    _ledger = ledger
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
    thing, wait = STATES[state]()
    if not ENDS[end]:
        _end_by_itself(thing, wait, end)
        return

    def drain_and_exit(*_: object) -> None:
        thing.drain()
        sys.exit()

    # Where this runs in the background of a shell, the signal is ignored, also by children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, drain_and_exit)
    signal.signal(signal.SIGUSR1, _fork)
    note("ready")
    try:
        if wait is not None:
            wait()
        while end != "fork" or not _forked:
            time.sleep(0.05)
    except (mb.MailboxClosed, mb.CallError, RuntimeError):
        if end != "fork":
            raise
    if not _forked[0]:
        note("child-fine")


_forked: list[int] = []


def _fork(*_: object) -> None:
    """Fork; the child goes on with what the thread has been doing, and exits."""
    pid = os.fork()
    _forked.append(pid)
    if not pid:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(5)
        return
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == -signal.SIGALRM:
        note("child-hangs")
    elif code:
        note(f"child-exit-{code}")


class Late:
    """Uses a pool or an executor as it is finalized."""

    def __init__(self, thing: Thing) -> None:
        """Use `thing`."""
        self.thing: Final = thing

    def __del__(self) -> None:
        """Send."""
        self.thing.send("late")


def _end_by_itself(thing: Thing, wait: Callable[[], object] | None, end: str) -> None:
    if wait is not None:
        threading.Thread(target=_until_refused, args=(wait,)).start()
        time.sleep(0.1)
    note("ready")
    if end == "finalizer":
        # One is finalized now, by the garbage collector; one as the interpreter ends.
        cycle: list[object] = [Late(thing)]
        cycle.append(cycle)
        del cycle
        gc.collect()
        _dropped.append(Late(thing))
        atexit.register(thing.send, "later")
    if end == "exception":
        raise ZeroDivisionError("as planned")


def _until_refused(wait: Callable[[], object]) -> None:
    with contextlib.suppress(mb.MailboxClosed, mb.CallError, RuntimeError):
        wait()


def _in_subinterpreter(state: str, ledger: int) -> None:
    code = f"""
import sys
sys.path[:] = {sys.path!r}
from benchmarks.lifecycle_cell import cell
cell({state!r}, "exit", {ledger})
"""
    if sys.version_info >= (3, 14):
        from concurrent import interpreters  # noqa: PLC0415 - not there before

        interpreter = interpreters.create()
        interpreter.exec(code)
        interpreter.close()
    else:
        import _interpreters  # noqa: PLC0415 - not there after

        number = _interpreters.create()
        _interpreters.exec(number, code)
        _interpreters.destroy(number)


if __name__ == "__main__":
    _state, _end, _path = sys.argv[1:]
    _file = os.open(_path, os.O_WRONLY | os.O_APPEND)
    if _end == "subinterpreter":
        _in_subinterpreter(_state, _file)
    else:
        cell(_state, _end, _file)
