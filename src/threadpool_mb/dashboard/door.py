"""`serve`: the door."""

import os
import socket
from types import TracebackType
from typing import Final, Self, final

from threadpool_mb.arguments import NEVER, Deadline, check_seconds, describe
from threadpool_mb.dashboard.answers import Answers
from threadpool_mb.dashboard.server import Server, listening_socket
from threadpool_mb.dashboard.watching import Sampler, Watched
from threadpool_mb.errors import ThreadRefused
from threadpool_mb.threads.exit_hook import close_at_exit
from threadpool_mb.threads.launching import new_thread
from threadpool_mb.values import Uncopied

__all__ = ["Dashboard", "serve"]

_LAST_PORT: Final = 65_535
_EVERYWHERE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - a user's choice


def serve(
    *pools: Watched, host: str = "127.0.0.1", port: int = 0, interval: float = 1.0
) -> "Dashboard":
    """Serve a page that shows pools while they run, as long as a `with` block.

    ```python
    with Pool(worker) as pool, dashboard.serve(pool) as page:
        print(page.url)
    ```

    The page has plots of what waits, what is handled, how many workers are busy, and of dead
    letters by reason; the keys with the longest queues; workers that are stuck, with their stacks
    (`stuck_after`); and all that is known of a key. It loads nothing from elsewhere.

    A pool that has ended stays on the page, with its last figures. The page keeps no pool alive.

    Args:
        pools: a `Pool`, `KeyedExecutor` or `Broker`, or objects that have their `stats` and `hot`.
        host: the address to listen on. Any program that can connect to it can read the page, which
            shows keys: by default only this machine can. Requests that name another host are
            refused.
        port: `0`: any that is free.
        interval: seconds between two samples. The keys with the longest queues are asked for while
            a page is open, and take a fiftieth of the time at most.

    Raises:
        TypeError: if something has no `stats` or no `hot`, or the host is no text.
        ValueError: if there is no pool, the port is none, or the interval no number of seconds
            above 0.
    """
    if not pools:
        raise ValueError("there must be a pool to show")
    for pool in pools:
        for name in ("stats", "hot"):
            if not callable(getattr(pool, name, None)):
                raise TypeError(f"a pool must have a method {name}(), not {describe(pool)}")
    if not isinstance(host, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"host must be a str, not {describe(host)}")
    if type(port) is not int or not 0 <= port <= _LAST_PORT:
        raise ValueError(f"port must be an int from 0 to {_LAST_PORT}, not {describe(port)}")
    return Dashboard(Sampler(pools, check_seconds(interval, "interval", above=True)), host, port)


@final
class Dashboard(Uncopied):
    """A page that is served while a `with` block runs; made by `serve`.

    It has two threads, however many pages are open. They end with the block, or as the interpreter
    exits. In a child of `os.fork` it does nothing.

    Threads: `url` on any.
    """

    __slots__ = ("_host", "_port", "_running", "_sampler", "_url")

    def __init__(self, sampler: Sampler, host: str, port: int) -> None:
        self._sampler: Final = sampler
        self._host: Final = host
        self._port: Final = port
        self._url: str | None = None
        self._running: _Running | None = None

    @property
    def url(self) -> str:
        """The page's address, `"http://127.0.0.1:41234/"`.

        Raises:
            RuntimeError: before the `with` block.
        """
        if self._url is None:
            raise RuntimeError("the dashboard has no address before its `with` block")
        return self._url

    def __enter__(self) -> Self:
        """Begin to serve.

        Blocks: until requests are answered.

        Raises:
            RuntimeError: if it was entered before.
            OSError: if it cannot listen there; the port is taken, for instance.
            ThreadRefused: if the system starts no thread.
        """
        if self._running is not None:
            raise RuntimeError("a dashboard serves once: make another one")
        answers = Answers(self._sampler, self._host)
        listening = listening_socket(self._host, self._port)
        running = self._running = _Running(
            self._sampler, Server(listening, answers.answer), listening
        )
        try:
            port: int = listening.getsockname()[1]
            shown = _EVERYWHERE.get(self._host, self._host)
            self._url = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"
            running.start()
        except BaseException:
            running.close()
            running.waits_for(NEVER)
            raise
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Serve no more. Blocks: until both threads have ended."""
        running = self._running
        if running is not None:
            running.close()
            running.waits_for(NEVER)

    def __repr__(self) -> str:
        """Show the address."""
        return f"<Dashboard {self._url or 'not entered'}>"


@final
class _Running:
    """The threads of a dashboard, as an owner that the interpreter's exit closes."""

    __slots__ = ("__weakref__", "_listening", "_process", "_sampler", "_server", "_threads")

    def __init__(self, sampler: Sampler, server: Server, listening: socket.socket) -> None:
        self._sampler: Final = sampler
        self._server: Final = server
        self._listening: Final = listening
        self._process: Final = os.getpid()
        self._threads: Final = (
            # Methods of this object, which so lives as long as they run.
            new_thread(self._serve, "dashboard-server"),
            new_thread(self._sample, "dashboard-sampler"),
        )

    def _serve(self) -> None:
        self._server.run()

    def _sample(self) -> None:
        self._sampler.run()

    def start(self) -> None:
        close_at_exit(self)
        try:
            for thread in self._threads:
                thread.start()
        except (RuntimeError, MemoryError) as error:
            raise ThreadRefused(
                f"the system started no thread for the dashboard: {error}"
            ) from error
        self._server.wait_until_it_serves()

    def close(self) -> None:
        if os.getpid() != self._process:
            return
        self._sampler.stop()
        if self._threads[0].ident is None:
            self._listening.close()  # it was never started, and closes nothing
        else:
            self._server.stop()

    def waits_for(self, deadline: Deadline) -> str | None:
        for thread in self._threads:
            if thread.ident is not None and os.getpid() == self._process:
                thread.join(deadline.remaining())
                if thread.is_alive():
                    return "a dashboard"
        return None

    def forked(self) -> bool:
        self._listening.close()  # this process's; the parent goes on to listen
        return False
