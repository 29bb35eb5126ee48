"""Which files the demo reads, and under which key."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from threadpool_mb.demo.tally import find_sources, standard_library


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")


def keys_and_names(root: Path, *without: str) -> list[tuple[str, str]]:
    files = find_sources(root, without=without).files
    return [(file.key, file.path.relative_to(root).as_posix()) for file in files]


def test_the_key_is_the_top_level_package_or_module(tmp_path: Path) -> None:
    write(tmp_path, "single.py", "pack/__init__.py", "pack/sub/deep.py")

    assert keys_and_names(tmp_path) == [
        ("single", "single.py"),
        ("pack", "pack/__init__.py"),
        ("pack", "pack/sub/deep.py"),
    ]


def test_installed_packages_caches_and_other_files_are_left_out(tmp_path: Path) -> None:
    write(
        tmp_path,
        "kept.py",
        "note.txt",
        "stub.pyi",
        "site-packages/a.py",
        "pack/dist-packages/b.py",
        "pack/__pycache__/c.py",
    )

    assert keys_and_names(tmp_path) == [("kept", "kept.py")]


def test_a_root_below_site_packages_is_read(tmp_path: Path) -> None:
    root = tmp_path / "site-packages" / "pack"
    write(root, "a.py")

    assert keys_and_names(root) == [("a", "a.py")]


def test_keys_can_be_left_out_at_the_top_only(tmp_path: Path) -> None:
    write(tmp_path, "test/a.py", "pack/test/b.py", "tests.py")

    assert keys_and_names(tmp_path, "test") == [("tests", "tests.py"), ("pack", "pack/test/b.py")]


def test_a_broken_link_is_a_file_of_unknown_size(tmp_path: Path) -> None:
    (tmp_path / "broken.py").symlink_to(tmp_path / "gone")

    (file,) = find_sources(tmp_path).files

    assert (file.key, file.size) == ("broken", 0)


def test_a_directory_that_cannot_be_listed_is_unread_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a/a.py", "b/b.py")
    scandir = os.scandir

    def refuse_a(path: str) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_a)

    sources = find_sources(tmp_path)

    assert [file.key for file in sources.files] == ["b"]
    assert [(item.path, item.reason) for item in sources.unread] == [
        (tmp_path / "a", "Permission denied")
    ]


def test_the_standard_library_is_that_of_this_interpreter() -> None:
    assert Path(os.__file__).parent.samefile(standard_library())
