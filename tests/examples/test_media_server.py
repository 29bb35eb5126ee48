"""The media server: members are mixed where they were told, and told when that changes."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import threadpool_mb as mb
from examples import media_server
from examples.media_server import Dsp, Join, Leave, Mixed, Workers
from tests.examples.seeding import seeded_pools
from tests.helpers import run_together, until
from threadpool_mb.testing import SeededPool

SETTINGS = settings(max_examples=10, deadline=None)

GROUPS = ["daily", "lunch", "retro"]
DSPS = ["dsp-1", "dsp-2"]

members = st.tuples(
    st.sampled_from(["join", "leave"]), st.sampled_from(GROUPS), st.sampled_from(["ann", "bob"])
)
dsp_ends = st.tuples(st.sampled_from(["remove", "restart"]), st.sampled_from(DSPS))
rooms = st.fixed_dictionaries(dict.fromkeys(DSPS, st.integers(0, 2)))


@dataclasses.dataclass(frozen=True)
class ListMixers(mb.Command[list[tuple[str, ...]]]):
    """For a DSP: who is mixed?"""


class OpenDsp(Dsp):
    """A DSP that shows its mixers."""

    @mb.handles(ListMixers)
    def show(self, _: ListMixers) -> list[tuple[str, ...]]:
        return list(self.mixers.values())


@pytest.fixture(autouse=True, scope="module")
def _dsps_are_open() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(media_server, "Dsp", OpenDsp)
        yield


class Member:
    """A member of a group; knows where it was told last that it is mixed."""

    def __init__(self, group: mb.KeyInput[str, mb.originals.Request], name: str) -> None:
        self.group = group
        self.name = name
        self.inbox: mb.Mailbox[Mixed] = mb.Unlimited().create()
        self._dsp: str | None = None

    def join(self) -> bool:
        return mb.call(self.group, Join(self.name, self.inbox.new_input()))

    def leave(self) -> None:
        mb.call(self.group, Leave(self.name))
        assert self.dsp in {None, *DSPS}
        self._dsp = None

    @property
    def dsp(self) -> str | None:
        while len(self.inbox):
            self._dsp = self.inbox.receive().dsp
        return self._dsp


class Operator:
    """Has all members of all groups, and does to them what a test has drawn."""

    def __init__(self, groups: Workers, dsps: Workers, room: dict[str, int]) -> None:
        self.dsps = dsps
        self.room = room
        for name in GROUPS:
            groups.initialize(name)
        self.members = {
            (group, name): Member(groups.ref(group), f"{name} in {group}")
            for group in GROUPS
            for name in ("ann", "bob")
        }

    def do(self, op: tuple[str, ...]) -> bool:
        match op:
            case ("join", group, name):
                return self.members[group, name].join()
            case ("leave", group, name):
                self.members[group, name].leave()
            case ("remove", dsp):
                self.dsps.remove(dsp)
            case ("restart", dsp):
                self.dsps.remove(dsp)
                self.dsps.initialize(dsp)
        return True

    def all_told(self) -> bool:
        """Return whether each DSP mixes exactly who was told so, each group in one mixer."""
        told: defaultdict[str, list[tuple[str, ...]]] = defaultdict(list)
        for group in GROUPS:
            mine = [member for key, member in self.members.items() if key[0] == group]
            where = {member.dsp for member in mine} - {None}
            if len(where) > 1:
                return False  # one of them was told just now, and another one before
            for dsp in where:
                assert dsp is not None
                told[dsp].append(tuple(sorted(member.name for member in mine if member.dsp)))
        return {dsp: sorted(mixers) for dsp, mixers in told.items()} == {
            dsp: mixers for dsp, mixers in self.mixed().items() if mixers
        }

    def mixed(self) -> dict[str, list[tuple[str, ...]]]:
        """Return who is mixed, by DSP."""
        dsps = self.dsps.keys()
        return {
            dsp: sorted(tuple(sorted(mixer)) for mixer in mb.call(self.dsps.ref(dsp), ListMixers()))
            for dsp in dsps
        }

    def is_full(self) -> bool:
        return all(len(mixers) == self.room[dsp] for dsp, mixers in self.mixed().items())


@SETTINGS
@given(room=rooms, ops=st.lists(members | dsp_ends, max_size=25))
def test_after_whatever_happens_members_are_mixed_where_they_were_told(
    room: dict[str, int], ops: list[tuple[str, ...]]
) -> None:
    with media_server.media_server(room) as (groups, dsps):
        operator = Operator(groups, dsps, room)
        for op in ops:
            joined = operator.do(op)

            until(operator.all_told)
            assert joined or operator.is_full()


@SETTINGS
@given(
    room=rooms,
    ops=st.lists(members, max_size=40),
    ends=st.lists(dsp_ends, max_size=10),
)
def test_members_are_mixed_where_they_were_told_after_it_has_happened_all_at_once(
    room: dict[str, int], ops: list[tuple[str, ...]], ends: list[tuple[str, ...]]
) -> None:
    def do_all(operator: Operator, mine: list[tuple[str, ...]]) -> Callable[[], None]:
        def do() -> None:
            for op in mine:
                operator.do(op)

        return do

    with media_server.media_server(room) as (groups, dsps):
        operator = Operator(groups, dsps, room)

        run_together(
            do_all(operator, ends),
            *(do_all(operator, [op for op in ops if op[1] == group]) for group in GROUPS),
        )

        until(operator.all_told)


@pytest.mark.parametrize("groups_left_first", [False, True])
def test_leaving_drops_nobody_and_answers_everybody(*, groups_left_first: bool) -> None:
    with media_server.media_server({"dsp-1": 1}) as (groups, dsps):
        operator = Operator(groups, dsps, {"dsp-1": 1})
        operator.do(("join", "daily", "ann"))
        if groups_left_first:
            groups.remove("daily")

    assert operator.members["daily", "ann"].dsp == "dsp-1"


def test_who_joins_where_there_is_no_room_is_told() -> None:
    with media_server.media_server({"dsp-1": 1}) as (groups, dsps):
        operator = Operator(groups, dsps, {"dsp-1": 1})

        assert operator.do(("join", "daily", "ann"))
        assert not operator.do(("join", "lunch", "ann"))
        operator.do(("leave", "daily", "ann"))
        assert operator.do(("join", "lunch", "ann"))


def test_a_lease_ends_with_its_dsp() -> None:
    with media_server.media_server({"dsp-1": 1}) as (_, dsps):
        mixer = mb.call(dsps.ref("dsp-1"), media_server.CreateMixer())
        lease = mb.ask(dsps.ref("dsp-1"), media_server.Lease(mixer))
        dsps.remove("dsp-1")

        with pytest.raises(mb.WorkerGone):
            lease.result()
        with pytest.raises(mb.CallNotDelivered, match="unknown key"):
            mb.call(dsps.ref("dsp-1"), media_server.CreateMixer())


def test_a_lease_ends_with_its_mixer() -> None:
    with media_server.media_server({"dsp-1": 1}) as (_, dsps):
        dsp = dsps.ref("dsp-1")
        mixer = mb.call(dsp, media_server.CreateMixer())
        lease = mb.ask(dsp, media_server.Lease(mixer))

        assert mb.call(dsp, media_server.Mix(mixer, ("ann",)))
        assert not lease.done()
        assert mb.call(dsp, media_server.Mix(mixer, ()))
        assert lease.result() is None
        assert not mb.call(dsp, media_server.Mix(mixer, ("ann",)))


def test_in_whatever_order_workers_have_their_turns_members_are_mixed_where_they_were_told() -> (
    None
):
    ops = [("join", "daily", "ann"), ("join", "daily", "bob"), ("join", "lunch", "ann")]
    ends = [("remove", "dsp-1"), ("leave", "daily", "ann"), ("restart", "dsp-2")]

    def happen(_: int) -> None:
        room = {"dsp-1": 1, "dsp-2": 1}
        with seeded_pools() as pools, media_server.media_server(room) as (groups, dsps):
            operator = Operator(groups, dsps, room)
            for op in (*ops, *ends):
                operator.do(op)
            pools[0].run()
            assert operator.all_told()

    assert SeededPool.explore(happen, n=100) > 50
