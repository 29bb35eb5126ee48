"""What CONTRIBUTING.md and the pages behind it name is there; the workflow runs what tox has."""

import configparser
import re
from pathlib import Path
from typing import Final

import pytest

import threadpool_mb

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = Path(threadpool_mb.__file__).parent
TEXT: Final = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
MAKEFILE: Final = (ROOT / "Makefile").read_text("utf-8")
WORKFLOW: Final = (ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8")
TOX: Final = configparser.ConfigParser(interpolation=None)
TOX.read(ROOT / "tox.ini", "utf-8")
PAGES: Final = [
    "CONTRIBUTING.md",
    "docs/architecture.md",
    "docs/design.md",
    "docs/house_style.md",
    "docs/testing.md",
]


def _rows() -> list[list[str]]:
    """Return the cells of "To change X, look at Y" but for its head."""
    section = TEXT.split("\n## To change X, look at Y\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return rows[2:]


def _paths(cell: str) -> list[str]:
    return re.findall(r"`([\w/.]+\.py)`", cell)


ROWS: Final = {row[0]: row[1:] for row in _rows()}


@pytest.mark.parametrize("subject", ROWS)
def test_the_files_to_look_at_their_tests_and_their_argument_exist(subject: str) -> None:
    source, tests, *argument = ROWS[subject]

    named = [PACKAGE / path for cell in (source, *argument) for path in _paths(cell)]
    named += [ROOT / "tests" / path for path in _paths(tests)]

    assert [path for path in named if not path.is_file()] == []
    assert _paths(source)
    assert _paths(tests)


def test_each_folder_of_the_package_has_something_to_look_at() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    named = {path.split("/")[0] for source, *_ in ROWS.values() for path in _paths(source)}

    assert folders - named == set()


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/design.md", "docs/house_style.md"])
def test_the_files_that_are_named_from_the_root_on_exist(page: str) -> None:
    folders = "benchmarks|docs|examples|findings|leakcheck|reliability|reports|src|tests|tools"
    text = (ROOT / page).read_text("utf-8")

    named = re.findall(rf"(?<![\w./])(?:{folders})/[\w/.]*\w", text)

    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_and_headings_that_a_page_links_to_exist(page: str) -> None:
    folder = (ROOT / page).parent
    text = (ROOT / page).read_text("utf-8")

    dead = [
        link
        for link, path, heading in re.findall(r"\]\((([^)#:]*)(?:#([^)]*))?)\)", text)
        if not _leads_somewhere((folder / path) if path else ROOT / page, heading)
    ]

    assert dead == []


def _leads_somewhere(target: Path, heading: str) -> bool:
    if not target.exists() or not heading:
        return target.exists()
    headings = re.findall(r"(?m)^#+ (.*)$", target.read_text("utf-8"))
    return heading in {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}


def test_the_commands_it_names_are_targets_of_the_makefile() -> None:
    named = set(re.findall(r"(?:(?m:^)|`)make ([a-z]+)", TEXT))

    assert named >= {"try", "test", "lint", "bench"}
    assert named <= set(re.findall(r"(?m)^([a-z-]+):", MAKEFILE))


def test_make_try_holds_hypothesis_back_as_tox_does() -> None:
    held = re.findall(r"(?m)^py313t-.*: hypothesis.*,(<[\d.]+)$", TOX["testenv"]["deps"])

    assert re.findall(r"\(filter 3\.13t,\$\(V\)\),'hypothesis(<[\d.]+)'", MAKEFILE) == held
    assert len(held) == 1


def test_the_workflow_runs_each_environment_that_tox_runs_on_its_interpreter() -> None:
    jobs = re.findall(r'python: "([\d.]+t?)", tox: (\w+)', WORKFLOW)
    environments = [environment for _, environment in jobs]

    assert [
        env for env in re.split(r",\s*", TOX["tox"]["env_list"]) if env not in environments
    ] == []
    assert [
        environment
        for version, environment in jobs
        if environment.startswith("py") and environment != f"py{version.replace('.', '')}"
    ] == []


def test_the_workflow_has_the_tox_of_the_makefile() -> None:
    pinned = re.findall(r"(?m)^TOX_VERSION = (.*)$", MAKEFILE)

    assert re.findall(r"tox==([\d.]+)", WORKFLOW) == pinned
    assert len(pinned) == 1
