"""What is to be done at a time: the heap, with a clock that the test turns."""

import contextlib
import functools
import gc
import math
import weakref
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import DEADLINE, run_together, until
from tests.points import at_each_point, interrupted_at_each_point
from threadpool_mb.arguments import Deadline
from threadpool_mb.threads import clock, timers
from threadpool_mb.threads.entries import Entry
from threadpool_mb.threads.timers import Timers
from threadpool_mb.threads.turns import NUDGE, Turn


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Note(Entry):
    """An entry that notes what becomes of it."""

    __slots__ = ("__weakref__", "_log", "is_cancelled", "name")

    name: Any

    def __init__(self, when: float, name: object, log: list[tuple[str, object]]) -> None:
        super().__init__(when)
        self.name = name
        self._log: Final = log
        self.is_cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether it is of no use any more."""
        return self.is_cancelled

    def fire(self) -> Turn | None:
        """Note it."""
        self._log.append(("fired", self.name))
        return None

    def drop(self) -> None:
        """Note it."""
        self._log.append(("dropped", self.name))


class Other(Note):
    """A different kind of entry."""

    __slots__ = ()


class Scene:
    """Timers, their clock, and what has happened."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.woken = 0
        self.log: list[tuple[str, object]] = []
        self.timers = Timers(self._wake, now=self.clock, schedule=self._schedule)
        self.raises: type[BaseException] | None = None

    def _wake(self) -> None:
        self.woken += 1

    def _schedule(self, turns: list[Turn]) -> None:
        self.log.append(("scheduled", len(turns)))
        if self.raises is not None:
            raise self.raises

    def add(self, when: float, name: object = None, kind: type[Note] = Note) -> Note:
        """Add an entry."""
        note = kind(when, when if name is None else name, self.log)
        self.timers.add(note)
        return note


@given(st.lists(st.integers(0, 9)))
def test_entries_are_fired_in_the_order_of_their_times_then_of_being_added(
    times: list[int],
) -> None:
    scene = Scene()
    for number, when in enumerate(times):
        scene.add(when, (when, number))

    for now in range(10):
        scene.clock.now = now
        left = scene.timers.until_next()
        later = [when for when in times if when > now]
        assert left == (min(later) - now if later else None)
        fired = [name for what, name in scene.log if what == "fired"]
        assert fired == sorted((when, number) for number, when in enumerate(times) if when <= now)

    assert len(scene.log) == len(times)


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans(), st.booleans()), max_size=60))
def test_the_order_holds_however_the_times_go_up_and_down_and_whatever_is_cancelled(
    adds: list[tuple[int, bool, bool]],
) -> None:
    scene = Scene()
    notes: list[tuple[Note, bool]] = []
    for number, (when, cancelled, sorted_in) in enumerate(adds):
        notes.append((scene.add(when, (when, number)), cancelled))
        if sorted_in:
            scene.timers.until_next()
    for note, cancelled in notes:
        if cancelled:
            note.is_cancelled = True
            scene.timers.cancelled()

    kept = sorted(note.name for note, cancelled in notes if not cancelled)
    for now in range(10):
        scene.clock.now = now
        scene.timers.until_next()
        fired = [name for _, name in scene.log]
        assert fired == [name for name in kept if name[0] <= now]

    assert len(scene.timers) == 0


def test_many_that_wait_equally_long_stay_out_of_the_heap_though_one_waits_longer() -> None:
    scene = Scene()
    scene.add(1000)
    scene.timers.until_next()

    for when in range(1, 101):
        scene.add(when)
    scene.timers.until_next()

    assert len(scene.timers._heap) == 1
    assert scene.timers._row[0].when == 1


class Waking(Note):
    """A quick entry that has a turn scheduled."""

    __slots__ = ()

    quick = True

    def fire(self) -> Turn | None:
        """Note it, and have a turn scheduled; an odd number has none, and a negative one fails."""
        super().fire()
        if isinstance(self.name, int) and self.name < 0:
            raise ArithmeticError
        return None if isinstance(self.name, int) and self.name % 2 else NUDGE


@pytest.mark.parametrize("raises", [None, MemoryError])
def test_turns_that_are_due_are_scheduled_together_and_wait_for_nothing_slow(
    raises: type[BaseException] | None,
) -> None:
    scene = Scene()
    scene.raises = raises
    scene.add(1, "a", Waking)
    scene.add(1, "b", Waking)
    scene.add(1, "slow")
    for number in range(134):
        scene.add(1, number, Waking)
    scene.clock.now = 1

    assert scene.timers.until_next() is None
    steps = [name for what, name in scene.log if what == "scheduled" or isinstance(name, str)]
    # 64 entries at a time.
    assert steps == ["a", "b", 2, "slow", 31, 32, 4]


@given(
    st.lists(st.tuples(st.sampled_from([Note, Waking]), st.integers(1, 4), st.booleans())),
    st.lists(st.integers(-3, 3)),
)
def test_what_is_quick_is_fired_in_the_order_of_all_and_turns_are_scheduled_once(
    adds: list[tuple[type[Note], int, bool]], more: list[int]
) -> None:
    scene = Scene()
    notes: list[Note] = []
    for number, (kind, when, cancelled) in enumerate(adds):
        note = scene.add(when, (when, number), kind)
        if cancelled:
            note.is_cancelled = True
            scene.timers.cancelled()
        else:
            notes.append(note)
    for name in more:
        scene.add(5, name, Waking)

    for now in range(1, 6):
        scene.clock.now = now
        scene.timers.until_next()

    fired = [name for what, name in scene.log if what == "fired"]
    assert fired == [*sorted(note.name for note in notes), *more]
    turns = sum(isinstance(note, Waking) for note in notes)
    turns += sum(name >= 0 and not name % 2 for name in more)
    counts = [name for what, name in scene.log if what == "scheduled"]
    assert sum(counts) == turns  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]


def test_the_thread_is_woken_for_what_comes_earlier_than_all_others() -> None:
    scene = Scene()
    scene.add(5)
    assert scene.woken == 1
    assert scene.timers.until_next() == 5

    scene.add(6)
    assert scene.woken == 1
    scene.add(4)
    assert scene.woken == 2
    assert scene.timers.until_next() == 4


def test_very_many_new_entries_wake_the_thread_though_none_is_the_first() -> None:
    scene = Scene()
    scene.add(1)
    scene.timers.until_next()

    for _ in range(10_000):
        scene.add(2)

    assert 1 < scene.woken < 10


def cancel(scene: Scene, notes: list[Note]) -> None:
    """Cancel entries."""
    for note in notes:
        note.is_cancelled = True
        scene.timers.cancelled()


def test_cancelled_entries_are_let_go_of_before_their_time() -> None:
    scene = Scene()
    kept = scene.add(1000)
    scene.timers.until_next()
    entries = [scene.add(1001) for _ in range(1000)]
    scene.timers.until_next()
    references = [weakref.ref(entry) for entry in entries]

    cancel(scene, entries)
    del entries
    woken = scene.woken
    scene.timers.until_next()
    gc.collect()

    assert woken == 2
    # More than half were cancelled when the thread was woken, once.
    assert sum(reference() is not None for reference in references) < 600
    scene.clock.now = 1000
    scene.timers.until_next()
    assert scene.log == [("fired", kept.name)]
    scene.clock.now = 1001
    scene.timers.until_next()
    assert len(scene.timers) == 0


def test_what_was_cancelled_later_is_let_go_of_too() -> None:
    scene = Scene()
    first = [scene.add(1000) for _ in range(130)]
    scene.timers.until_next()
    cancel(scene, first[:66])
    more = [scene.add(1001) for _ in range(3000)]
    scene.timers.until_next()
    woken = scene.woken
    cancel(scene, more)
    assert scene.woken > woken
    scene.timers.until_next()

    assert len(scene.timers) < 1700


@pytest.mark.parametrize("new", [False, True])
def test_wherever_the_thread_is_what_is_cancelled_there_is_let_go_of(*, new: bool) -> None:
    """As if a different thread did it; the thread that has the heap may be letting go just then."""
    kept, few = 20, 64

    def prepare() -> tuple[Scene, list[Note]]:
        scene = Scene()
        for _ in range(kept):
            scene.add(1000)
        first = [scene.add(1000 + number % 2) for number in range(100)]
        second = [scene.add(1001 - number % 2) for number in range(200)]
        scene.timers.until_next()
        cancel(scene, first)
        scene.add(1002).is_cancelled = True
        return scene, second

    def look(prepared: tuple[Scene, list[Note]]) -> None:
        prepared[0].timers.until_next()

    def another(prepared: tuple[Scene, list[Note]]) -> None:
        scene, second = prepared
        more = [scene.add(1002) for _ in range(300)] if new else []
        cancel(scene, second + more)
        second.clear()

    for scene, second in at_each_point(prepare, look, another):
        if second:  # it was not called any more
            another((scene, second))
        woken = 0
        while woken < scene.woken:
            woken = scene.woken
            scene.timers.until_next()
        assert len(scene.timers) <= kept + few


def test_each_is_counted_however_many_threads_cancel() -> None:
    threads, each = 4, 2000
    scene = Scene()
    kept = [scene.add(1000) for _ in range(threads * each - 1)]
    cancelled = [[scene.add(1001) for _ in range(each)] for _ in range(threads)]
    scene.timers.until_next()

    run_together(*(functools.partial(cancel, scene, notes) for notes in cancelled))
    scene.timers.until_next()

    # Each of them is needed, for it to be more than half.
    assert len(scene.timers) == len(kept)


def test_what_is_dropped_is_told_in_the_order_of_the_times_and_the_rest_stays() -> None:
    scene = Scene()
    scene.add(3)
    scene.add(2, kind=Other)
    scene.add(1)

    scene.timers.drop(Other)
    assert scene.log == [("dropped", 2)]
    scene.timers.drop(last=True)
    assert scene.log[1:] == [("dropped", 1), ("dropped", 3)]
    scene.add(0.5)
    assert scene.log[3:] == [("dropped", 0.5)]


def test_an_entry_may_add_others_as_it_is_fired() -> None:
    scene = Scene()

    class Adding(Note):
        __slots__ = ()

        def fire(self) -> None:
            super().fire()
            scene.add(0, "at once")
            scene.add(7, "later")

    scene.timers.add(Adding(0, "first", scene.log))

    assert scene.timers.until_next() == 7
    assert scene.log == [("fired", "first"), ("fired", "at once")]


def test_however_many_come_before_all_others_the_thread_is_woken_once() -> None:
    scene = Scene()
    for when in range(100, 0, -1):
        scene.add(when)
    assert scene.woken == 1

    assert scene.timers.until_next() == 1
    scene.add(0.5)
    scene.add(0.25)
    assert scene.woken == 2


def test_where_waking_the_thread_fails_the_next_one_wakes_it() -> None:
    woken = list[object]()

    def wake() -> None:
        woken.append(None)
        if len(woken) == 1:
            raise MemoryError

    timers = Timers(wake, now=Clock())
    with pytest.raises(MemoryError):
        timers.add(Note(1, 1, []))
    timers.add(Note(1, 2, []))
    timers.add(Note(1, 3, []))

    assert len(woken) == 2


def test_many_that_come_due_shortly_after_each_other_are_waited_for_together() -> None:
    scene = Scene()
    for number in range(3):
        scene.add(1 + number / 1e6)
    scene.clock.now = 0.9999
    alone = scene.timers.until_next()
    for number in range(3, 100):
        scene.add(1 + number / 1e6)

    assert alone is not None
    assert alone < 0.0002
    assert scene.timers.until_next() == 0.0005
    # It sleeps no longer where they are not due soon, nor where much was due just now.
    scene.clock.now = 0.9
    assert scene.timers.until_next() == pytest.approx(0.1)
    scene.clock.now = 1.00009
    left = scene.timers.until_next()
    assert left is not None
    assert left < 0.0001
    assert len(scene.log) == 91


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=300))
def test_of_very_many_that_are_due_each_is_fired_in_order_though_they_add_others(
    adds: list[tuple[int, bool]],
) -> None:
    scene = Scene()

    class Adding(Note):
        __slots__ = ()

        def fire(self) -> None:
            super().fire()
            scene.add(self.when, (self.when, 1000 + self.name[1]))

    for number, (when, more) in enumerate(adds):
        scene.add(when, (when, number), Adding if more else Note)
    scene.clock.now = 3
    while scene.timers.until_next() == 0:
        pass

    fired = [name for _, name in scene.log]
    every = [(when, number) for number, (when, _) in enumerate(adds)]
    every += [(when, 1000 + number) for number, (when, more) in enumerate(adds) if more]
    assert sorted(fired) == sorted(every)  # type: ignore[type-var]
    # Of those that were added by others each comes where it is due.
    assert [name[0] for name in fired] == sorted(name[0] for name in every)  # type: ignore[index]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=80), st.integers(1, 5))
def test_what_comes_again_takes_its_place_among_all_others(
    others: list[int], interval: int
) -> None:
    scene = Scene()

    class Again(Note):
        __slots__ = ()

        def fire(self) -> None:
            scene.log.append(("fired", self.when))
            self.when += interval
            scene.timers.again(self)

    scene.timers.add(Again(interval, "again", scene.log))
    for when in others:
        scene.add(when)
    for now in range(1, 6):
        scene.clock.now = now
        scene.timers.until_next()

    fired = [name for _, name in scene.log]
    assert fired == sorted([*others, *range(interval, 6, interval)])  # type: ignore[type-var]
    assert len(scene.timers) == 1


def test_what_is_due_and_more_than_is_fired_in_a_row_is_fired_after_a_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timers, "_IN_A_ROW", 2)
    monkeypatch.setattr(timers, "_TOGETHER", 1)
    scene = Scene()
    for name in range(5):
        scene.add(1.0, name)
    scene.clock.now = 1.0

    looks = 0
    while scene.timers.until_next() == 0:
        looks += 1

    assert scene.log == [("fired", name) for name in range(5)]
    assert looks == 2  # others had their turn in between


def test_what_was_added_is_told_though_its_adder_was_interrupted() -> None:
    """The thread sleeps for ever: nothing is due."""
    woken: list[None] = []

    def prepare() -> Timers:
        woken.clear()
        heap = Timers(functools.partial(woken.append, None), now=Clock())
        heap.until_next()
        return heap

    log: list[tuple[str, object]] = []
    for heap in interrupted_at_each_point(prepare, lambda heap: heap.add(Note(1, "it", log))):
        assert len(heap) == 0 or woken


def test_an_adder_that_is_interrupted_wakes_the_thread_for_others() -> None:
    """Another one adds right before the interrupt, and relies on it to wake the thread."""
    log: list[tuple[str, object]] = []

    def prepare() -> clock.Clock:
        log.clear()
        its = clock.Clock("its")
        its.start()
        until(lambda: its.timers._wakes_at == math.inf and its.timers._may_wake)
        return its

    def add(its: clock.Clock) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            its.add(Note(0, "interrupted", log))

    def another(its: clock.Clock) -> None:
        its.add(Note(0, "another", log))
        raise KeyboardInterrupt

    last = None
    for its in at_each_point(prepare, add, another):
        until(lambda: log)
        last = list(log)
        its.close()
        assert its.join(Deadline(DEADLINE))

    assert last == [("fired", "interrupted")]
