"""The tenants: each note is in the file of its tenant, in order; what failed is rolled back."""

import sqlite3
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import threadpool_mb as mb
from examples.tenant_databases import Add, Notes, Tenants

SETTINGS = settings(max_examples=8, deadline=None)

names = st.sampled_from(["acme", "bolt", "coil", "dome"])


def in_file(folder: Path, name: str) -> list[str]:
    connection = sqlite3.connect(folder / f"{name}.sqlite3")
    try:
        return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY number")]
    finally:
        connection.close()


@SETTINGS
@given(
    notes=st.lists(st.tuples(names, st.booleans()), max_size=30),
    max_open=st.integers(1, 4),
)
def test_each_note_is_in_the_file_of_its_tenant_in_order(
    notes: list[tuple[str, bool]], max_open: int
) -> None:
    added: defaultdict[str, list[str]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        with Tenants(Path(folder), max_open=max_open) as tenants:
            for number, (name, asks) in enumerate(notes):
                tenants.add(name, f"note {number}")
                added[name].append(f"note {number}")
                if asks:
                    assert tenants.notes(name) == tuple(added[name])

        assert {name: in_file(Path(folder), name) for name in added} == added
        assert {path.stem for path in Path(folder).iterdir()} == set(added)
    ends = {what for _, what in tenants.log}
    assert ends <= {"opened", "evicted", "drained"}


def test_the_database_that_was_not_used_for_the_longest_time_is_closed(tmp_path: Path) -> None:
    with Tenants(tmp_path, max_open=2) as tenants:
        for name in ("acme", "bolt", "acme", "coil"):
            tenants.notes(name)
            tenants.pool.flush(name)  # now it is idle
        tenants.pool.drain(timeout=None)

    assert [event for event in tenants.log if event[1] == "evicted"] == [("bolt", "evicted")]
    assert sorted(name for name, what in tenants.log if what == "drained") == ["acme", "coil"]


def test_a_database_that_was_closed_is_opened_again(tmp_path: Path) -> None:
    with Tenants(tmp_path, max_open=1) as tenants:
        for number in (1, 2):
            for name in ("acme", "bolt"):
                tenants.add(name, f"note {number}")
                tenants.notes(name)
                tenants.pool.flush(name)

    assert in_file(tmp_path, "acme") == in_file(tmp_path, "bolt") == ["note 1", "note 2"]
    of_acme = [what for name, what in tenants.log if name == "acme"]
    assert of_acme == ["opened", "evicted", "opened", "evicted"]


def test_what_was_added_before_an_error_is_rolled_back_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Tenants(tmp_path, max_open=2) as tenants:
        tenants.add("acme", "kept")
        tenants.pool.remove("acme", drain=True)
        tenants.add("acme", "lost")
        tenants.pool.dispatch("acme", mb.Cast(Add(object())))  # type: ignore[arg-type]
        with pytest.raises((mb.WorkerGone, mb.CallNotDelivered)):
            mb.call(tenants.pool.ref("acme"), Notes())
        tenants.add("bolt", "kept")

    assert in_file(tmp_path, "acme") == in_file(tmp_path, "bolt") == ["kept"]
    assert "not supported" in caplog.text


def test_all_is_committed_when_the_block_is_left_with_an_exception(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Tenants(tmp_path, max_open=2) as tenants:  # noqa: PT012
        tenants.add("acme", "kept")
        raise ZeroDivisionError

    assert in_file(tmp_path, "acme") == ["kept"]
