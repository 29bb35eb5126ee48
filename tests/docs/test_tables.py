"""The tables of the guides are complete: each dead letter's reason, each cause, each kind."""

import re
import typing
from pathlib import Path
from typing import Final

import threadpool_mb as mb
from threadpool_mb.pool.reports import ExitCause

GUIDES: Final = Path(__file__).parents[2] / "docs" / "guides"


def _first_column(page: str, heading: str) -> list[str]:
    """Return the cells in the first column of the first table below a heading."""
    section = (GUIDES / page).read_text("utf-8").split(f"\n{heading}\n")[1].split("\n## ")[0]
    table = re.findall(r"(?ms)^\|.*?\n(?=\n|\Z)", section)[0]
    return [line.split("|")[1].strip() for line in table.splitlines()[2:]]


def test_the_guide_to_ends_has_each_reason_of_a_dead_letter() -> None:
    named = _first_column("ends.md", "## Dead letters")

    assert sorted(named) == sorted(f'`"{reason}"`' for reason in mb.DeadLetterReason)


def test_the_guide_to_ends_has_each_cause_of_a_worker_s_end() -> None:
    named = _first_column("ends.md", "## Why a worker has ended")

    assert sorted(named) == sorted(f'`"{cause}"`' for cause in typing.get_args(ExitCause.__value__))


def test_the_guide_to_back_pressure_has_each_kind_of_mailbox() -> None:
    cells = _first_column("back_pressure.md", "## A limit for each key: the kind of mailbox")
    named = {re.findall(r"`(\w+)\(", cell)[0] for cell in cells}

    kinds = [name for name in mb.__all__ if hasattr(getattr(mb, name), "create")]
    assert named == {*kinds} - {"BrokerConfig", "MailboxConfig"}
    assert len(cells) == 7
