"""Reading a request's head, and refusing what does not come from the page itself.

**What is refused.** A web site that a user visits can have the browser send requests here, and can
let its own name point to this address (DNS rebinding), after which the browser takes the site and
the dashboard for one. The `Host` header then has the site's name: a name that is not this server's
is refused. So is an `Origin` other than this server, and what the browser says comes from another
site, but for following a link to the page.
"""

import dataclasses
import http
import ipaddress
import re
from collections.abc import Mapping
from typing import Final, final
from urllib.parse import parse_qs, urlsplit

__all__ = ["Hosts", "Refused", "Request", "read_request"]

_REQUEST_LINE: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP/1\.[01]")
_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]@/?#\\]+)(?::\d{1,5})?")
_METHODS: Final = ("GET", "HEAD")
_MOST_FIELDS: Final = 8


@final
class Refused(Exception):
    """A request that is not answered with what it asks for."""

    def __init__(self, status: http.HTTPStatus, reason: str) -> None:
        """Answer it with `status`, and say why."""
        super().__init__(reason)
        self.status: Final = status


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A request that may be answered."""

    head_only: bool
    """Whether the body of the answer is left out."""
    path: str
    fields: Mapping[str, str]
    """The query's fields; the first of each name."""


@final
class Hosts:
    """The names by which this server is called."""

    __slots__ = ("_loopback", "_names")

    def __init__(self, host: str) -> None:
        """Listen on `host`, a name or an address."""
        address = _address(host)
        self._loopback: Final = host == "localhost" or (address is not None and address.is_loopback)
        self._names: Final = frozenset({"localhost", host.lower()})

    def knows(self, host: str) -> bool:
        """Return whether a `Host` header names this server.

        An address always does where the server listens on more than the loopback interface: which
        of the machine's it is does not matter, since no other site is called by it.
        """
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1].strip("[]").lower()
        address = _address(name)
        if address is not None:
            return address.is_loopback or not self._loopback
        return name in self._names


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def read_request(head: bytes, hosts: Hosts) -> Request:
    """Read a request's head, without the empty line at its end.

    Raises:
        Refused: if it is malformed, or does not come from the page, or is no reading.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if line is None:
        raise Refused(http.HTTPStatus.BAD_REQUEST, "this is no request of HTTP/1")
    method, target = line.groups()
    headers = _headers(lines)
    host = headers.get("host", "")
    if not hosts.knows(host):
        raise Refused(
            http.HTTPStatus.MISDIRECTED_REQUEST, "the Host header does not name this server"
        )
    split = _split(target)
    _check_origin(headers, host, split.path)
    if method not in _METHODS:
        raise Refused(http.HTTPStatus.METHOD_NOT_ALLOWED, "nothing can be changed here")
    try:
        fields = parse_qs(
            split.query, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="replace"
        )
    except ValueError as error:
        raise Refused(http.HTTPStatus.BAD_REQUEST, "the query has too many fields") from error
    return Request(
        head_only=method == "HEAD",
        path=split.path,
        fields={name: values[0] for name, values in fields.items()},
    )


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for each in lines:
        header = _HEADER.fullmatch(each)
        if header is None:
            raise Refused(http.HTTPStatus.BAD_REQUEST, "a header cannot be read")
        name = header[1].lower()
        if name == "host" and name in headers:
            raise Refused(http.HTTPStatus.BAD_REQUEST, "there is more than one Host header")
        headers[name] = header[2]
    if "host" not in headers:
        raise Refused(http.HTTPStatus.BAD_REQUEST, "there is no Host header")
    return headers


@final
@dataclasses.dataclass(frozen=True, slots=True)
class _Target:
    path: str
    query: str


def _split(target: str) -> _Target:
    # `urlsplit` takes what begins with two slashes for a host.
    if target.startswith("/") and not target.startswith("//"):
        split = urlsplit(target)
        return _Target(split.path, split.query)
    return _Target(target, "")


def _check_origin(headers: Mapping[str, str], host: str, path: str) -> None:
    origin = headers.get("origin")
    own = {f"http://{host}".lower(), f"https://{host}".lower()}
    foreign = origin is not None and origin.lower() not in own
    site = headers.get("sec-fetch-site", "none")
    followed = path == "/" and headers.get("sec-fetch-mode") == "navigate"
    if foreign or (site not in {"none", "same-origin"} and not followed):
        raise Refused(http.HTTPStatus.FORBIDDEN, "the request comes from another site")
