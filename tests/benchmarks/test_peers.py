"""The peers do what the benchmarks take them for; those that are not installed are left out."""

from collections.abc import Callable

import pytest

from benchmarks.measuring import Entry
from benchmarks.peers import installed
from benchmarks.peers.installed import TONIO, find
from benchmarks.peers.one_loop import OneLoop
from benchmarks.peers.tonio_tasks import TasksInRuntime
from benchmarks.receivers import OutOfOrderError, Receivers
from benchmarks.workloads.original import SendsItself, coroutines

COROUTINES = {entry.name: entry for entry in coroutines(3, 2)}
"""Those that are installed on this interpreter; asyncio's always are."""

WITHIN: list[Callable[[Receivers[int]], SendsItself]] = [
    lambda receivers: OneLoop(receivers.handle),
    *TONIO.select(lambda receivers: TasksInRuntime(receivers.handle)),
]


@pytest.mark.parametrize("entry", COROUTINES.values(), ids=COROUTINES)
def test_a_peer_hands_over_all_messages_in_order(entry: Entry[float]) -> None:
    assert entry.run() > 0


@pytest.mark.parametrize("make", WITHIN)
def test_a_message_out_of_order_fails_the_round(
    make: Callable[[Receivers[int]], SendsItself],
) -> None:
    receivers = Receivers[int](3)
    peer = make(receivers)

    with pytest.raises((OutOfOrderError, ExceptionGroup)):
        peer.round(range(2), [(0,), (2,)])

    with pytest.raises(OutOfOrderError):
        receivers.wait_for(range(2))
    peer.close()


def test_a_package_that_is_installed_tells_its_version() -> None:
    package = find("pykka", "pykka", needs="any CPython")

    assert package.select("row") == ["row"]
    assert package.fact()[0].isdigit()


def test_a_package_that_is_not_installed_has_no_rows_and_tells_why() -> None:
    package = find("nowhere", "no_such_package", needs="CPython 4")

    assert package.select("row") == []
    assert package.fact() == "left out, as it is not installed here (group peers, CPython 4)"


def test_the_facts_have_each_package(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = find("nowhere", "no_such_package", needs="CPython 4")
    monkeypatch.setattr(installed, "PACKAGES", (*installed.PACKAGES, missing))

    known = installed.facts()

    assert list(known) == ["tonio", "nigrains", "casty", "nowhere"]
    assert known["nowhere"].startswith("left out")
