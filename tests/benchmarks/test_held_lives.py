"""Lives by hand and by themselves take the same turns, in each run; both are counted and timed."""

from pathlib import Path

import pytest

from benchmarks import held_lives
from benchmarks.held_lives import BY_HAND, BY_THEMSELVES, LIVES, ON_TWO, Lives
from benchmarks.processes import CHECKOUT


@pytest.mark.parametrize("lives", LIVES, ids=lambda lives: lives.name)
def test_a_life_takes_as_many_bytecodes_in_each_run(lives: Lives) -> None:
    for kind in (BY_HAND, BY_THEMSELVES):
        first, second = (held_lives.bytecodes(lives, 5, 25, by_themselves=kind) for _ in "ab")

        assert first == pytest.approx(second, rel=0.1)
        assert first > 10 * lives.messages


def test_a_message_that_comes_singly_has_a_turn_of_its_own() -> None:
    together, singly = (
        held_lives.bytecodes(Lives(10, each), 5, 25, by_themselves=BY_THEMSELVES)
        for each in (False, True)
    )

    assert singly > 2 * together


@pytest.mark.parametrize("lives", [LIVES[0], ON_TWO[2]], ids=lambda lives: lives.name)
def test_both_kinds_are_timed(lives: Lives) -> None:
    took = held_lives.taken(lives, 0.001)

    assert list(took) == [BY_HAND, BY_THEMSELVES]
    assert all(figure > 0 for both in took.values() for figure in both)


def test_the_table_has_each_kind_of_lives_of_both_checkouts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--base", str(CHECKOUT), "--keys", "10", "--scale", "0.001"]

    assert held_lives.main(words) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.count("bytecodes") == head.count("one thread") == head.count("two threads") == 2
    assert [row.split("|")[1].strip() for row in rows] == [each.name for each in LIVES]


def test_a_base_that_is_no_checkout_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        held_lives.main(["--base", str(tmp_path)])
    assert "no src/threadpool_mb" in capsys.readouterr().err
