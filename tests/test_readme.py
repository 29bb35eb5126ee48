"""The README's code runs, and prints what the README says."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

from tests.documented import blocks, printed_by

README = Path(__file__).parents[1] / "README.md"
PROJECT = tomllib.loads((README.parent / "pyproject.toml").read_text("utf-8"))
LINK = re.compile(r"\]\(([^)]+)\)")


def test_the_code_prints_what_stands_below_it() -> None:
    assert printed_by(README) == "".join(blocks(README, "text"))
    assert len(blocks(README, "python")) == 3


def test_the_files_it_links_to_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README.read_text("utf-8"))

    assert [link for link in links if not (README.parent / link).exists()] == []
    assert links


def test_on_a_package_index_each_link_leads_to_the_repository() -> None:
    repository = PROJECT["project"]["urls"]["Repository"]
    (substitution,) = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"][
        "substitutions"
    ]
    text = README.read_text("utf-8")

    shown = re.sub(substitution["pattern"], substitution["replacement"], text)

    links = LINK.findall(text)
    assert LINK.findall(shown) == [
        link if "://" in link else f"{repository}/blob/main/{link}" for link in links
    ]
    assert len(links) > 10


def test_the_metadata_has_the_readme_with_links_that_work_on_a_package_index() -> None:
    links = LINK.findall(importlib.metadata.metadata("threadpool_mb").get_payload())

    assert len(links) > 10
    assert [link for link in links if not link.startswith("https://")] == []


def test_the_addresses_of_the_project_begin_with_that_of_the_repository() -> None:
    urls = PROJECT["project"]["urls"]

    assert set(urls) == {"Changelog", "Documentation", "Issues", "Repository"}
    assert [url for url in urls.values() if not url.startswith(urls["Repository"])] == []


def test_the_commands_it_names_are_targets_of_the_makefile() -> None:
    makefile = (README.parent / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"(?m)^([a-z-]+):", makefile))
    named = set(re.findall(r"(?m)^make ([a-z-]+)", README.read_text("utf-8")))

    assert named == {"demo", "test"}
    assert named <= targets
