"""The crawler: each page that can be reached is fetched once, politely, and the crawl ends."""

import itertools
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Generator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import threadpool_mb as mb
from examples import crawler
from examples.crawler import Clock, FakeClock, Frontier, Page, Report, crawl, host_of, parse
from tests.helpers import until

SETTINGS = settings(max_examples=15, deadline=None)

type Web = dict[str, list[str]]
"""The links of each page that is there."""


def webs(hosts: int) -> st.SearchStrategy[Web]:
    urls = [f"http://{host}.example/{page}" for host in "abcd"[:hosts] for page in range(8)]
    links = st.lists(st.sampled_from(urls), max_size=12)
    return st.dictionaries(st.sampled_from(urls), links).map(
        lambda web: {urls[0]: urls[:12:2], **web}
    )


def reachable(web: Web, start: str) -> list[str]:
    """Return what can be reached, in the order in which it is found by going page by page."""
    found, waiting = [start], deque([start])
    while waiting:
        for link in web.get(waiting.popleft(), []):
            if link not in found:
                found.append(link)
                waiting.append(link)
    return found


class Site:
    """Serves a web, and looks how it is asked."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.fetched: list[str] = []
        self.busy: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        for url in web:
            self.busy[host_of(url)] = threading.Lock()

    def fetch(self, url: str) -> str:
        lock = self.busy[host_of(url)]
        assert lock.acquire(blocking=False), "two at once"
        try:
            self.fetched.append(url)
            return "".join(f'<a href="{link}#here">.</a>' for link in self.web[url])
        finally:
            lock.release()


class SlowClock(FakeClock):
    """One on which some time passes between any two looks."""

    def now(self) -> float:
        self.sleep(0.375)
        return super().now()


@SETTINGS
@given(
    web=webs(hosts=4),
    in_hand=st.integers(1, 4),
    on_the_way=st.integers(1, 3),
    distance=st.sampled_from([0.0, 0.25, 1.0]),
    clock=st.sampled_from([FakeClock, SlowClock]),
)
def test_each_page_that_can_be_reached_is_fetched_once_and_at_a_distance(
    web: Web, in_hand: int, on_the_way: int, distance: float, clock: Callable[[], Clock]
) -> None:
    site, start = Site(web), next(iter(web))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crawler, "IN_HAND", in_hand)
        patch.setattr(crawler, "ON_THE_WAY", on_the_way)
        reports = crawl(start, site.fetch, distance=distance, clock=lambda _: clock())

    assert sorted(site.fetched) == sorted(reachable(web, start))
    assert sorted(report.page.url for report in reports) == sorted(site.fetched)
    for report in reports:
        if report.page.url in web:
            assert report.page.error is None
            assert list(report.links) == web[report.page.url]
        else:
            assert isinstance(report.page.error, KeyError)
    times: defaultdict[str, list[float]] = defaultdict(list)
    for report in reports:
        times[host_of(report.page.url)].append(report.page.at)
    for at in times.values():
        assert all(later - earlier >= distance for earlier, later in itertools.pairwise(at))


@SETTINGS
@given(web=webs(hosts=1))
def test_the_pages_of_a_host_are_fetched_in_the_order_in_which_they_were_found(web: Web) -> None:
    site, start = Site(web), next(iter(web))

    crawl(start, site.fetch, clock=lambda _: FakeClock())

    assert site.fetched == reachable(web, start)


@pytest.mark.parametrize("links", [1, 4, 100])
def test_the_frontier_never_waits_for_a_host(links: int) -> None:
    go_on = threading.Event()

    def stuck(host: str, mailbox: mb.Mailbox[str]) -> None:
        go_on.wait()
        fetched.extend(mailbox)

    def parser(host: str) -> Generator[None, Page]:
        while True:
            yield

    fetched: list[str] = []
    urls = [f"http://a.example/{number}" for number in range(links)]
    with (
        mb.Pool(parser) as parsers,
        mb.Pool(stuck, mailbox=mb.NonBlocking(4), start="on_demand") as hosts,
    ):
        frontier = Frontier(hosts, parsers)
        for url in urls * 2:
            frontier.add(url)

        assert frontier.out == min(links, 4)
        go_on.set()
        for url in urls:
            until(lambda url=url: url in fetched)
            frontier.take(Report(Page(url, 0.0), 0, ()))
        assert frontier.out == 0

    assert fetched == urls


@pytest.mark.parametrize("after", [0, 1, 20])
def test_a_crawl_that_raises_leaves_nobody_waiting(
    after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = [f"http://{host}.example/{page}" for host in "abcd" for page in range(20)]
    site = Site(dict.fromkeys(urls, urls))
    take, taken = Frontier.take, []

    def take_some(frontier: Frontier, report: Report) -> None:
        take(frontier, report)
        taken.append(report)
        if len(taken) > after:
            raise ZeroDivisionError

    monkeypatch.setattr(Frontier, "take", take_some)

    with pytest.raises(ZeroDivisionError):
        crawl(urls[0], site.fetch, clock=lambda _: FakeClock())


def test_a_crawl_ends_if_a_worker_raises(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    urls = [f"http://{host}.example/{page}" for host in "abcd" for page in range(20)]
    site = Site(dict.fromkeys(urls, urls))

    def raises_at_times(page: Page) -> Report:
        if page.url.endswith("7"):
            raise OSError("out of paper")
        return parse(page)

    monkeypatch.setattr(crawler, "parse", raises_at_times)

    with pytest.raises(mb.MailboxClosed):
        crawl(urls[0], site.fetch, clock=lambda _: FakeClock())

    assert "out of paper" in caplog.text


def test_a_page_is_parsed_into_words_and_addresses() -> None:
    text = (
        '<p>two words</p> <a href="b#c">and</a> <a href="//x.example/">more</a><a href="http://[">'
    )

    assert parse(Page("http://a.example/", 0.0, text)) == Report(
        Page("http://a.example/", 0.0, text), 4, ("http://a.example/b", "http://x.example/")
    )


def test_the_wall_clock_passes() -> None:
    clock = crawler.WallClock()
    before = clock.now()

    clock.sleep(0)

    assert clock.now() >= before
