"""The lives script finds nothing where nothing is wrong, and finds what is."""

import logging
from collections.abc import Iterator

import pytest

from benchmarks import lives
from threadpool_mb import Pool


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    # The storm turns the library's log off.
    logger = logging.getLogger("threadpool_mb")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.mark.parametrize("what", ["zipf", "storm", "sleep", "waits", "timers"])
def test_each_thing_runs_and_finds_nothing(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert lives.main([what, "--scale", "0.001"]) == 0
    assert what in capsys.readouterr().out


def test_a_lost_message_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    dispatch = Pool.dispatch
    sent: list[object] = []

    def losing(pool: Pool[int, object], key: int, message: object) -> bool:
        sent.append(message)
        return True if len(sent) == 100 else dispatch(pool, key, message)

    monkeypatch.setattr(Pool, "dispatch", losing)

    assert lives.zipf(1000, 50, 10, "generator")


def test_what_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        lives.main(["dance"])
    assert "there are: zipf" in capsys.readouterr().err
