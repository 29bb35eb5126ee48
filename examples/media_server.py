"""A media server: group calls whose members are mixed on DSPs, which may go away.

Shows workers of several kinds that call each other, an answer that is given much later, and what
callers are told when a worker is gone. Read: the messages; `Dsp`, which mixes; `Placer`, which
finds a DSP with room; `Group`, one group call, above all `_mix` and `_lease_ended`.

Leans on:

- **Everyone is answered.** A group calls its DSP with a `Lease`, which is answered when the mixer
  is needed no more. If the DSP goes before that, the answer is `WorkerGone`: so the group learns it
  at once and takes its members elsewhere. (Who calls one that has gone gets `CallNotDelivered`.)
- **Draining.** Pools are left in reverse order: those below are there until the groups have ended.

Nobody waits for himself: groups call the placer and DSPs, the placer calls DSPs, and these call
nobody. What goes up is a cast. (Calls in a circle would raise `CallDeadlock`.)
"""

import contextlib
import functools
from collections import Counter
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Final, Self

import threadpool_mb as mb

type Workers = mb.Pool[str, mb.originals.Request]

GONE: Final = (mb.WorkerGone, mb.CallNotDelivered)


@dataclass(frozen=True, slots=True)
class CreateMixer(mb.Command[int | None]):
    """For a DSP: make a mixer; the answer is its number, or `None` if there is no room."""


@dataclass(frozen=True, slots=True)
class Lease(mb.Command[None]):
    """For a DSP: answer when this mixer is needed no more."""

    mixer: int


@dataclass(frozen=True, slots=True)
class Mix(mb.Command[bool]):
    """For a DSP: mix these in this mixer, which goes if there are none; `False` if it has gone."""

    mixer: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A mixer on a DSP."""

    dsp: str
    mixer: int


@dataclass(frozen=True, slots=True)
class PlaceMixer(mb.Command[Place | None]):
    """For the placer: make a mixer on some DSP; the answer is `None` if there is no room."""


@dataclass(frozen=True, slots=True)
class PlaceLost(mb.Notice):
    """For a group: its DSP is gone."""

    place: Place
    why: str


@dataclass(frozen=True, slots=True)
class Mixed:
    """For a member: where it is mixed from now on; nowhere, and no member any more, if `None`."""

    dsp: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Join(mb.Command[bool]):
    """For a group: mix this member, and tell it where; `False` if there is no room."""

    member: str
    inbox: mb.Input[Mixed]


@dataclass(frozen=True, slots=True)
class Leave(mb.Command[None]):
    """For a group: mix this member no more."""

    member: str


class Dsp:
    """Mixes, as far as it has room."""

    def __init__(self, room: int, numbers: mb.originals.Counter) -> None:
        self.mixers: dict[int, tuple[str, ...]] = {}
        self._leases: dict[int, mb.ReplyBox[None]] = {}
        self._room = room
        self._numbers = numbers

    @mb.handles(CreateMixer)
    def create(self, _: CreateMixer) -> int | None:
        if len(self.mixers) == self._room:
            return None
        mixer = self._numbers.increment_and_get()
        self.mixers[mixer] = ()
        return mixer

    @mb.handles_call(Lease)
    def lease(self, received: mb.Call[None]) -> None:
        command = received.command
        if isinstance(command, Lease) and command.mixer in self.mixers:
            self._leases[command.mixer] = received.reply_box  # else dropped: `WorkerGone`

    @mb.handles(Mix)
    def mix(self, command: Mix) -> bool:
        if command.mixer not in self.mixers:
            return False
        self.mixers[command.mixer] = command.members
        if not command.members:
            del self.mixers[command.mixer]
            self._leases.pop(command.mixer).reply(None)
        return True


class Placer:
    """Finds a DSP with room, the least used one first."""

    def __init__(self, dsps: Workers) -> None:
        self._dsps = dsps
        self._placed: Counter[str] = Counter()

    @mb.handles(PlaceMixer)
    def place(self, _: PlaceMixer) -> Place | None:
        for dsp in sorted(self._dsps.keys(), key=lambda name: (self._placed[name], name)):
            with contextlib.suppress(*GONE):  # since its name was read
                mixer: int | None = mb.call(self._dsps.ref(dsp), CreateMixer())
                if mixer is not None:
                    self._placed[dsp] += 1
                    return Place(dsp, mixer)
        return None


class Group:
    """One group call: it has a place as long as it has members."""

    def __init__(self, name: str, groups: Workers, placer: Workers, dsps: Workers) -> None:
        self._me, self._placer, self._dsps = groups.ref(name), placer.ref("placer"), dsps
        self._members: dict[str, mb.Input[Mixed]] = {}
        self._place: Place | None = None

    @mb.handles(Join)
    def join(self, command: Join) -> bool:
        self._members[command.member] = command.inbox
        self._mix(f"{command.member} joined")
        return command.member in self._members

    @mb.handles(Leave)
    def leave(self, command: Leave) -> None:
        if self._members.pop(command.member, None) is not None:
            self._mix(f"{command.member} left")

    @mb.handles(PlaceLost)
    def place_lost(self, notice: PlaceLost) -> None:
        if self._place == notice.place:  # unless that was noticed before
            self._place = None
            self._mix(notice.why)

    def _mix(self, why: str) -> None:
        """Have the members mixed, elsewhere if need be; tell them where, and why."""
        while place := self._place or self._find_place():
            try:
                if mb.call(self._dsps.ref(place.dsp), Mix(place.mixer, tuple(self._members))):
                    break
            except GONE as error:
                why = type(error).__name__
            self._place = None
        self._place = place if self._members else None
        for inbox in self._members.values():
            inbox.deliver(Mixed(None if place is None else place.dsp, why))
        if place is None:
            self._members.clear()

    def _find_place(self) -> Place | None:
        place: Place | None = mb.call(self._placer, PlaceMixer())
        if place is not None:
            lease = mb.ask(self._dsps.ref(place.dsp), Lease(place.mixer))
            lease.add_done_callback(functools.partial(self._lease_ended, place))
        return place

    def _lease_ended(self, place: Place, lease: mb.Reply[None]) -> None:
        """Have the group told if its DSP is gone. Runs on whichever thread gives the answer."""
        try:
            lease.result()
        except GONE as error:
            with contextlib.suppress(mb.MailboxClosed):  # the groups end as well
                mb.cast(self._me, PlaceLost(place, type(error).__name__))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._members.clear()
        if self._place:
            self._mix("the group ends")


@contextlib.contextmanager
def media_server(rooms: Mapping[str, int]) -> Generator[tuple[Workers, Workers]]:
    """Run a DSP for each name, with room for so many mixers; yield the groups and the DSPs."""
    numbers = mb.originals.Counter()
    dsps: Workers = mb.Pool(
        mb.server(lambda name: Dsp(rooms[name], numbers)),
        on_dead_letter=lambda _: None,  # all of them are calls, and who sent them is told
    )
    placer: Workers = mb.Pool(mb.server(lambda _: Placer(dsps)))
    groups: Workers = mb.Pool(mb.server(lambda name: Group(name, groups, placer, dsps)))
    with dsps, placer, groups:
        for name in rooms:
            dsps.initialize(name)
        placer.initialize("placer")
        yield groups, dsps


def main() -> None:
    """Print where two group calls are mixed, while one DSP after the other goes away."""
    inboxes: dict[str, mb.Mailbox[Mixed]] = {}

    def show(*members: str) -> None:
        for member in members:
            print(f"{member}: {inboxes[member].receive()}")

    with media_server({"dsp-1": 2, "dsp-2": 2}) as (groups, dsps):
        for member, group in (("ann", "daily"), ("bob", "daily"), ("cid", "lunch")):
            groups.initialize(group)
            inboxes[member] = mb.Unlimited().create()
            mb.call(groups.ref(group), Join(member, inboxes[member].new_input()))
        show("ann", "ann", "bob", "cid")
        dsps.remove("dsp-1")
        show("ann", "bob")
        dsps.remove("dsp-2")
        show("ann", "bob", "cid")


if __name__ == "__main__":
    main()
