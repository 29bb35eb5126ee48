"""An HTTP server on one thread, however many pages are open.

Each connection is answered once and closed. One that sends no request in time, or too long a one,
is closed; more than a few at a time are refused. So nothing that a client does holds the server up,
or keeps it from ending.
"""

import asyncio
import contextlib
import http
import socket
import threading
from collections.abc import Callable
from typing import Final, cast, final, override

from threadpool_mb.dashboard.answers import refusal
from threadpool_mb.dashboard.requests import Refused

__all__ = ["Server", "listening_socket"]

_LONGEST_HEAD: Final = 8_192
_MOST_CONNECTIONS: Final = 64
_PATIENCE: Final = 10.0
"""Seconds for which a connection may be open."""
_HEAD_END: Final = b"\r\n\r\n"


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        OSError: if it cannot, because the port is taken for instance.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


@final
class _Connection(asyncio.Protocol):
    __slots__ = ("_answer", "_answered", "_head", "_open", "_timer", "_transport")

    def __init__(self, answer: Callable[[bytes], bytes], connections: "set[_Connection]") -> None:
        self._answer: Final = answer
        self._open: Final = connections
        self._head = b""
        self._answered = False
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if len(self._open) >= _MOST_CONNECTIONS:
            self._transport.abort()
            return
        self._open.add(self)
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE, self._transport.abort)

    @override
    def data_received(self, data: bytes) -> None:
        if self._answered:
            return  # read, so that the client is not told of a reset before it has the answer
        # The end may lie in two pieces.
        start = max(0, len(self._head) - len(_HEAD_END))
        self._head += data
        end = self._head.find(_HEAD_END, start)
        if end > _LONGEST_HEAD or (end < 0 and len(self._head) > _LONGEST_HEAD):
            too_long = Refused(
                http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request is too long"
            )
            self._send(refusal(too_long))
        elif end >= 0:
            self._send(self._answer(self._head[:end]))

    def _send(self, response: bytes) -> None:
        self._answered = True
        self._head = b""
        if self._transport is not None:
            self._transport.write(response)
            self._transport.write_eof()

    @override
    def eof_received(self) -> None:
        """Let the transport close itself."""

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._transport = None


@final
class Server:
    """Serves what `answer` returns for each request's head."""

    __slots__ = ("_answer", "_error", "_loop", "_ready", "_socket", "_stop", "_stopping")

    def __init__(self, listening: socket.socket, answer: Callable[[bytes], bytes]) -> None:
        """Serve on a socket that listens; it is closed at the end. `answer` raises nothing."""
        self._socket: Final = listening
        self._answer: Final = answer
        self._ready: Final = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._stopping = False

    def run(self) -> None:
        """Serve until `stop` is called."""
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._ready.is_set():
                raise
            self._error = error
        finally:
            self._ready.set()
            self._socket.close()

    def wait_until_it_serves(self) -> None:
        """Wait until requests are answered.

        Raises:
            BaseException: what has kept the server from its start.
        """
        self._ready.wait()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Have `run` return, also if it has not begun. Blocks: never. Threads: any; repeatedly.

        Either this finds what `_serve` has set, or `_serve` finds what is set here.
        """
        self._stopping = True
        stop, loop = self._stop, self._loop
        if loop is not None and stop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(stop.set)

    async def _serve(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        stop = self._stop = asyncio.Event()
        if self._stopping:
            stop.set()
        connections: set[_Connection] = set()
        server = await loop.create_server(
            lambda: _Connection(self._answer, connections), sock=self._socket
        )
        async with server:
            self._ready.set()
            await stop.wait()
            # A connection that asyncio has accepted, and has made no transport for, would be left
            # open by `close` (gh-109564, 3.14.7). Those transports are made before this goes on.
            loop.remove_reader(self._socket)
            await asyncio.sleep(0)
            server.close()
            server.abort_clients()
