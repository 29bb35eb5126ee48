"""Stand-ins for pools, and requests to a dashboard."""

import dataclasses
import http.client
import json
import socket
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from threadpool_mb import DeadLetterReason
from threadpool_mb.dashboard import Dashboard


@dataclasses.dataclass(frozen=True)
class Record:
    """What a pool tells of a worker."""

    key: object
    incarnation: int = 1
    state: str = "busy"
    told_to_end: bool = False
    messages: int = 0


class Source:
    """What can be watched: what it returns is set by the test."""

    def __init__(self, *records: Record, **figures: object) -> None:
        self.figures: dict[str, object] = {"name": "orders", "state": "running", **figures}
        self.records = list(records)
        self.asked: list[str] = []
        self.before: Callable[[str], object] = lambda what: None

    def stats(self) -> object:
        self.asked.append("stats")
        self.before("stats")
        return SimpleNamespace(**self.figures)

    def hot(self, n: int, /) -> Iterable[object]:
        self.asked.append("hot")
        self.before("hot")
        return sorted(self.records, key=lambda record: -record.messages)[:n]

    def worker(self, key: object) -> object:
        self.asked.append("worker")
        return next((record for record in self.records if record.key == key), None)


class Plain:
    """A source that cannot be asked for one key, nor referred to weakly."""

    __slots__ = ("records",)

    def __init__(self, *records: Record) -> None:
        self.records = records

    def stats(self) -> object:
        return SimpleNamespace(dead_letters={DeadLetterReason.REFUSED: 2})

    def hot(self, n: int, /) -> Iterable[object]:
        return self.records


@dataclasses.dataclass(frozen=True)
class Response:
    """What a dashboard has answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - that is what it is
        return json.loads(self.body)


def get(
    page: Dashboard | str, path: str = "/", method: str = "GET", **headers: str | None
) -> Response:
    """Return the response to a request; a header that is `None` is left out."""
    url = urlsplit(page if isinstance(page, str) else page.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
    sent = {"host": url.netloc, **headers}
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        return Response(answer.status, dict(answer.getheaders()), body)
    finally:
        connection.close()


def state(page: Dashboard | str, after: int = -1) -> Any:  # noqa: ANN401 - JSON
    """Return what the page asks for each second."""
    return get(page, f"/api/state?after={after}").json()


def pool(page: Dashboard | str, number: int = 0) -> Any:  # noqa: ANN401 - JSON
    """Return what the page is told of a pool."""
    return state(page)["pools"][number]


def connected(page: Dashboard) -> socket.socket:
    """Return a bare connection."""
    url = urlsplit(page.url)
    return socket.create_connection((url.hostname, url.port), timeout=10)


def raw(page: Dashboard, sent: bytes) -> bytes:
    """Send bytes; return all that comes back."""
    with connected(page) as connection:
        connection.sendall(sent)
        pieces = []
        while piece := connection.recv(65_536):
            pieces.append(piece)
    return b"".join(pieces)
