"""What a user of the dashboard sees, and does with mouse and keyboard."""

import itertools
import threading
import time
from collections.abc import Generator, Iterator
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.driving import Browser
from tests.dashboard.doubles import Record, Source
from tests.helpers import until
from tests.insides import NEVER_BY_ITSELF, look_twice, watch_of
from threadpool_mb import Pool
from threadpool_mb.dashboard import Dashboard, serve

FAST = 0.1
MARKUP = "<img src=/x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>"
STACK = '  File "app.py", line 12, in account\n    total += price(message)'


class Working(Source):
    """A pool that handles 50 messages from one look to the next."""

    def __init__(self, *records: Record, **figures: object) -> None:
        super().__init__(*records, **figures)
        self._handled = itertools.count(0, 50)
        self.looked_at = list[float]()
        self.before = self._work

    def _work(self, what: str) -> None:
        if what == "stats":
            self.looked_at.append(time.monotonic())
            handled = next(self._handled)
            self.figures |= {"handled": handled, "waiting": handled % 170, "busy": handled % 4}


def stuck(key: object, stack: str = STACK) -> SimpleNamespace:
    return SimpleNamespace(key=key, incarnation=7, seconds=31.0, thread="orders-3", stack=stack)


@pytest.fixture
def source() -> Working:
    records = [Record(f"key {number}", messages=50 - number) for number in range(20)]
    return Working(
        *records, keys=20, threads=4, dead_letters={"refused by the limit": 3}, ended={"failed": 1}
    )


@pytest.fixture
def page(source: Source) -> Iterator[Dashboard]:
    with serve(source, interval=FAST) as page:
        yield page


def test_the_numbers_and_the_plots_move(browser: Browser, page: Dashboard) -> None:
    browser.open(page.url)

    def seen() -> tuple[str, list[str]]:
        curves = "return [...document.querySelectorAll('#plots [role=img] .curve')]"
        drawn: list[str] = browser.run(f"{curves}.map((each) => each.getAttribute('d'))")
        return browser.text("#tiles"), drawn

    until(lambda: len(seen()[1]) == 5)  # waiting, handled, busy and threads, one reason
    before = seen()
    until(lambda: all(now != then for now, then in zip(seen(), before, strict=True)))

    tiles = browser.text("#tiles").lower()
    assert "handled" in tiles
    assert "dead letters" in tiles
    assert browser.text("#link") == "live"
    labels: list[str] = browser.run(
        "return [...document.querySelectorAll('#plots svg[role=img]')].map((s) => s.ariaLabel)"
    )
    assert [label.split(":")[0] for label in labels] == [
        "Waiting messages",
        "Handled a second",
        "Busy threads",
        "Dead letters",
    ]
    assert "refused by the limit 3" in labels[3]


def test_a_rate_is_what_was_handled_over_the_time_it_took(
    browser: Browser, source: Working, page: Dashboard
) -> None:
    browser.open(page.url)

    def rate() -> float:
        text = browser.text("#tiles").replace(",", "").split("\n")
        # Not the tile before it, which is how many there were in all.
        shown = text[text.index("a second") + 1]
        return float(shown) if shown[0].isdigit() else 0.0

    def slowest() -> float:
        return 50 / max(later - each for each, later in itertools.pairwise(source.looked_at))

    # 50 messages a tenth of a second; the machine may be as slow as it was, and is never faster.
    until(lambda: "a second" in browser.text("#tiles"))
    until(lambda: slowest() - 1 < rate() <= 600)


def test_a_key_is_opened_with_the_mouse_and_closed_again(browser: Browser, page: Dashboard) -> None:
    browser.open(page.url)
    until(lambda: "key 3" in browser.text("#hot"))

    browser.click("#hot tbody tr:nth-child(4) button")
    until(lambda: browser.text("#key-text") == "'key 3'")

    assert browser.text("#key-title") == "Key"
    assert browser.text("#key-note") == "str"
    facts = browser.text("#key-facts").split("\n")
    assert dict(zip(facts[::2], facts[1::2], strict=True)) == {
        "incarnation": "1",
        "state": "busy",
        "told to end": "no",
        "messages": "47",
    }
    assert "47" in browser.run("return document.querySelector('#key-plot svg').ariaLabel")
    browser.click("#close")
    until(lambda: not browser.text("#key"))
    assert browser.focused().endswith("|'key 3'")


def test_what_is_known_of_an_open_key_is_kept_up_to_date(
    browser: Browser, source: Source, page: Dashboard
) -> None:
    browser.open(f"{page.url}#pool=0&text=key+5")
    until(lambda: "45" in browser.text("#key-facts"))

    source.records[5] = Record("key 5", messages=1234, incarnation=8)
    until(lambda: "1,234" in browser.text("#key-facts"))
    source.records.pop(5)
    until(lambda: browser.text("#key-title") == "No such key")


def test_everything_can_be_done_with_the_keyboard(browser: Browser, page: Dashboard) -> None:
    browser.open(page.url)
    until(lambda: "key 19" in browser.text("#hot"))
    reached = []
    for _ in range(8):
        browser.press(Keys.TAB)
        reached.append(browser.focused())
        shown = browser.run(
            "const style = getComputedStyle(document.activeElement);"
            " return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2"
        )
        assert shown, f"the focus is not seen on {reached[-1]}"

    assert reached[0] == "|Skip to the pool"
    assert reached[1] == "pause|Pause"
    assert reached[2].startswith("find-text|")
    assert reached[3] == "|Look"
    assert reached[4:] == ["|'key 0'", "|'key 1'", "|'key 2'", "|'key 3'"]

    browser.press(Keys.ENTER)
    until(lambda: browser.text("#key-text") == "'key 3'")
    assert browser.focused() == "key-title|Key"
    browser.press(Keys.ESCAPE)
    until(lambda: not browser.text("#key"))
    assert browser.focused() == "|'key 3'"


def test_the_focus_stays_where_it_is_while_the_table_changes(
    browser: Browser, source: Source, page: Dashboard
) -> None:
    browser.open(page.url)
    until(lambda: "key 0" in browser.text("#hot"))
    browser.run("document.querySelector('#hot tbody tr button').focus()")
    assert browser.focused() == "|'key 0'"

    source.records[0] = Record("key 0", messages=1)
    source.records.append(Record("new", messages=999))
    until(lambda: "999" in browser.text("#hot"))

    assert browser.focused() == "|'key 0'"  # it is none of the twenty first any more
    browser.run("document.activeElement.blur()")
    until(lambda: browser.text("#hot tbody tr:first-child button") == "'new'")
    until(lambda: "'key 0'" not in browser.text("#hot"))


def test_a_key_is_found_by_typing_it(browser: Browser, source: Source, page: Dashboard) -> None:
    source.records.append(Record(("eu", 7), incarnation=12))
    browser.open(page.url)

    browser.click("#find-text")
    browser.press("('eu', 7)", Keys.ENTER)
    until(lambda: browser.text("#key-text") == "('eu', 7)")
    assert browser.text("#key-note") == "tuple"

    browser.click("#find-text")
    browser.run("document.activeElement.select()")
    browser.press(MARKUP, Keys.ENTER)
    until(lambda: browser.text("#key-title") == "No such key")
    assert MARKUP.replace("'", "\\'") in browser.text("#key-text")
    assert browser.run("return document.querySelectorAll('img, main script').length") == 0


def test_hostile_texts_are_shown_as_text_wherever_they_come_from(browser: Browser) -> None:
    source = Source(
        Record(MARKUP, messages=3, state=MARKUP),
        Record("a\nb\u202e", messages=2),
        Record("x" * 100_000, messages=1),
        name=f"{MARKUP}a",
        state=f"{MARKUP}b",
        stuck=(stuck(MARKUP, MARKUP + "\n" + "y" * 5_000),),
        dead_letters={MARKUP: 3, "constructor": 2, "__proto__": 4},
        ended={MARKUP: 1},
        waiting=1,
    )
    other = Source(name="other")

    with serve(source, other, interval=FAST) as page:
        browser.open(page.url)
        until(lambda: len(browser.text("#hot")) > 100)
        browser.click("#hot tbody tr button")
        until(lambda: "onerror" in browser.text("#key-text"))

        for selector in ("#name", "#state", "#pools", "#hot", "#stuck", "#dead", "#ended", "#key"):
            assert "<img src=/x onerror=" in browser.text(selector)
        assert browser.run("return document.querySelectorAll('img, main script').length") == 0
        assert browser.run("return document.title").startswith("<img src=/x onerror=")
        assert "'a\\nb\\u202e'" in browser.text("#hot")
        assert browser.text("#dead tbody").split()[-2:] == ["constructor", "2"]
        browser.size(390)
        until(lambda: not browser.overflows())


def test_a_script_that_came_into_the_page_would_not_run(browser: Browser, page: Dashboard) -> None:
    browser.open(page.url)

    browser.run(
        "const script = document.createElement('script'); script.append('window.ran = 1');"
        " document.body.append(script)"
    )
    assert browser.run("return window.ran") is None
    refused = browser.run(
        "try { document.body.insertAdjacentHTML('beforeend', '<img onerror=x>'); }"
        " catch (error) { return error.name; }"
    )

    assert refused == "TypeError"
    assert any("TrustedScript" in each for each in browser.errors())


def test_a_stuck_worker_is_seen_first_with_its_stack_and_is_announced(
    browser: Browser, source: Source, page: Dashboard
) -> None:
    browser.open(page.url)
    until(lambda: browser.text("#tiles"))
    assert browser.text("#stuck") == ""

    source.figures["stuck"] = (stuck("key 4"),)
    until(lambda: browser.text("#stuck-title") == "1 worker is stuck")

    shown = browser.text("#stuck")
    assert "'key 4'" in shown
    assert "on one message for 31 s, on orders-3, incarnation 7" in shown
    assert "total += price(message)" in browser.text("#stuck pre")
    assert browser.run("return document.getElementById('news').textContent") == (
        "orders: 1 worker is stuck"
    )
    browser.click("#stuck button")
    until(lambda: "Stuck on one message for 31 s" in browser.text("#key-stuck"))
    assert "total += price(message)" in browser.text("#key-stuck pre")


def test_a_real_pool_with_a_worker_that_is_stuck(browser: Browser) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def waits_in_the_midst() -> None:
        inside.set()
        assert go_on.wait(15)

    def account(key: str) -> Generator[None, int]:
        while True:
            if (yield) < 0:
                waits_in_the_midst()

    with (
        Pool(
            account, name="bank", start="on_demand", max_threads=2, stuck_after=NEVER_BY_ITSELF
        ) as pool,
        serve(pool, interval=FAST) as page,
    ):
        browser.open(page.url)
        pool.dispatch("alice", -1)
        for number in range(50):
            pool.dispatch("alice", number)
            pool.dispatch("bob", number)
        assert inside.wait(15)
        look_twice(watch_of(pool))
        until(lambda: browser.text("#stuck-title") == "1 worker is stuck")
        browser.click("#stuck button")
        until(lambda: "in waits_in_the_midst" in browser.text("#key-stuck pre"))
        facts = browser.text("#key-facts").split("\n")
        until(lambda: "'alice'" in browser.text("#hot"))
        go_on.set()
        until(lambda: not browser.text("#stuck"))
        until(lambda: "messages\n0" in browser.text("#key-facts"))

    assert dict(zip(facts[::2], facts[1::2], strict=True)) == {
        "incarnation": "1",
        "state": "busy",
        "running": "yes",
        "told to end": "no",
        "messages": "50",
        "senders waiting": "0",
    }


def test_of_a_long_stack_the_last_call_is_seen(
    browser: Browser, source: Source, page: Dashboard
) -> None:
    lines = [f'  File "app.py", line {number}, in f{number}' for number in range(60)]
    source.figures["stuck"] = (stuck("key 4", "\n".join(lines)), stuck("key 5", STACK))
    browser.open(f"{page.url}#pool=0&text=key+4")
    until(lambda: "in f59" in browser.text("#key-stuck pre"))
    browser.click("#stuck li:first-child summary")

    def at_the_end(selector: str) -> bool:
        return bool(
            browser.run(
                "const pre = document.querySelector(arguments[0]);"
                " return pre.scrollTop > 0"
                " && pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 2",
                selector,
            )
        )

    until(lambda: at_the_end("#key-stuck pre"))
    until(lambda: at_the_end("#stuck li:first-child pre"))


@pytest.mark.parametrize("width", [390, 320, 768, 1400])
def test_the_page_needs_no_scrolling_sideways(
    browser: Browser, source: Source, page: Dashboard, width: int
) -> None:
    source.figures["stuck"] = (stuck("key 4", "z" * 500),)
    source.records.append(Record("w" * 300, messages=10**9))
    source.figures["dead_letters"] = {f"reason {'v' * 70}": 10**12}
    browser.size(width)
    browser.open(f"{page.url}#pool=0&text={'w' * 300}")
    # All that moves what lies under it has been drawn: a click hits what it was aimed at.
    drawn = ("#key-text", "#key-plot", "#key-facts", "#stuck", "#dead tbody", "#hot tbody")
    for each in drawn:
        until(lambda each=each: browser.text(each))
    browser.click("#samples summary")

    until(lambda: browser.text("#samples tbody"))
    assert not browser.overflows()
    assert browser.run("return window.innerWidth") == width


def test_a_screen_reader_is_told_of_landmarks_tables_and_names(
    browser: Browser, source: Source
) -> None:
    source.figures["stuck"] = (stuck("key 4"),)
    with serve(source, Source(name="other"), interval=FAST) as page:
        browser.open(f"{page.url}#pool=0&text=key+4")
        until(lambda: browser.text("#key-facts"))
        browser.click("#samples summary")

        assert browser.roles() >= {
            "banner",
            "navigation",
            "main",
            "search",
            "status",
            "table",
            "columnheader",
            "rowheader",
        }
        lacking = """
            const nameless = (each) =>
              !(each.ariaLabel || each.textContent.trim() || each.labels?.length);
            const all = (selector) => [...document.querySelectorAll(selector)];
            return [
              ...all('th:not([scope])'), ...all('table').filter((each) => !each.caption),
              ...all('button, input, summary, [tabindex="0"]').filter(nameless),
              ...all('svg:not([role=img]):not([aria-hidden])'),
              ...all('section:not([aria-label]):not([aria-labelledby])'),
              ...all('[aria-live], [role=status]').filter((each) => each.id !== 'news'),
            ].map((each) => each.outerHTML)
        """
        assert browser.run(lacking) == []
        assert browser.run("return document.querySelectorAll('h1').length") == 1
        assert browser.run("return document.documentElement.lang") == "en"


def test_the_page_is_dark_where_that_is_preferred_and_its_text_can_be_read(
    browser: Browser, page: Dashboard
) -> None:
    shades = """
        const canvas = document.createElement('canvas');
        const probe = canvas.getContext('2d', { willReadFrequently: true });
        const light = (colour) => {
          probe.fillStyle = colour;
          probe.fillRect(0, 0, 1, 1);
          const parts = [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3)
            .map((each) => each / 255)
            .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
          return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
        };
        const back = (each) => {
          const own = getComputedStyle(each).backgroundColor;
          return own === 'rgba(0, 0, 0, 0)' && each.parentElement ? back(each.parentElement) : own;
        };
        const ratio = (each) => {
          const two = [getComputedStyle(each).color, back(each)].map(light).sort((a, b) => b - a);
          return (two[0] + 0.05) / (two[1] + 0.05);
        };
        const seen = [...document.querySelectorAll('body *')]
          .filter((each) => each.checkVisibility() && !each.children.length)
          .filter((each) => each.textContent.trim());
        return [light(back(document.body)), Math.min(...seen.map(ratio))]
    """
    grounds = {}
    for scheme in ("light", "dark"):
        browser.media(prefers_color_scheme=scheme)
        browser.open(page.url)
        until(lambda: "key 3" in browser.text("#hot"))
        grounds[scheme], contrast = browser.run(shades)
        assert contrast >= 4.5, f"the contrast is {contrast} in the {scheme} page"

    assert grounds["light"] > 0.8
    assert grounds["dark"] < 0.1


def test_nothing_moves_by_itself_where_less_motion_is_preferred(
    browser: Browser, page: Dashboard
) -> None:
    browser.media(prefers_reduced_motion="reduce")
    browser.open(page.url)
    until(lambda: "key 3" in browser.text("#hot"))

    moving = """
        const styles = [...document.querySelectorAll('*')]
          .flatMap((each) => [getComputedStyle(each), getComputedStyle(each, '::before')]);
        return styles
          .map((style) => [style.animationName, style.transitionDuration, style.scrollBehavior])
          .filter((each) => each.join(' ') !== 'none 0s auto')
    """
    assert browser.run(moving) == []
    assert browser.run("return document.getAnimations().length") == 0


def test_the_page_stands_still_while_it_is_paused(
    browser: Browser, source: Source, page: Dashboard
) -> None:
    browser.open(page.url)
    until(lambda: browser.text("#tiles"))
    browser.click("#pause")
    until(lambda: browser.text("#link") == "paused")
    assert browser.run("return document.getElementById('pause').ariaPressed") == "true"

    before = browser.text("#tiles")
    looks = source.asked.count("stats")
    until(lambda: source.asked.count("stats") > looks + 5)
    assert browser.text("#tiles") == before

    browser.click("#pause")
    until(lambda: browser.text("#tiles") != before)
    assert browser.text("#link") == "live"


def test_a_pool_that_has_ended_stays_and_says_so(
    browser: Browser, source: Source, page: Dashboard
) -> None:
    browser.open(page.url)
    until(lambda: browser.text("#state") == "running")

    source.figures["state"] = "ended"
    until(lambda: browser.text("#state") == "ended")

    assert browser.run("return document.getElementById('news').textContent") == "orders: ended"
    assert "handled" in browser.text("#tiles")
    assert browser.run("return document.querySelectorAll('#plots [role=img] .curve').length") == 5


def test_of_several_pools_one_is_chosen_in_a_table_of_all(browser: Browser) -> None:
    one = Working(Record("alice", messages=1), name="one")
    two = Working(Record("bob", messages=1), name="two")

    with serve(one, two, interval=FAST) as page:
        browser.open(page.url)
        until(lambda: "'alice'" in browser.text("#hot"))
        assert browser.text("#name") == "one"

        browser.click("#pools tbody tr:nth-child(2) button")
        until(lambda: browser.text("#name") == "two")

        assert "'bob'" in browser.text("#hot")
        assert "'alice'" not in browser.text("#hot")
        assert browser.text("#pools [aria-current] button") == "two"
        browser.driver.back()
        until(lambda: browser.text("#name") == "one")


def test_a_page_whose_server_has_gone_says_so_and_goes_on_with_the_next_one(
    browser: Browser,
) -> None:
    source = Working(Record("alice", messages=1))
    with serve(source, interval=FAST) as page:
        port = urlsplit(page.url).port or 0
        browser.open(page.url)
        until(lambda: browser.text("#link") == "live")
    until(lambda: browser.text("#link") == "no answer; trying again")
    assert browser.text("#name") == "orders"

    with serve(Working(name="later"), interval=FAST, port=port):
        until(lambda: browser.text("#name") == "later")
        assert browser.text("#link") == "live"


def test_what_a_plot_was_at_a_time_is_told_under_the_pointer(
    browser: Browser, page: Dashboard
) -> None:
    browser.open(page.url)
    until(
        lambda: (
            browser.run("return document.querySelectorAll('#plots [role=img] .curve').length") == 5
        )
    )

    browser.run(
        "const plot = document.querySelector('#plots svg');"
        " const box = plot.getBoundingClientRect();"
        " plot.dispatchEvent(new PointerEvent('pointermove',"
        " { clientX: box.right - 40, clientY: box.top + 50 }))"
    )

    assert browser.run("return document.querySelectorAll('#plots line.cursor').length") == 4
    until(lambda: "ago: " in browser.text("#plots .now"))


def test_two_browsers_windows_do_not_disturb_each_other(browser: Browser, page: Dashboard) -> None:
    browser.open(page.url)
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    browser.open(page.url)
    until(lambda: "key 3" in browser.text("#hot"))
    browser.driver.close()
    browser.driver.switch_to.window(first)

    until(lambda: "key 3" in browser.text("#hot"))
    names = [each.name for each in threading.enumerate() if each.name.startswith("dashboard")]
    assert sorted(names) == ["dashboard-sampler", "dashboard-server"]
