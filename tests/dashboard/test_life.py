"""A dashboard's beginning and end: its threads, its port, the interpreter's exit, and forks."""

import asyncio
import copy
import gc
import os
import socket
import subprocess
import sys
import threading
import weakref
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.dashboard.doubles import Record, Source, connected, get, pool
from tests.helpers import until
from threadpool_mb import ThreadRefused
from threadpool_mb.dashboard import door, serve, server


def names() -> list[str]:
    return sorted(each.name for each in threading.enumerate() if each.name.startswith("dashboard"))


def run(code: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=15)  # noqa: S603 - ours


def test_two_threads_serve_as_long_as_the_block() -> None:
    with serve(Source()) as page:
        assert names() == ["dashboard-sampler", "dashboard-server"]
        assert all(not each.daemon for each in threading.enumerate() if each.name in names())
        assert get(page).status == 200

    assert names() == []
    with pytest.raises(ConnectionError):
        get(page)


def test_the_threads_end_while_pages_are_open_and_connections_hang() -> None:
    with serve(Source(), interval=1000.0) as page:
        silent = [connected(page) for _ in range(5)]
        half = connected(page)
        half.sendall(b"GET / HT")
        unread = connected(page)
        unread.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert names() == []
    for connection in (*silent, half, unread):
        connection.close()


def test_the_block_may_be_left_with_an_exception() -> None:
    with pytest.raises(KeyError), serve(Source()):
        raise KeyError

    assert names() == []


def test_a_port_can_be_chosen_and_is_free_again_after_the_block() -> None:
    with serve(Source()) as page:
        port = urlsplit(page.url).port
    assert port

    with serve(Source(), port=port) as again:
        assert again.url == f"http://127.0.0.1:{port}/" == page.url
        assert repr(again) == f"<Dashboard {page.url}>"
        assert get(again).status == 200


def test_a_port_that_is_taken_is_an_error_and_leaves_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]

        with pytest.raises(OSError, match="ddress already in use"), serve(Source(), port=port):
            pass

    assert names() == []


@pytest.mark.parametrize(
    ("host", "shown"),
    [("localhost", "localhost"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.2", "127.0.0.2")],  # noqa: S104
)
def test_the_address_is_one_that_a_browser_on_this_machine_can_open(host: str, shown: str) -> None:
    with serve(Source(), host=host) as page:
        assert urlsplit(page.url).hostname == shown
        assert get(page).status == 200


def test_only_this_machine_can_connect_by_default() -> None:
    with serve(Source()) as page:
        port = urlsplit(page.url).port

        # All of 127.0.0.0/8 is this machine; the server listens on one address of it.
        with pytest.raises(ConnectionError):
            socket.create_connection(("127.0.0.9", port or 0), timeout=5).close()


def test_a_dashboard_has_no_address_before_its_block_and_serves_once() -> None:
    page = serve(Source())
    with pytest.raises(RuntimeError, match="no address before"):
        _ = page.url
    assert repr(page) == "<Dashboard not entered>"

    with page, pytest.raises(RuntimeError, match="serves once"), page:
        pass

    with pytest.raises(RuntimeError, match="serves once"), page:
        pass
    assert names() == []


def test_a_dashboard_cannot_be_copied() -> None:
    with pytest.raises(TypeError, match="cannot copy"):
        copy.copy(serve(Source()))


@pytest.mark.parametrize(
    ("pools", "options", "error", "text"),
    [
        ((), {}, ValueError, "there must be a pool"),
        ((7,), {}, TypeError, r"a pool must have a method stats\(\), not 7"),
        ((Source(),), {"host": 7}, TypeError, "host must be a str, not 7"),
        ((Source(),), {"port": -1}, ValueError, "port must be an int"),
        ((Source(),), {"port": 65_536}, ValueError, "port must be an int"),
        ((Source(),), {"port": True}, ValueError, "port must be an int"),
        ((Source(),), {"interval": 0}, ValueError, "interval must be seconds, more than 0"),
        ((Source(),), {"interval": None}, ValueError, "interval must be seconds, more than 0"),
        ((Source(),), {"interval": "1"}, ValueError, "interval must be seconds, more than 0"),
    ],
)
def test_bad_arguments_are_refused(
    pools: tuple[Any, ...], options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        serve(*pools, **options)


def test_a_page_that_is_open_keeps_no_pool_alive() -> None:
    source = Source(Record("bob", messages=1))
    alive = weakref.ref(source)

    with serve(source, interval=0.01) as page:
        until(lambda: pool(page)["hot"])
        del source
        until(lambda: (gc.collect(), alive() is None)[1])
        until(lambda: pool(page)["gone"])
        told = pool(page)

    assert (told["state"], told["name"]) == ("ended", "orders")


@pytest.mark.parametrize("begun", [0, 1])
def test_where_the_system_starts_no_thread_nothing_is_left(
    begun: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def start_some(thread: threading.Thread) -> None:
        if len(started) == begun:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)
    page = serve(Source())

    with pytest.raises(ThreadRefused, match="no thread for the dashboard"), page:
        pass

    assert names() == []
    with pytest.raises(ConnectionError):
        get(page)


def test_what_keeps_the_server_from_its_start_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise OSError("planted")

    monkeypatch.setattr("threadpool_mb.dashboard.server.asyncio.Event", lambda: broken(None))

    with pytest.raises(OSError, match="planted"), serve(Source()):
        pass

    assert names() == []


def test_an_interrupt_while_it_begins_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(door.Server, "wait_until_it_serves", interrupted)

    with pytest.raises(KeyboardInterrupt), serve(Source()):
        pass

    assert names() == []


FAKE = """
class Source:
    def stats(self): return None
    def hot(self, n): return ()
"""


def test_a_dashboard_whose_block_is_never_left_does_not_keep_the_interpreter() -> None:
    done = run(
        f"""
from threadpool_mb.dashboard import serve
{FAKE}
source = Source()
page = serve(source).__enter__()
print(page.url)
"""
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("http://127.0.0.1:")


def test_one_that_was_dropped_does_not_either() -> None:
    done = run(
        f"""
import gc, threading
from threadpool_mb.dashboard import serve
{FAKE}
source = Source()
serve(source).__enter__()
gc.collect()
print(len(threading.enumerate()))
"""
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


def test_a_child_of_fork_does_not_serve_nor_touch_the_parents_server() -> None:
    with serve(Source()) as page:
        child = os.fork()
        if child == 0:
            left = 1
            try:
                page.__exit__(None, None, None)
                left = len(names())
            finally:
                os._exit(left)
        _, status = os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(status) == 0
        assert get(page).status == 200


def test_neither_the_dashboard_nor_http_is_imported_before_it_is_used() -> None:
    done = run(
        """
import sys, threadpool_mb
print("threadpool_mb.dashboard" in sys.modules, "http" in sys.modules)
print(callable(threadpool_mb.dashboard.serve), "http" in sys.modules)
"""
    )

    assert (done.stdout, done.stderr) == ("False False\nTrue True\n", "")


def test_a_connection_that_comes_as_the_server_stops_is_closed() -> None:
    for _ in range(30):
        with serve(Source(), interval=1000.0) as page:
            late = [connected(page) for _ in range(3)]
        for connection in late:
            connection.close()

    gc.collect()  # a transport that was left open warns, and fails the test


def test_an_answer_to_a_connection_that_was_never_made_is_dropped() -> None:
    connection = server._Connection(lambda head: b"answer to " + head, set())

    connection.data_received(b"GET /\r\n\r\n")
    connection.data_received(b"more, which is not asked about")

    assert connection._answered


def test_what_ends_the_server_once_it_serves_ends_its_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Fails(asyncio.Event):
        async def wait(self) -> bool:  # type: ignore[override]
            raise KeyError("it ends")

    monkeypatch.setattr("threadpool_mb.dashboard.server.asyncio.Event", Fails)
    serving = server.Server(socket.create_server(("127.0.0.1", 0)), lambda head: head)

    with pytest.raises(KeyError, match="it ends"):
        serving.run()

    serving.wait_until_it_serves()  # it has served
    assert serving._socket.fileno() == -1
