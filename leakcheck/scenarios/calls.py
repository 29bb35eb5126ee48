"""Calls: answered, failed, timed out, dropped, delegated, and what else may become of them."""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, Literal, assert_never

import threadpool_mb as mb
from benchmarks.measuring import run_threads, scaled
from leakcheck.scenarios.pools import THREADS, lasting_pool, until_idle
from leakcheck.waiting import PATIENCE

COUNT: Final = 100
_TIMEOUT: Final = 0.002
"""Seconds, of calls that are to time out."""


class ServerError(Exception):
    """What a server raises, or answers with."""


type _What = Literal[
    "reply", "twice", "fail", "raise", "drop", "delegate", "late", "return", "ask itself"
]


@dataclasses.dataclass(frozen=True, slots=True)
class Ask(mb.Command[int]):
    """A command that says what is to become of it."""

    what: _What


@dataclasses.dataclass(frozen=True, slots=True)
class Tell(mb.Notice):
    """A notice."""

    number: int


class Servers:
    """Workers that answer; those with an odd key delegate to the one before."""

    def __init__(self) -> None:
        """Know no pool yet."""
        self.pool: mb.Pool[int, mb.originals.Request] | None = None
        self._kept: dict[int, mb.ReplyBox[Any]] = {}

    def worker(self, key: int) -> Generator[None, mb.originals.Request]:
        """Answer until told to return."""
        while True:
            request = yield
            if not self._serve(key, request):
                return
            del request  # else it is held until the next one comes

    def _serve(self, key: int, request: mb.originals.Request) -> bool:
        match request:
            case mb.Cast(Tell()):
                if (late := self._kept.pop(key, None)) is not None:
                    late.reply(key)
            case mb.Call(Ask(what), box):
                return self._answer(key, what, box, request)
            case _:
                raise ServerError(request)
        return True

    def _answer(self, key: int, what: _What, box: mb.ReplyBox[Any], request: mb.Call[Any]) -> bool:
        match what:
            case "reply":
                box.reply(key)
            case "twice":
                box.reply(key)
                with contextlib.suppress(mb.DuplicateReply):
                    box.reply(key)
            case "fail":
                box.fail(ServerError(what))
            case "raise":
                raise ServerError(what)
            case "drop":
                pass
            case "delegate" if self.pool is not None:
                mb.delegate(self.pool.ref(key - 1), request, Ask("reply"))
            case "late":
                self._kept[key] = box
            case "ask itself" if self.pool is not None:
                with contextlib.suppress(mb.CallDeadlock):
                    mb.call(self.pool.ref(key), Ask("reply"))
                box.reply(key)
            case "return" | "delegate" | "ask itself":
                return False
            case _:
                assert_never(what)
        return True


def _call_all(pool: mb.Pool[int, mb.originals.Request], key: int) -> None:
    """Make one call of each kind to the servers `key` and `key + 1`."""
    target, neighbour = pool.ref(key), pool.ref(key + 1)
    pool.initialize(key)
    pool.initialize(key + 1)
    mb.cast(target, Tell(key))
    mb.call(target, Ask("reply"))
    mb.call(target, Ask("twice"), timeout=PATIENCE)
    mb.call(neighbour, Ask("delegate"), timeout=PATIENCE)
    mb.call(target, Ask("ask itself"), timeout=PATIENCE)
    _expect(mb.CallFailed, target, Ask("fail"), None)
    _expect(mb.WorkerGone, target, Ask("drop"), PATIENCE)
    _expect(mb.CallTimedOut, target, Ask("late"), _TIMEOUT)
    mb.cast(target, Tell(key))  # the late reply
    reply = mb.ask(target, Ask("reply"))
    reply.add_done_callback(_look)
    reply.as_future().result(PATIENCE)
    mb.ask(target, Ask("reply"))  # dropped
    mb.ask(target, Ask("fail")).as_future()  # dropped
    _expect(mb.CallFailed, target, Ask("raise"), PATIENCE)
    _expect(mb.WorkerGone, neighbour, Ask("return"), PATIENCE)


def _expect(
    error: type[Exception], target: mb.Input[Any], command: Ask, timeout: float | None
) -> None:
    try:
        mb.call(target, command, timeout=timeout)
    except error:
        return
    except mb.WorkerGone:
        # A worker that raises has dropped its box as well: whichever comes first is the answer.
        if command.what == "raise":
            return
        raise
    raise ServerError(f"{command} was answered")


def _look(reply: mb.Reply[int]) -> None:
    reply.try_result()


@contextlib.contextmanager
def calls(scale: float) -> Iterator[Callable[[], object]]:
    """Calls answered, failed, timed out, dropped, delegated, late, and to nobody.

    To workers of a pool that lives over all rounds, from two threads, each of which is handled on
    the caller's thread where that can be; and to mailboxes that have no pool.
    """
    count = scaled(COUNT, scale)
    servers = Servers()
    with lasting_pool(servers.worker) as pool:
        servers.pool = pool

        def call_some(first: int) -> None:
            for key in range(first, 2 * count, 2 * THREADS):
                _call_all(pool, key)
                with contextlib.suppress(mb.CallNotDelivered):
                    mb.call(pool.ref(-1 - key), Ask("reply"))

        def work() -> None:
            run_threads(*(lambda first=2 * n: call_some(first) for n in range(THREADS)))
            until_idle(pool)
            for _ in range(count):
                _call_mailboxes()

        yield work
        servers.pool = None


def _call_mailboxes() -> None:
    """Call where a mailbox is all there is: full, closed, dropped with the call, and answered."""
    full: mb.Mailbox[mb.Call[int]] = mb.NonBlocking(1).create()
    target = full.new_input()
    waiting = mb.ask(target, Ask("reply"))
    with contextlib.suppress(mb.CallNotDelivered):
        mb.call(target, Ask("reply"))
    request = full.receive(timeout=0)
    thread = threading.Thread(target=request.reply_box.reply, args=(1,))
    thread.start()
    waiting.result(timeout=PATIENCE)
    thread.join(PATIENCE)
    mb.ask(target, Ask("reply"))
    full.close()
    with contextlib.suppress(mb.CallNotDelivered):
        mb.call(target, Ask("reply"))
    full.abandon()  # its call is answered: WorkerGone
