"""What has grown is named, with the chain of references that holds it."""

import gc
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

import threadpool_mb as mb
from leakcheck import culprits
from leakcheck.culprits import of_classes, of_containers

KEPT: list[object] = []
BY_NUMBER: dict[str, None] = {}


class Holder:
    __slots__ = ("held",)

    def __init__(self, held: object) -> None:
        self.held = held


@pytest.fixture(autouse=True)
def _forget() -> None:
    KEPT.clear()
    BY_NUMBER.clear()


@pytest.fixture
def _modules_are_seen() -> Iterator[None]:
    """Let the collector see what was there before the tests; see `tests/conftest.py`."""
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.mark.usefixtures("_modules_are_seen")
def test_a_chain_leads_from_a_variable_through_attributes_and_places(tmp_path: Path) -> None:
    mailbox: mb.Mailbox[int] = mb.Unlimited().create()
    KEPT.extend([None, {"there": Holder(mailbox)}])

    (text,) = of_classes({"Mailbox": [mailbox]}, tmp_path / "leak")

    assert "Mailbox is held by" in text
    lines = text.splitlines()
    place = next(number for number, line in enumerate(lines) if "KEPT" in line)
    assert [line.split()[0] for line in lines[place + 1 : place + 4]] == [
        "[1]",
        "['there']",
        ".held",
    ]
    assert lines[place].endswith("list[2]")


def test_the_chain_is_written_as_a_graph(tmp_path: Path) -> None:
    mailbox: mb.Mailbox[int] = mb.Unlimited().create()
    KEPT.append(mailbox)

    (text,) = of_classes({"x.Mailbox": [mailbox]}, tmp_path / "leak")

    assert "graph: leak-Mailbox.dot" in text
    assert "digraph" in (tmp_path / "leak-Mailbox.dot").read_text("utf-8")


def test_without_graphviz_there_is_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(culprits.shutil, "which", lambda _: None)
    mailbox: mb.Mailbox[int] = mb.Unlimited().create()
    KEPT.append(mailbox)

    of_classes({"x.Mailbox": [mailbox]}, tmp_path / "leak")

    assert [path.suffix for path in tmp_path.iterdir()] == [".dot"]


def test_with_graphviz_there_is_a_picture_and_nothing_is_said_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    dot = tmp_path / "bin" / "dot"
    dot.parent.mkdir()
    dot.write_text("#!/bin/sh\n", "utf-8")
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", str(dot.parent), prepend=":")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mailbox: mb.Mailbox[int] = mb.Unlimited().create()
    KEPT.append(mailbox)

    (text,) = of_classes({"x.Mailbox": [mailbox]}, tmp_path / "leak")

    assert "graph: leak-Mailbox.svg" in text
    # A scenario's process tells its readings there, a line of JSON each.
    assert capfd.readouterr().out == ""


def test_a_container_that_grows_is_named_whatever_is_in_it(tmp_path: Path) -> None:
    numbers = iter(range(1000))

    def work() -> None:
        for _ in range(100):
            BY_NUMBER[f"{next(numbers)}"] = None

    texts = of_containers(work, tmp_path / "leak")

    assert "dict[100]" in texts[0]
    assert "BY_NUMBER" in texts[0]


def test_what_does_not_grow_is_not_named(tmp_path: Path) -> None:
    passing: deque[int] = deque()

    def work() -> None:
        for number in range(100):
            passing.append(number)
            passing.popleft()

    assert "deque" not in "".join(of_containers(work, tmp_path / "leak"))


def test_looking_for_containers_leaves_nothing_that_holds_them(tmp_path: Path) -> None:
    gc.collect()
    gc.disable()
    try:
        before = {id(each) for each in gc.get_referrers(BY_NUMBER)}
        of_containers(lambda: None, tmp_path / "leak")
        after = {id(each) for each in gc.get_referrers(BY_NUMBER)}
    finally:
        gc.enable()

    assert after <= before
