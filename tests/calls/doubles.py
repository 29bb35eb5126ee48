"""Commands that say what their receiver does with them, workers that obey, and where both meet."""

import dataclasses
from collections.abc import Callable, Generator
from typing import Any, Final, Literal

from tests.helpers import DEADLINE, Running, until
from tests.insides import roster_of
from tests.pool.witness import Gate
from threadpool_mb import (
    Call,
    CallError,
    Cast,
    Command,
    Input,
    Mailbox,
    MailboxConfig,
    Notice,
    Pool,
    Reply,
    ReplyBox,
    Unlimited,
)
from threadpool_mb.calls.answer import Answer
from threadpool_mb.calls.unanswered import tell_watchers
from threadpool_mb.dead_letters import inform
from threadpool_mb.line.inlet import IDLE
from threadpool_mb.originals import Request
from threadpool_mb.threads.here import Awaited

type Kind = Literal["function", "generator"]

KINDS: Final[tuple[Kind, ...]] = ("function", "generator")

END: Final = "end"
"""What a `Do` or a `Note` returns to end the worker that it runs in."""


ENDED: Final = frozenset({"worker ended", "its reply box was dropped"})
"""What the caller of a worker that returns may be told: the box may be freed before its end."""


class Boom(Exception):
    """Raised by a test's own code."""


@dataclasses.dataclass(frozen=True, slots=True)
class Echo(Command[str]):
    """Asks for its own text."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Tell(Notice):
    """Tells a number."""

    number: int


@dataclasses.dataclass(frozen=True, slots=True)
class Do(Command[Any]):
    """Has its receiver call a function with the call."""

    function: Callable[[Call[Any]], object]


@dataclasses.dataclass(frozen=True, slots=True)
class Note(Notice):
    """Has its receiver call a function."""

    function: Callable[[], object]


def doing(key: object) -> Generator[None, Any]:
    """Do what each call asks for, for ever; drop what else comes."""
    while True:
        match (yield):
            case Call(Do(function)) as call:
                function(call)
            case _:
                pass


def answer(function: Callable[[], object]) -> Do:
    """Ask for what `function` returns where it runs."""
    return Do(lambda received: received.reply_box.reply(function()))


def end(received: Call[Any]) -> str:
    """End the worker, without an answer."""
    return END


def fail(received: Call[Any]) -> None:
    """Let the worker fail, without an answer."""
    raise Boom


def keep(kept: list[Call[Any]]) -> Do:
    """Have the receiver keep the call in a list, and go on."""
    return Do(kept.append)


def obey(request: Request) -> bool:
    """Do what a request says; `False` at the end."""
    match request:
        case Call(Do(function)):
            return function(request) is not END
        case Call(Echo(text), box):
            box.reply(text)
        case Cast(Note(function)):
            return function() is not END
    return True


def work(key: object, mailbox: Mailbox[Request]) -> None:
    """Obey, as a function worker."""
    for request in mailbox:
        if not obey(request):
            return
        del request


def work_in_turns(key: object) -> Generator[None, Request]:
    """Obey, as a generator worker."""
    while obey((yield)):
        pass


WORKERS: Final[dict[Kind, Callable[..., Any]]] = {"function": work, "generator": work_in_turns}


class Place:
    """Makes pools, served mailboxes and gates for a test, and ends them with it."""

    def __init__(self) -> None:
        self._gates: Final[list[Gate]] = []
        self.pools: Final[list[Pool[Any, Any]]] = []
        """Those it has made."""
        self._served: Final[list[tuple[Mailbox[Any], Running[None]]]] = []

    def gate(self) -> Gate:
        """Return a gate that is opened at the end, if not before."""
        gate = Gate()
        self._gates.append(gate)
        return gate

    def pool(
        self,
        kind: Kind,
        *keys: object,
        worker: Callable[..., Any] | None = None,
        **options: Any,  # noqa: ANN401 - what `Pool` takes
    ) -> Pool[Any, Any]:
        """Make a pool with workers of these keys."""
        pool: Pool[Any, Any] = Pool(worker or WORKERS[kind], **options)
        self.pools.append(pool)
        for key in keys:
            assert pool.initialize(key)
        return pool

    def idle(self, *keys: object, **options: Any) -> Pool[Any, Any]:  # noqa: ANN401 - as above
        """Make a pool of generator workers that wait for their first message."""
        pool = self.pool("generator", *keys, **options)
        until_idle(pool, *keys)
        return pool

    def served(
        self,
        config: MailboxConfig | None = None,
        serve: Callable[[Mailbox[Any]], object] = lambda mailbox: work(None, mailbox),
    ) -> Input[Any]:
        """Create a mailbox that a thread of its own serves, and return its input."""
        mailbox: Mailbox[Any] = (Unlimited() if config is None else config).create()
        target = mailbox.new_input()
        self._served.append((mailbox, Running(lambda: (serve(mailbox), None)[1])))
        return target

    def hold(self, target: Input[Any]) -> Gate:
        """Stop whoever receives at a gate, and return it."""
        gate = self.gate()
        assert target.deliver(Cast(Note(gate)))
        gate.wait_until_reached()
        return gate

    def end(self) -> None:
        """Open the gates and wait for the end of all threads."""
        for gate in self._gates:
            gate.open()
        for pool in self.pools:
            pool.cancel()
        for mailbox, _ in self._served:
            mailbox.close()
        assert all(pool.join(timeout=DEADLINE).finished for pool in self.pools)
        for _, thread in self._served:
            thread.result()


def until_idle(pool: Pool[Any, Any], *keys: object) -> None:
    """Wait until these generator workers wait for a message: then they can be called inline."""
    for key in keys:
        lane: Any = roster_of(pool).routes[key].mailbox
        until(lambda lane=lane: lane.unattended == IDLE and not lane._busy.locked())


def until_waits(pool: Pool[Any, Any], key: object) -> None:
    """Wait until the key's worker waits for a reply."""
    worker = roster_of(pool).routes[key]
    until(lambda: worker.waits_for is not None)


def error_of(function: Callable[[], object]) -> CallError:
    """Return what the call raises that `function` makes."""
    try:
        value = function()
    except CallError as error:
        return error
    raise AssertionError(f"it has returned {value!r}")


def value_or_error(function: Callable[[], object]) -> object:
    """Return what a call returns, or the error that it raises."""
    try:
        return function()
    except CallError as error:
        return error


def answer_of(reply: Reply[Any]) -> Answer[Any]:
    """Return what a reply shows of."""
    return reply._answer


def not_handled(box: ReplyBox[Any], key: object, reason: str) -> None:
    """Do what happens to the message of a call that nobody will handle."""
    inform(Call(Command(), box), key, reason)


def asked() -> tuple[Reply[Any], ReplyBox[Any]]:
    """Return both ends of a call that nobody has delivered."""
    reply: Reply[Any] = Reply(Answer())
    return reply, ReplyBox(answer_of(reply))


class FakeWorker:
    """Who has a call, without a pool: it ends when the test says so."""

    end_reason: Final = "worker removed"

    def __init__(self, key: str = "a") -> None:
        self.key = key
        self.title = f"fake {key!r}"
        self.gone = False
        self.watchers: dict[Awaited, None] | None = None
        self.waits_for: Awaited | None = None
        self.predecessor: FakeWorker | None = None
        self.home = None
        self.end_error: BaseException | None = None
        self.nudged = 0

    def nudge(self) -> None:
        """Count."""
        self.nudged += 1

    def end(self) -> None:
        """End, and tell those who watch."""
        tell_watchers(self)

    @property
    def watched(self) -> bool:
        """Whether anybody watches."""
        return bool(self.watchers)


def held_by(worker: FakeWorker) -> tuple[Reply[Any], ReplyBox[Any]]:
    """Return both ends of a call that `worker` has."""
    reply, box = asked()
    answer_of(reply).holder = worker
    return reply, box
