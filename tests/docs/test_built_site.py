"""What looks at the built site finds dead links, and words that the search does not know."""

import json
from pathlib import Path

from docs import built_site


def test_links_to_files_and_places_that_are_not_there_are_dead(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<h1 id="here">x</h1><a href="#here">1</a><a href="#gone">2</a>'
        '<a href="sub/b.html#there">3</a><a href="sub/b.html#gone">4</a><img src="no.png">'
        '<a href="https://example.org/gone">5</a>'
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.html").write_text('<p id="there"></p><a href="../a.html">6</a>')

    assert built_site.dead_links(tmp_path) == [
        "a.html: #gone",
        "a.html: sub/b.html#gone",
        "a.html: no.png",
    ]


def test_the_search_finds_objects_and_the_stems_of_words(tmp_path: Path) -> None:
    index = {
        "objects": {"threadpool_mb": [[0, 1, 1, "", "submit_keyed"]]},
        "terms": {"until_drain": 1},
        "titleterms": {"mailbox": 0},
    }
    (tmp_path / "searchindex.js").write_text(f"Search.setIndex({json.dumps(index)})")

    found = [
        word
        for word in ("submit_keyed", "until_drained", "mailboxes", "until", "pool")
        if built_site.finds(tmp_path, word)
    ]

    assert found == ["submit_keyed", "until_drained", "mailboxes"]
