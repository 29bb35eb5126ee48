"""The indexes of the findings have each script, and the versions that its head names."""

import os
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SCRIPTS: Final = sorted((ROOT / "findings").glob("*.sh"))
VERSION: Final = re.compile(r"\d+\.\d+\.\d+")


def _rows(page: str) -> dict[str, str]:
    """Return the rows of a page's tables, by the name of the script in the first column."""
    rows: dict[str, str] = {}
    for line in (ROOT / page).read_text("utf-8").splitlines():
        row = re.match(r"\| (?:`|\[)(\w+)(?:\.sh`|\]\(\.\./findings/\1\.sh\)) \|", line)
        if row:
            assert row[1] not in rows
            rows[row[1]] = line
    return rows


README: Final = _rows("findings/README.md")
PAGE: Final = _rows("docs/findings.md")


def _head(script: Path) -> str:
    """Return the comment at the top of a script."""
    return script.read_text("utf-8").split("\nset -euo pipefail\n")[0]


def test_both_indexes_have_each_script_and_no_other() -> None:
    names = [script.stem for script in SCRIPTS]

    assert sorted(README) == names
    assert sorted(PAGE) == names


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_head_names_the_versions_that_the_indexes_name(script: Path) -> None:
    named = set(VERSION.findall(_head(script)))

    for row in (README[script.stem], PAGE[script.stem]):
        assert VERSION.search(row)
        assert set(VERSION.findall(row)) <= named


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_package_is_pinned_to_the_version_that_the_head_names(script: Path) -> None:
    text = script.read_text("utf-8")
    head = _head(script).lower()
    body = text[len(head) :]
    pins = dict(re.findall(r"\b([a-z][\w-]*)==([\d.]+(?:post\d+)?)", body))

    for name, version in pins.items():
        named = re.search(rf"\b{name}(?:-py|\.distributed)? (\d[\d.]*\d)", head)
        assert not named or named[1] == version
    for line in re.findall(r"pip\" install ((?:.*\\\n)*.*)", body):
        packages = [word for word in line.replace("\\\n", " ").split() if not word.startswith("-")]
        assert packages
        assert [word for word in packages if "==" not in word] == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_says_what_is_expected_what_happens_and_whether_that_has_changed(
    script: Path,
) -> None:
    text = script.read_text("utf-8")

    assert text.startswith("#!/usr/bin/env bash\n# ")
    assert "\n# Expected" in _head(script)
    assert "\n# What happens: " in _head(script)
    assert "trap 'rm -rf \"$folder\"' EXIT" in text
    assert "as described" in text
    assert "CHANGED" in text
    assert "threadpool_mb" not in text
    assert os.access(script, os.X_OK)
