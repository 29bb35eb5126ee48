"""A crawler: pages are fetched politely, host by host, parsed on all cores, and followed once.

A pipeline with a circle in it, and a limit on every mailbox::

    frontier ──▶ hosts ──▶ parsers ──▶ frontier
     which       one at a   links and   which of the
     page next   time each  words       links are new

Read: the two messages; `crawl`, with its workers `fetch_all` and `parse_all`; then `Frontier`,
which sees to it that the circle neither blocks nor stops too early.

Leans on:

- **One at a time, in order.** A host is one key: its pages are fetched in the order in which they
  were found, never two at once, so that it takes no lock to keep a distance between them. It is a
  function worker: it owns a thread, and may sleep. Parsing is for generator workers: it does not.
- **Keys on demand.** Nobody knows the hosts before: a host's workers start at its first page.
- **Back-pressure.** In `Blocking` mailboxes: who is faster waits for who is slower.
- **Ending.** A worker that raises is reported, to `ended`: then `crawl` raises, and does not wait
  for a report that will not come. Closing the mailbox of reports wakes all who wait for it.

**Why it does not deadlock.** If each stage of a circle waits for room in the next one, all of them
may wait at once. So one of them must never wait: the frontier. It knows how many pages each host
has in hand, gives it no more than its mailbox holds, and keeps the others; these it has to remember
anyway, to follow each link once. As it never waits, its own mailbox empties, so parsers go on, so
hosts go on.

**Why it ends.** Each page that is handed to a host comes back as one report, one that cannot be
fetched as well. The frontier counts what is out; when all is back, nothing is left to be found.
"""

import contextlib
import math
import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urldefrag, urljoin, urlsplit

import threadpool_mb as mb

IN_HAND: Final = 4
"""The most pages that a host has in hand."""
ON_THE_WAY: Final = 2
"""The most pages that wait for a parser, and the most reports that wait for the frontier."""


class Clock(Protocol):
    """Tells the time, and lets it pass; in seconds."""

    def now(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...


class WallClock:
    """The real one."""

    now = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)


class FakeClock:
    """One that nobody has to wait for."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float, /) -> None:
        self._now += seconds


@dataclass(frozen=True, slots=True)
class Page:
    """From a host to its parser: what was fetched, and when by the host's clock."""

    url: str
    at: float
    text: str = ""
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """From a parser to the frontier."""

    page: Page
    words: int
    links: tuple[str, ...]


def host_of(url: str) -> str:
    """Return the host of a page: the key of its workers."""
    return urlsplit(url).netloc


def parse(page: Page) -> Report:
    """Count the words of a page, and find its links."""
    words = re.sub(r"<[^>]*>", " ", page.text).split()
    links: list[str] = []
    for link in re.findall(r'href="([^"]*)"', page.text):
        with contextlib.suppress(ValueError):  # it is no address
            links.append(urldefrag(urljoin(page.url, link)).url)
    return Report(page, len(words), tuple(links))


class Frontier:
    """Knows which pages were found, and hands them to their hosts. It never waits for anybody."""

    def __init__(self, hosts: mb.Pool[str, str], parsers: mb.Pool[str, Page]) -> None:
        self.out = 0
        """Pages that were handed to a host and not reported yet."""
        self._hosts = hosts
        self._parsers = parsers
        self._found: set[str] = set()
        self._kept: defaultdict[str, deque[str]] = defaultdict(deque)
        self._in_hand: Counter[str] = Counter()

    def add(self, url: str) -> None:
        """Have a page fetched, if it was not found before."""
        if url in self._found:
            return
        self._found.add(url)
        host = host_of(url)
        self._kept[host].append(url)
        self._hand_out(host)

    def take(self, report: Report) -> None:
        """Follow the links of a page."""
        host = host_of(report.page.url)
        self.out -= 1
        self._in_hand[host] -= 1
        for link in report.links:
            self.add(link)
        self._hand_out(host)

    def _hand_out(self, host: str) -> None:
        while self._kept[host] and self._in_hand[host] < IN_HAND:
            self.out += 1
            self._in_hand[host] += 1
            if not self._hosts.dispatch(host, self._kept[host].popleft()):
                raise RuntimeError(f"{host} has more in hand than was counted, or has ended")


def crawl(
    start: str,
    fetch: Callable[[str], str],
    *,
    distance: float = 1.0,
    clock: Callable[[str], Clock] = lambda _host: WallClock(),
) -> list[Report]:
    """Fetch a page and all that it leads to; return the reports as they came.

    Args:
        start: the address of the first page.
        fetch: returns the text of a page; what it raises is the page's `error`.
        distance: seconds between the beginnings of two fetches from one host.
        clock: returns a host's clock.

    Raises:
        MailboxClosed: if a worker has ended with an error, which is logged.
    """
    reports: mb.Mailbox[Report] = mb.Blocking(ON_THE_WAY).create()
    frontier_input = reports.new_input()

    def fetch_all(host: str, mailbox: mb.Mailbox[str]) -> None:
        time_here, next_at = clock(host), -math.inf
        for url in mailbox:
            time_here.sleep(max(0.0, next_at - time_here.now()))
            at = time_here.now()
            next_at = at + distance
            try:
                page = Page(url, at, fetch(url))
            except Exception as error:  # noqa: BLE001 - whatever it is, the page is reported
                page = Page(url, at, error=error)
            parsers.dispatch(host, page)

    def parse_all(_host: str) -> Generator[None, Page]:
        while True:
            page = yield
            frontier_input.deliver(parse(page))

    def ended(worker: mb.WorkerExit[str]) -> None:
        if worker.error is not None:
            reports.close()

    all_reports: list[Report] = []
    parsers = mb.Pool(
        parse_all, mailbox=mb.Blocking(ON_THE_WAY), start="on_demand", on_worker_exit=ended
    )
    hosts = mb.Pool(
        fetch_all, mailbox=mb.NonBlocking(IN_HAND), start="on_demand", on_worker_exit=ended
    )
    with parsers, hosts, contextlib.closing(reports):
        frontier = Frontier(hosts, parsers)
        frontier.add(start)
        while frontier.out:
            report = reports.receive()
            all_reports.append(report)
            frontier.take(report)
    return all_reports


def small_web() -> dict[str, str]:
    """Return the texts of ten pages on each of three hosts, by address, all linked."""
    hosts = ["https://a.example", "https://b.example", "https://c.example"]
    web: dict[str, str] = {}
    for host, other in zip(hosts, hosts[1:] + hosts[:1], strict=True):
        for number in range(1, 11):
            links = [f"/{2 * number % 11}#top", f"{3 * number % 11}", f"{other}/{number}", "/lost"]
            text = " ".join(f'<a href="{link}">more</a>' for link in links)
            web[f"{host}/{number}"] = f"<h1>Page {number}</h1> {text}"
    return web


def main() -> None:
    """Crawl it, and print what there is on each host."""
    web = small_web()
    reports = crawl("https://a.example/1", web.__getitem__, clock=lambda _host: FakeClock())
    for host in sorted({host_of(report.page.url) for report in reports}):
        here = [report for report in reports if host_of(report.page.url) == host]
        lost = sum(report.page.error is not None for report in here)
        words = sum(report.words for report in here)
        took = max(report.page.at for report in here)
        print(f"{host}: {len(here)} pages in {took:.0f} s, {words} words, {lost} lost")


if __name__ == "__main__":
    main()
