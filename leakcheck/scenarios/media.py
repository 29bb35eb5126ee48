"""The media server of the other original's memory test: `src-memleak-test`.

A media server owns DSPs, on which it makes mixers. A mixing group spreads its members over mixers
on several DSPs. A broker of groups starts them, hands on what is meant for them, and lets them end.
Each client has a group: it creates it, has members join and leave, and destroys it.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, Literal

import threadpool_mb as mb
from benchmarks.measuring import run_threads, scaled
from leakcheck.scenarios.pools import lasting_pool, until_idle
from leakcheck.waiting import PATIENCE, StuckError

DSPS: Final = 100
GROUPS: Final = 1000
MEMBERS: Final = 4
_CLIENTS: Final = 4
"""Threads, each with one group after the other; in the original a thread for each group."""

type Event = tuple[Literal["joined", "left"], int]


@dataclasses.dataclass(frozen=True, slots=True)
class FetchDsps(mb.Command[frozenset[int]]):
    """Which DSPs have room."""


@dataclasses.dataclass(frozen=True, slots=True)
class CreateMixer(mb.Command[int]):
    """Make a mixer on a DSP; the reply is its number."""

    dsp: int


@dataclasses.dataclass(frozen=True, slots=True)
class AddToMixer(mb.Command[bool]):
    """Let a member be mixed."""

    mixer: int
    member: int


@dataclasses.dataclass(frozen=True, slots=True)
class RemoveFromMixer(mb.Command[bool]):
    """Let a member be mixed no more."""

    mixer: int
    member: int


@dataclasses.dataclass(frozen=True, slots=True)
class DestroyMixer(mb.Notice):
    """A mixer is not needed any more."""

    mixer: int


@dataclasses.dataclass(frozen=True, slots=True)
class CreateGroup(mb.Command[None]):
    """Start a group."""

    group: int


@dataclasses.dataclass(frozen=True, slots=True)
class DestroyGroup(mb.Command[None]):
    """End a group."""

    group: int


@dataclasses.dataclass(frozen=True, slots=True)
class Join(mb.Notice):
    """Have a member join a group, and tell `events`."""

    group: int
    member: int
    events: mb.Input[Event]


@dataclasses.dataclass(frozen=True, slots=True)
class Leave(mb.Notice):
    """Have a member leave a group, and tell `events`."""

    group: int
    member: int
    events: mb.Input[Event]


class MediaServer:
    """The DSPs and their mixers; one worker's."""

    def __init__(self) -> None:
        """Begin without mixers."""
        self._mixers: dict[int, set[int]] = {}
        self._last = 0

    def handle(self, request: mb.originals.Request) -> None:
        """Handle a request."""
        match request:
            case mb.Call(FetchDsps(), box):
                box.reply(frozenset(range(DSPS)))
            case mb.Call(CreateMixer(), box):
                self._last += 1
                self._mixers[self._last] = set()
                box.reply(self._last)
            case mb.Call(AddToMixer(mixer, member), box):
                self._mixers[mixer].add(member)
                box.reply(mixer in self._mixers)
            case mb.Call(RemoveFromMixer(mixer, member), box):
                self._mixers[mixer].discard(member)
                box.reply(mixer in self._mixers)
            case mb.Cast(DestroyMixer(mixer)):
                if self._mixers.pop(mixer):
                    raise StuckError(f"mixer {mixer} was in use")
            case _:
                raise StuckError(f"the media server got {request}")


class Group:
    """The members of a group, and the mixers that they are on."""

    def __init__(self, media: mb.Input[Any]) -> None:
        """Begin without members."""
        self._media: Final = media
        self._mixers: dict[int, tuple[int, set[int]]] = {}

    def handle(self, request: mb.originals.Request) -> bool:
        """Handle a request; return whether to go on."""
        match request:
            case mb.Call(CreateGroup(), box):
                box.reply(None)
            case mb.Call(DestroyGroup(), box):
                box.reply(None)
                return False
            case mb.Cast(Join(_, member, events)):
                self._join(member)
                events.deliver(("joined", member))
            case mb.Cast(Leave(_, member, events)):
                self._leave(member)
                events.deliver(("left", member))
            case _:
                raise StuckError(f"a group got {request}")
        return True

    def _ask[R](self, command: mb.Command[R]) -> R:
        return mb.call(self._media, command, timeout=PATIENCE)

    def _join(self, member: int) -> None:
        dsps = sorted(self._ask(FetchDsps()))
        dsp = dsps[member % len(dsps)]
        if dsp not in self._mixers:
            self._mixers[dsp] = (self._ask(CreateMixer(dsp)), set())
        mixer, members = self._mixers[dsp]
        if not self._ask(AddToMixer(mixer, member)):
            raise StuckError(f"member {member} was refused")
        members.add(member)

    def _leave(self, member: int) -> None:
        dsp = next(dsp for dsp, (_, members) in self._mixers.items() if member in members)
        mixer, members = self._mixers[dsp]
        self._ask(RemoveFromMixer(mixer, member))
        members.remove(member)
        if not members:
            del self._mixers[dsp]
            mb.cast(self._media, DestroyMixer(mixer))


class _Servers:
    """The workers: of the pool of servers, and of that of groups."""

    def __init__(self) -> None:
        self.servers: mb.Pool[str, mb.originals.Request] | None = None
        self.groups: mb.Pool[int, mb.originals.Request] | None = None

    def server(self, key: str) -> Generator[None, mb.originals.Request]:
        if key == "media":
            media = MediaServer()
            while True:
                media.handle((yield))
        while True:
            self._route((yield))

    def _route(self, request: mb.originals.Request) -> None:
        """Hand on to its group what comes to the broker of groups."""
        groups = self.groups
        if groups is None:
            raise StuckError("there are no groups")
        match request:
            case mb.Call(CreateGroup(group), _):
                groups.initialize(group)
                taken = mb.delegate(groups.ref(group), request)
            case mb.Call(DestroyGroup(group), _):
                taken = mb.delegate(groups.ref(group), request)
            case mb.Cast(Join(group) | Leave(group)):
                taken = groups.dispatch(group, request)
            case _:
                taken = False
        if not taken:
            raise StuckError(f"nobody has taken {request}")

    def group(self, _key: int) -> Generator[None, mb.originals.Request]:
        if self.servers is None:
            raise StuckError("there are no servers")
        group = Group(self.servers.ref("media"))
        while group.handle((yield)):
            pass


def _client(mixing: mb.Input[Any], groups: range) -> None:
    """Do with each group what a client does."""
    for group in groups:
        mailbox: mb.Mailbox[Event] = mb.Unlimited().create()
        events = mailbox.new_input()
        members = range(MEMBERS * group, MEMBERS * (group + 1))
        mb.call(mixing, CreateGroup(group), timeout=PATIENCE)
        for member in members:
            mb.cast(mixing, Join(group, member, events))
        _expect(mailbox, "joined", members)
        for member in members:
            mb.cast(mixing, Leave(group, member, events))
        _expect(mailbox, "left", members)
        mb.call(mixing, DestroyGroup(group), timeout=PATIENCE)


def _expect(mailbox: mb.Mailbox[Event], what: str, members: range) -> None:
    got = [mailbox.receive(timeout=PATIENCE) for _ in members]
    if got != [(what, member) for member in members]:
        raise StuckError(f"expected all of {members} to have {what}, got {got}")


@contextlib.contextmanager
def media(scale: float) -> Iterator[Callable[[], object]]:
    """The original's media server: 100 DSPs, 1,000 groups of 4 members, mixers made and destroyed.

    Calls, casts and delegated calls between a media server, a broker of groups, and groups; all are
    generator workers. The servers live over all rounds, the groups and their clients for a part of
    one.
    """
    count = scaled(GROUPS, scale)
    workers = _Servers()
    with lasting_pool(workers.server) as servers, lasting_pool(workers.group) as groups:
        workers.servers, workers.groups = servers, groups
        servers.initialize("media")
        servers.initialize("mixing")
        mixing = servers.ref("mixing")

        def work() -> None:
            parts = [range(first, count, _CLIENTS) for first in range(_CLIENTS)]
            run_threads(*(lambda part=part: _client(mixing, part) for part in parts))
            until_idle(groups)

        yield work
        workers.servers = workers.groups = None
