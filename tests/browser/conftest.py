"""The dashboard in a real browser, in an environment of its own: `tox -e dashboard`.

Not part of a normal run, which has neither Selenium nor Chromium: `norecursedirs` in
pyproject.toml. What tests/conftest.py says holds here too: nothing is skipped, no thread is left
behind, and the GIL stays off on a free-threaded build.
"""

from collections.abc import Iterator

import pytest

from tests.browser.driving import Browser


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser for all tests here."""
    browser = Browser()
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser with an empty page, as wide as a desktop's; nothing it logs may be an error.

    But for a server that has gone, as it does at the end of a test, before the page.
    """
    chromium.reset()
    yield chromium
    assert [
        each for each in chromium.errors() if "Failed to load resource: net::ERR_" not in each
    ] == []
