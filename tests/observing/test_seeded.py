"""A `SeededPool` tells its observers what a `Pool` does."""

from tests.observing.recording import Recording, whole, worker_of
from threadpool_mb.testing import SeededPool


def test_a_seeded_pool_tells_of_workers_and_messages() -> None:
    observer = Recording()

    with SeededPool[str, str](
        worker_of("generator"), name="seeded", observe=observer, start="on_demand"
    ) as pool:
        pool.dispatch("a", "wait")
        pool.dispatch_later(5, "a", "x")
        pool.advance(6)
        assert observer.of("begun", "done") == [*whole("a", "wait")[1:], *whole("a", "x")[1:]]

    assert observer.of("attach", "started", "ended", "detach") == [
        ("attach", "seeded"),
        ("started", "a", 1),
        ("ended", "a", "drained"),
        ("detach", "seeded"),
    ]
