"""What a node tells, and in which order: at the node alone, without a cluster."""

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

import threadpool_mb as mb
from tests.cluster.workers import collecting
from threadpool_mb.cluster import node as node_module
from threadpool_mb.cluster.asks import Asks
from threadpool_mb.cluster.node import NodeActor
from threadpool_mb.cluster.telling import Teller
from threadpool_mb.cluster.tickets import taken
from threadpool_mb.cluster.wire import (
    Events,
    Options,
    Setup,
    dumped,
    loaded,
    loaded_keys,
    versions_here,
)
from threadpool_mb.dead_letters import DeadLetterOffice


def _node() -> NodeActor:
    options = Options(None, None, None, None, None, None, tells_workers=True)
    return NodeActor(
        Setup(versions_here(), "orders", "tcp://here", dumped(collecting), dumped(options))
    )


def _gathered(node: NodeActor, known: int) -> tuple[int, Events]:
    number, events = loaded(asyncio.run(node.gather(known, 0.01, 0.01)))
    return number, events


def test_the_end_of_a_worker_is_told_with_its_beginning_or_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = _node()
    tray = node._node._tray
    began: list[int] = []

    def begin_and_end(things: deque[Any]) -> list[Any]:
        # A worker begins and ends between each two looks of the loop.
        found = taken(things)
        began.append(len(began))
        tray.starts.append((dumped("key"), began[-1]))
        tray.exits.append(dumped(began[-1]))
        return found

    monkeypatch.setattr(node_module, "taken", begin_and_end)
    known, alive = 0, set[int]()
    for _ in range(3):
        known, events = _gathered(node, known)
        alive.update(number for _, number in events.starts)
        for each in events.exits:
            alive.remove(loaded(each))  # it has begun, as far as was told
    monkeypatch.undo()
    _, events = _gathered(node, known)
    alive.update(number for _, number in events.starts)
    alive.difference_update(loaded(each) for each in events.exits)

    assert alive == set()
    assert began
    asyncio.run(node.end("close"))
    while _gathered(node, known)[1].ended is None:
        known += 1


class Exiting:
    """Ends the thread that reads it: its module is a script, which calls `sys.exit`."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return sys.exit, ("usage: …",)


@pytest.fixture(params=[b"not a pickle", dumped(Exiting())], ids=["no pickle", "exits"])
def unreadable(request: pytest.FixtureRequest) -> bytes:
    """What the class of a user cannot read here."""
    written: bytes = request.param
    return written


def test_the_end_of_a_worker_is_told_where_its_message_or_its_key_cannot_be_read(
    unreadable: bytes,
) -> None:
    told: list[mb.WorkerExit[Any]] = []
    teller = Teller("orders", DeadLetterOffice("orders", None, ()), told.append, Asks())
    teller.began(1, [(dumped("a"), 1), (unreadable, 2), (dumped("c"), 3)])

    teller.ended(
        1,
        [
            dumped(((dumped("a"), unreadable, "<order 5>"), None, 1, "removed", None)),
            dumped(((unreadable, dumped(6), "6"), None, 2, "removed", None)),
            dumped(((unreadable, dumped(7), "7"), None, 3, "removed", None)),
        ],
    )
    teller.lost(1, "tcp://a")

    # Of the second one nobody can say whose it is.
    assert [(each.key, each.message) for each in told] == [("a", "<order 5>"), ("c", 7)]


def test_a_key_that_cannot_be_read_is_left_out_of_those_that_move(unreadable: bytes) -> None:
    assert loaded_keys([dumped("a"), unreadable, dumped("b")]) == ["a", "b"]
