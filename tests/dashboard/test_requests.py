"""Who is answered: a request whose `Host` and `Origin` are the server's own, and that reads."""

from collections.abc import Iterator

import pytest

from tests.dashboard.doubles import Source, connected, get, raw
from threadpool_mb.dashboard import Dashboard, serve
from threadpool_mb.dashboard.requests import Hosts

PATHS = ["/", "/page.js", "/api/state", "/api/key?pool=0&id=1", "/nothing"]


@pytest.fixture(scope="module")
def source() -> Source:
    return Source()


@pytest.fixture
def page(source: Source) -> Iterator[Dashboard]:
    with serve(source) as page:
        yield page


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "10.0.0.1",
        "[2001:db8::1]",
        "0.0.0.0",  # noqa: S104 - what is tested
        "user@127.0.0.1",
        "127.0.0.1/",
        "127.0.0.1 evil.example",
        "",
        ":80",
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_a_request_for_another_host_is_refused(page: Dashboard, host: str, path: str) -> None:
    response = get(page, path, host=host)

    assert response.status == 421
    assert b"orders" not in response.body


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "LocalHost:1", "[::1]:8000", "127.0.0.53:65535"]
)
def test_the_loopback_host_is_served_by_each_of_its_names_and_through_any_port(
    page: Dashboard, host: str
) -> None:
    assert get(page, host=host).status == 200


def test_a_server_that_listens_everywhere_knows_addresses_and_no_foreign_names() -> None:
    hosts = Hosts("0.0.0.0")  # noqa: S104 - what is tested

    assert hosts.knows("192.0.2.7:80")
    assert hosts.knows("[2001:db8::1]")
    assert hosts.knows("localhost")
    assert not hosts.knows("evil.example")


def test_a_server_is_known_by_the_name_that_it_was_given() -> None:
    hosts = Hosts("Box.Example")

    assert hosts.knows("box.example:8000")
    assert not hosts.knows("other.example")


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1", b"GET / HTTP/1.0"])
def test_a_request_without_a_host_is_refused(page: Dashboard, head: bytes) -> None:
    assert raw(page, head + b"\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_request_with_two_hosts_is_refused(page: Dashboard) -> None:
    head = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n"

    assert raw(page, head).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost", "file://"]
)
@pytest.mark.parametrize("path", PATHS)
def test_a_request_of_another_origin_is_refused(page: Dashboard, origin: str, path: str) -> None:
    assert get(page, path, origin=origin).status == 403


def test_a_request_of_the_pages_own_origin_is_answered(page: Dashboard) -> None:
    own = page.url.removesuffix("/")

    assert get(page, "/api/state", origin=own, sec_fetch_site="same-origin").status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
def test_what_a_browser_says_comes_from_another_site_is_refused_but_for_a_link(
    page: Dashboard, site: str
) -> None:
    assert get(page, "/api/state", sec_fetch_site=site, sec_fetch_mode="navigate").status == 403
    assert get(page, "/", sec_fetch_site=site, sec_fetch_mode="no-cors").status == 403
    assert get(page, "/", sec_fetch_site=site, sec_fetch_mode="navigate").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"])
@pytest.mark.parametrize("path", PATHS)
def test_nothing_but_reading_is_a_method(page: Dashboard, method: str, path: str) -> None:
    response = get(page, path, method)

    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD"


def test_the_answer_to_a_request_with_a_body_arrives(page: Dashboard) -> None:
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 200000\r\n\r\n"

    assert raw(page, head + b"x" * 200_000).startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize("path", ["/", "/page.css", "/page.js", "/plots.js", "/api/state", "/no"])
def test_head_gets_the_headers_of_get_and_no_body(page: Dashboard, path: str) -> None:
    read, head = get(page, path), get(page, path, "HEAD")

    assert head.status == read.status
    assert head.body == b""
    assert head.headers.keys() == read.headers.keys()
    assert int(read.headers["Content-Length"]) == len(read.body)


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\nX: y\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /?" + b"&".join(b"a=%d" % n for n in range(50)) + b" HTTP/1.1\r\nHost: [::1]\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(page: Dashboard, sent: bytes) -> None:
    assert raw(page, sent).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "target",
    ["//evil.example/", "http://127.0.0.1/", "*", "/../page.py", "/page/page.html", "/%2e"],
)
def test_there_is_nothing_but_the_page_and_what_it_asks_for(page: Dashboard, target: str) -> None:
    head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    assert raw(page, head.encode()).startswith(b"HTTP/1.1 404 ")


def test_a_request_may_come_in_pieces(page: Dashboard) -> None:
    with connected(page) as connection:
        for byte in b"GET /page.css HTTP/1.1\r\nHost: localhost\r\n\r\n":
            connection.sendall(bytes([byte]))

        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_a_request_that_is_too_long_is_refused_whether_or_not_it_ends(
    page: Dashboard, end: bytes
) -> None:
    head = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 9_000 + end

    assert raw(page, head).startswith(b"HTTP/1.1 431 ")


def test_connections_that_say_nothing_keep_nobody_from_being_answered(page: Dashboard) -> None:
    silent = [connected(page) for _ in range(20)]

    assert get(page).status == 200

    for connection in silent:
        connection.close()


def test_there_are_so_many_connections_at_a_time_and_no_more(page: Dashboard) -> None:
    silent = [connected(page) for _ in range(64)]

    with pytest.raises(ConnectionError):
        get(page)

    for connection in silent:
        connection.close()


def test_a_client_that_leaves_before_its_answer_does_no_harm(page: Dashboard) -> None:
    for _ in range(20):
        with connected(page) as connection:
            connection.sendall(b"GET /api/state HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert get(page).status == 200
