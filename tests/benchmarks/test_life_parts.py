"""A life's parts are each counted, by the library of a checkout, and add up to the whole."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import life_parts
from benchmarks.processes import CHECKOUT, LONGEST


def test_each_part_takes_bytecodes_as_many_for_each_key() -> None:
    few, many, more = (life_parts.bytecodes(count) for count in (20, 40, 60))

    first, second = (
        [b - a for a, b in zip(*pair, strict=True)] for pair in [(few, many), (many, more)]
    )
    assert len(first) == len(life_parts.PARTS)
    assert min(first) >= 20
    assert first == pytest.approx(second, rel=0.2)


@pytest.mark.parametrize("until", range(len(life_parts.PARTS) + 1))
def test_a_process_that_is_counted_ends_after_a_part_whatever_waits(until: int) -> None:
    words = [sys.executable, "-m", "benchmarks.life_parts", life_parts.UNTIL, "2", str(until)]
    subprocess.run(words, cwd=CHECKOUT, check=True, timeout=LONGEST)  # noqa: S603 - ourselves


def test_the_table_has_each_part_and_the_sum() -> None:
    lines = life_parts.table(
        {"bytecodes": [[1000.0, 2.0, 3.0, 4.0]], "µs": [[0.5, 0.25, 0.0, 0.0]]}
    )

    assert len(lines) == 2 + len(life_parts.PARTS) + 1
    assert lines[2] == "| initialize | 1,000 | 0.50 |"
    assert lines[-1] == "| together | 1,009 | 0.75 |"


def test_it_counts_and_times_both_checkouts(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--base", str(CHECKOUT), "--rounds", "1", "--keys", "10"]

    assert life_parts.main(words) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.count("bytecodes") == head.count("processor time") == 2
    assert [row.split("|")[1].strip() for row in rows] == [*life_parts.PARTS, "together"]


def test_a_base_that_is_no_checkout_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        life_parts.main(["--base", str(tmp_path)])
    assert "no src/threadpool_mb" in capsys.readouterr().err
