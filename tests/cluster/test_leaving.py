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
        return [[loaded(key) for key in keys] for _, keys in moves], [loaded(key) for key in moved]


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


class Moody:
    """A key that cannot be pickled, or hashed, once it is told so."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pickles = self.hashes = True

    def __hash__(self) -> int:
        if not self.hashes:
            raise LookupError("no hash any more")
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Moody) and other.name == self.name

    def __reduce__(self) -> tuple[type["Moody"], tuple[str]]:
        if not self.pickles:
            raise LookupError("not to be pickled any more")
        return Moody, (self.name,)


@pytest.mark.parametrize("mood", ["pickles", "hashes"])
def test_a_key_that_raises_as_it_is_to_move_ends_and_stops_no_other(node: Node, mood: str) -> None:
    ended: list[object] = []
    pool: mb.Pool[Any, int] = mb.Pool(
        node._worker, start="on_demand", on_worker_exit=lambda each: ended.append(each.key)
    )
    leaving = Leaving(pool, HERE)
    key = Moody("key")
    for each in node.go.values():
        each.set()
    with pool:
        pool.dispatch(key, 1)
        pool.dispatch(GOES, 1)
        pool.flush()
        setattr(key, mood, False)

        leaving.begin(7, ())
        until(lambda: leaving.look() and not leaving._leaving)
        moves, moved = leaving.gather()

        assert [(number, [loaded(each) for each in keys]) for number, keys in moves] == [
            (7, [GOES])
        ]
        assert [loaded(each) for each in moved] == [GOES]
        # One that cannot be hashed cannot be found to be ended, either.
        until(lambda: set(ended) >= ({key, GOES} if mood == "pickles" else {GOES}))
        key.hashes = True


def test_a_key_that_raises_while_it_leaves_is_told_as_moved(node: Node) -> None:
    pool: mb.Pool[Any, int] = mb.Pool(node._worker, start="on_demand")
    leaving = Leaving(pool, HERE)
    key = Moody("key")
    with pool:
        pool.dispatch(key, 1)
        until(lambda: node.handled)
        leaving.begin(7, ())
        assert [each.key for each in leaving._leaving] == [key]
        key.hashes = False

        leaving.begin(8, ())
        assert leaving.look()

        moves, moved = leaving.gather()
        assert [number for number, _ in moves] == [7, 8]
        assert [loaded(each).name for each in moved] == ["key"]
        key.hashes = True
        node.go[1].set()
