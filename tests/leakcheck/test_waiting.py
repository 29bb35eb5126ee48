"""What is waited for has so many seconds; those in which its threads get no core do not count."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from leakcheck import waiting
from leakcheck.waiting import holds_within

SECOND: Final = 1_000_000_000
OTHER: Final = "7"


class Machine:
    """A kernel that tells of two threads: the one that waits, and another one.

    A second passes whenever somebody sleeps.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = 0
        self.state, self.ran = "S", 0
        self.other_runs = 0.0
        """Of each second."""
        self.waiter_is_kept = False
        self._own_wait = 0
        self.tell()

    def monotonic(self) -> float:
        return float(self.seconds)

    def sleep(self, _seconds: float) -> None:
        self.seconds += 1
        self.ran += int(SECOND * self.other_runs)
        self._own_wait += SECOND * self.waiter_is_kept
        self.tell()

    def tell(self) -> None:
        own = str(threading.get_native_id())
        self._tell_of(own, "R", f"5 {self._own_wait} 1")
        self._tell_of(OTHER, self.state, f"{self.ran} 0 1")

    def _tell_of(self, thread: str, state: str, told: str) -> None:
        folder = self.folder / thread
        folder.mkdir(exist_ok=True)
        (folder / "stat").write_text(f"{thread} (a name) with) R) {state} 1 2\n")
        (folder / "schedstat").write_text(f"{told}\n")

    def after(self, seconds: int) -> Callable[[], bool]:
        """Return what holds after so many seconds."""
        return lambda: self.seconds >= seconds


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setattr(waiting, "_TASKS", tmp_path)
    monkeypatch.setattr(waiting, "time", machine)
    return machine


def test_what_does_not_come_while_all_threads_wait_is_lost(machine: Machine) -> None:
    assert not holds_within(5, machine.after(100))
    assert machine.seconds == 5


def test_what_holds_at_once_is_not_waited_for(machine: Machine) -> None:
    assert holds_within(0, machine.after(0))
    assert machine.seconds == 0


def test_what_comes_at_the_last_look_has_come(machine: Machine) -> None:
    assert holds_within(5, machine.after(5))


def test_time_does_not_count_while_another_thread_wants_a_core_and_gets_none(
    machine: Machine,
) -> None:
    machine.state = "R"

    assert holds_within(5, machine.after(100))


def test_it_counts_again_once_that_thread_waits_for_something_else(machine: Machine) -> None:
    machine.state = "R"

    def never() -> bool:
        if machine.seconds == 50:
            machine.state = "S"
        return False

    assert not holds_within(5, never)
    assert machine.seconds == 55


def test_a_thread_that_runs_for_ever_uses_up_the_time(machine: Machine) -> None:
    machine.state, machine.other_runs = "R", 1.0

    assert not holds_within(5, machine.after(100))
    assert machine.seconds == 5


def test_time_counts_as_far_as_a_thread_has_run_that_wants_to(machine: Machine) -> None:
    machine.state, machine.other_runs = "R", 0.25

    assert not holds_within(5, machine.after(100))
    assert machine.seconds == 20


def test_a_thread_that_has_begun_meanwhile_has_run_as_far_as_it_has(machine: Machine) -> None:
    (machine.folder / OTHER / "stat").unlink()
    given = waiting.Given()
    machine.sleep(1)
    machine.state = "R"
    machine.tell()

    assert given.since_last() == 0

    (machine.folder / OTHER / "stat").unlink()
    given = waiting.Given()
    machine.other_runs = 1.0
    machine.sleep(1)

    assert given.since_last() == 1


def test_time_does_not_count_in_which_who_waits_gets_no_core(machine: Machine) -> None:
    machine.waiter_is_kept = True

    assert holds_within(5, machine.after(100))


def test_where_the_kernel_does_not_tell_all_time_counts(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.state = "R"

    def untold(_thread: str, name: str) -> bytes:
        raise FileNotFoundError(name)

    monkeypatch.setattr(waiting, "_read", untold)

    assert not holds_within(5, machine.after(100))
    assert machine.seconds == 5


def test_this_kernel_tells_how_long_threads_have_run_and_which_of_them_want_to() -> None:
    ends, begun = threading.Event(), threading.Barrier(3)

    def spin() -> None:
        begun.wait()
        while not ends.is_set():
            hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000)  # without the GIL

    def rest() -> None:
        begun.wait()
        ends.wait()

    spinning, resting = threading.Thread(target=spin), threading.Thread(target=rest)
    spinning.start()
    resting.start()
    begun.wait()
    try:
        ids = str(spinning.native_id), str(resting.native_id)
        seen: dict[str, tuple[bool, int]] = {}

        def both_are_told_of() -> bool:
            seen.update({thread: (wants, ran) for thread, wants, ran in waiting._others()})
            # The spinning one may be about to take the GIL.
            return all(each in seen for each in ids) and seen[ids[0]][0] and not seen[ids[1]][0]

        assert holds_within(5, both_are_told_of)
        first = seen[ids[0]][1]
        assert holds_within(5, lambda: both_are_told_of() and seen[ids[0]][1] > first)
    finally:
        ends.set()
        spinning.join()
        resting.join()
    assert waiting._waited() >= 0
