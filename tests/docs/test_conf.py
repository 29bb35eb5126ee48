"""What the site makes of the pages' links and of docstrings."""

import pytest

from docs import conf

DOCS = conf.DOCS


@pytest.mark.parametrize(
    ("link", "on_the_site"),
    [
        ("design.md", "design.md"),
        ("design.md#order", "design.md#order"),
        ("../README.md", f"{conf.REPOSITORY}/blob/main/README.md"),
        ("../src/threadpool_mb/pool", f"{conf.REPOSITORY}/tree/main/src/threadpool_mb/pool"),
        ("../docs/dashboard.png", "dashboard.png"),
        ("../examples", f"{conf.REPOSITORY}/tree/main/examples"),
        ("../examples/ledger.py", "../examples/ledger.py"),  # which becomes a download
        ("#here", "#here"),
        ("https://example.org/x", "https://example.org/x"),
        ("../no_such_file.md", "../no_such_file.md"),  # of which Sphinx complains
    ],
)
def test_what_is_outside_of_docs_leads_to_the_repository_but_for_an_example(
    link: str, on_the_site: str
) -> None:
    text = conf._with_links(f"[x]({link})", DOCS, DOCS / "index.md")

    assert text == f"[x]({on_the_site})"


def test_what_a_page_includes_has_links_from_where_the_page_is() -> None:
    text = conf._with_links("[x](docs/design.md)", DOCS.parent, DOCS / "guides" / "ends.md")

    assert text == "[x](../design.md)"


def test_fences_and_the_sections_of_this_project_become_what_sphinx_knows() -> None:
    lines = [
        "Wait.",
        "",
        "```python",
        "wait()",
        "```",
        "",
        "Blocks: until it is over,",
        "or for ever.",
        "Threads: any.",
        "",
        "Returns:",
        "    Nothing.",
    ]

    conf._docstring_read(_App(), "function", "wait", None, None, lines)

    assert lines == [
        "Wait.",
        "",
        ".. code-block:: python",
        "",
        "    wait()",
        "",
        "",
        "",
        ":Blocks: until it is over,",
        "    or for ever.",
        "",
        ":Threads: any.",
        "",
        "Returns:",
        "    Nothing.",
    ]


class _App:
    """Is not asked for anything."""

    env = builder = property()

    def connect(self, event: str, callback: object, priority: int = 500) -> int:
        raise NotImplementedError
