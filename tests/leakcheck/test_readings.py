"""What is read when everything is quiet: a leak is seen, and reading leaves nothing behind."""

import gc
import os
import subprocess
import sys
import threading

import pytest

import threadpool_mb as mb
from leakcheck import readings, waiting
from leakcheck.readings import Readings, own_objects, threads
from leakcheck.waiting import holds_within


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "GRACE", 0.05)


def _begun() -> Readings:
    taken = Readings()
    taken.take()
    taken.begin_to_count()
    return taken


def test_objects_of_the_library_are_counted_by_class_and_no_others() -> None:
    mailbox: mb.Mailbox[int] = mb.Unlimited().create()

    counts = own_objects()

    assert counts["threadpool_mb.mailbox.receiving.QueueMailbox"] >= 1
    assert all(name.startswith("threadpool_mb.") for name in counts)
    del mailbox


@pytest.mark.usefixtures("_impatient")
def test_a_class_of_which_there_is_one_more_has_grown() -> None:
    taken = _begun()
    mailbox: mb.Mailbox[int] = mb.Unlimited().create()

    taken.take()

    growth = taken.growth["threadpool_mb.mailbox.receiving.QueueMailbox"]
    assert growth.after == growth.before + 1
    assert mailbox in taken.newest()["threadpool_mb.mailbox.receiving.QueueMailbox"]


def test_what_is_gone_after_the_round_has_not_grown() -> None:
    taken = _begun()

    for _ in range(3):
        mb.Blocking(2).create()
        taken.take()

    assert taken.growth == {}


def test_garbage_in_cycles_has_not_grown() -> None:
    taken = _begun()
    gc.disable()
    try:
        cycle: list[object] = [mb.Unlimited().create()]
        cycle.append(cycle)
        del cycle
        taken.take()
    finally:
        gc.enable()

    assert taken.growth == {}


def test_a_look_walks_all_objects_once_however_many_classes_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    walks: list[None] = []
    get_objects = gc.get_objects

    def counted() -> list[object]:
        walks.append(None)
        return get_objects()

    held = [mb.Unlimited().create(), mb.Blocking(2).create(), mb.Pool(print)]
    taken = _begun()
    monkeypatch.setattr(gc, "get_objects", counted)

    taken.take()
    of_a_round = len(walks)
    taken.newest()

    assert len(own_objects()) > len(held)
    assert of_a_round == 1
    assert len(walks) - of_a_round == 2
    held[-1].close()


@pytest.mark.usefixtures("_impatient")
def test_a_thread_that_stays_is_counted() -> None:
    end = threading.Event()
    taken = _begun()
    thread = threading.Thread(target=end.wait)
    thread.start()

    taken.take()
    counted = taken.series().threads[-1]
    end.set()
    thread.join()

    # Not against what was there at first: a thread of the test before may have left since.
    assert holds_within(5, lambda: threads() < counted)


@pytest.mark.usefixtures("_impatient")
def test_a_file_that_stays_open_is_counted() -> None:
    taken = _begun()
    number = os.open("/dev/null", os.O_RDONLY)

    taken.take()

    os.close(number)
    assert max(taken.series().files) == taken.expected[1] + 1


def test_a_thread_that_is_about_to_end_is_waited_for() -> None:
    taken = _begun()
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    threading.Thread(target=end.set).start()

    taken.take()

    thread.join()
    assert max(taken.series().threads) <= taken.expected[0]


@pytest.mark.usefixtures("_impatient")
def test_what_a_thread_has_in_hand_that_gets_no_core_has_not_grown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A round of `media` ends with a cast for which nobody waits.
    runs, in_hand = threading.Event(), threading.Event()

    def handle() -> None:
        request = mb.Cast(mb.Notice())
        in_hand.set()
        runs.wait()
        del request

    taken = _begun()
    thread = threading.Thread(target=handle)
    thread.start()
    in_hand.wait()
    looks: list[None] = []

    def given(_: object) -> float:
        """Have the machine give the thread no core for far more than the grace."""
        looks.append(None)
        if len(looks) < 10:
            return 0.0
        runs.set()
        thread.join()
        return 1.0

    monkeypatch.setattr(waiting.Given, "since_last", given)

    taken.take()

    assert len(looks) == 10
    assert taken.growth == {}


READ_ON = """
from leakcheck.readings import Readings
taken = Readings()
for _ in range(60):
    taken.take()
print(taken.series().blocks[-1] - taken.series().blocks[20])
"""


def test_reading_keeps_no_blocks() -> None:
    # Where there is little else to be read: a test run's own objects are many.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    kept = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", READ_ON], env=environment, capture_output=True, check=True, text=True
    )

    assert int(kept.stdout) <= 5
