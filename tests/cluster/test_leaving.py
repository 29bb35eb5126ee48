"""Keys that leave a node: at the node alone, without a cluster."""

import threading
from collections.abc import Generator, Iterator
from typing import Any, Final

import pytest

import threadpool_mb as mb
from tests.helpers import until
from threadpool_mb.cluster.moving import Leaving
from threadpool_mb.cluster.placing import digest_of, owner_of
from threadpool_mb.cluster.wire import loaded

HERE: Final = "tcp://here"
THERE: Final = "tcp://there"
NODES: Final = (HERE, THERE)
STAYS, GOES = (
    next(key for key in map(str, range(100)) if owner_of(digest_of(key), NODES) == node)
    for node in NODES
)


class Node:
    """A pool whose workers wait in messages until they are let go."""

    def __init__(self) -> None:
        self.go = {message: threading.Event() for message in (1, 2)}
        self.handled: list[tuple[str, int]] = []
        self.pool = mb.Pool[str, int](self._worker, start="on_demand")
        self.leaving = Leaving(self.pool, HERE)

    def _worker(self, key: str) -> Generator[None, int]:
        while True:
            message = yield
            self.handled.append((key, message))
            assert self.go[message].wait(60)

    def told(self) -> tuple[list[list[Any]], list[Any]]:
        """Return what is told: which keys go, and which have ended."""
        moves, moved = self.leaving.gather()
        return [loaded(keys) for _, keys in moves], [loaded(key) for key in moved]


@pytest.fixture
def node() -> Iterator[Node]:
    """A node; its workers are let go at the end."""
    node = Node()
    with node.pool:
        yield node
        for each in node.go.values():
            each.set()


def test_a_key_is_told_as_moved_once_its_worker_has_ended(node: Node) -> None:
    for key in (STAYS, GOES):
        node.pool.dispatch(key, 1)
    until(lambda: len(node.handled) == 2)

    node.leaving.begin(1, NODES)
    assert node.told() == ([[GOES]], [])
    assert not node.leaving.look()
    assert node.leaving.pause is not None
    node.go[1].set()
    until(node.leaving.look)

    assert node.told() == ([], [GOES])
    assert node.leaving.pause is None
    assert node.pool.keys() == [STAYS]


def test_of_a_key_that_has_come_back_the_next_worker_may_live_on(node: Node) -> None:
    node.pool.dispatch(GOES, 1)
    until(lambda: node.handled)
    node.leaving.begin(1, NODES)
    # The node that has joined is gone again: the key is dealt to this one.
    node.pool.dispatch(GOES, 2)
    node.go[1].set()
    until(lambda: (GOES, 2) in node.handled)

    until(node.leaving.look)

    assert node.told() == ([[GOES]], [GOES])
    # Nothing is looked for any more, as long as that worker lives.
    assert node.leaving.pause is None
    assert node.pool.keys() == [GOES]


def test_a_key_that_leaves_again_is_told_once_all_its_workers_have_ended(node: Node) -> None:
    node.pool.dispatch(GOES, 1)
    until(lambda: node.handled)
    node.leaving.begin(1, NODES)
    node.pool.dispatch(GOES, 2)

    node.leaving.begin(2, NODES)
    node.go[1].set()
    until(lambda: (GOES, 2) in node.handled)
    node.leaving.look()
    assert node.told() == ([[GOES], [GOES]], [])
    node.go[2].set()
    until(lambda: not node.pool.keys())
    until(node.leaving.look)

    assert node.told()[1] == [GOES]
