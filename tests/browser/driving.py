"""Chromium as a user has it: what is seen, and keys and clicks."""

import shutil
from typing import Any, Final, final

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.helpers import until

_OPTIONS: Final = (
    "--headless=new",
    "--no-sandbox",  # it may run as root, where there is none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    # It looks for nothing on any network.
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
)


@final
class Browser:
    """A browser with one window."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            AssertionError: if chromedriver or a browser is not on PATH.
        """
        driver = shutil.which("chromedriver")
        names = ("chromium", "chromium-browser", "google-chrome")
        binary = next((path for path in map(shutil.which, names) if path), None)
        assert driver is not None, "these tests need chromedriver on PATH"
        assert binary is not None, f"these tests need one of {names} on PATH"
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        for each in _OPTIONS:
            options.add_argument(each)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver: Final = webdriver.Chrome(options=options, service=Service(driver))

    def quit(self) -> None:
        """End it."""
        self.driver.quit()

    def reset(self) -> None:
        """Show nothing, on a desktop's screen, and forget what was logged."""
        self.driver.get("about:blank")
        self.size(1400)
        self.media()
        self.errors()

    def size(self, width: int, height: int = 900) -> None:
        """Be as wide as that; below 600 pixels, a phone."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def media(self, **features: str) -> None:
        """Have the user prefer something; `prefers_color_scheme="dark"`."""
        named = [
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": named})

    def errors(self) -> list[str]:
        """Return the errors that were logged since the last time, refusals of the policy too."""
        logged: list[dict[str, Any]] = self.driver.get_log("browser")
        return [each["message"] for each in logged if each["level"] == "SEVERE"]

    def open(self, url: str) -> None:
        """Load a page, and wait until it shows a pool."""
        self.driver.get(url)
        until(lambda: self.run("return !document.getElementById('main').hidden"))

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever it returns
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> WebElement:
        """Return the first element of a CSS selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """Return the text that the elements of a selector show, or nothing if none is shown."""
        found: str = self.run(
            "return [...document.querySelectorAll(arguments[0])]"
            ".filter((each) => each.checkVisibility()).map((each) => each.innerText).join('\\n')",
            selector,
        )
        return found

    def click(self, selector: str) -> None:
        """Click on an element once it is there.

        It may be drawn anew just then, or be moved by what is drawn above it: a click that hit
        something else is not taken for one on it.
        """

        def clicked() -> bool:
            try:
                element = self.find(selector)
                self.run(
                    "arguments[0].onclick = () => { window.hit = arguments[1]; };"
                    " window.hit = null",
                    element,
                    selector,
                )
                element.click()
            except (NoSuchElementException, StaleElementReferenceException):
                return False
            return bool(self.run("return window.hit === arguments[0]", selector))

        until(clicked)

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self) -> str:
        """Return the id and the text of what has the focus."""
        found: str = self.run(
            "const each = document.activeElement;"
            " return `${each.id}|${each.getAttribute('aria-label') ?? each.textContent.trim()}`"
        )
        return found

    def overflows(self) -> bool:
        """Return whether the page has to be scrolled sideways."""
        found: bool = self.run(
            "const root = document.documentElement;"
            " return root.scrollWidth > root.clientWidth || root.clientWidth > window.innerWidth"
        )
        return found

    def roles(self) -> set[str]:
        """Return the roles that a screen reader is told of."""
        tree = self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})
        return {node["role"]["value"] for node in tree["nodes"] if not node["ignored"]}
