"""The progress bar."""

import io

from tests.helpers import until
from threadpool_mb.demo.report import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_that_is_erased_at_the_end() -> None:
    terminal = Terminal()

    with Progress(terminal, "work", 4, lambda: 1):
        shown = terminal.getvalue()

    assert shown == f"\rwork [{'#' * 10}{'.' * 30}]  25 %"
    assert terminal.getvalue() == shown + "\r\x1b[K"


def test_the_bar_follows_the_count() -> None:
    terminal = Terminal()
    done = [0]

    with Progress(terminal, "work", 2, lambda: done[0]):
        done[0] = 2
        until(lambda: f"[{'#' * 40}] 100 %" in terminal.getvalue())


def test_a_stream_that_is_no_terminal_shows_nothing() -> None:
    stream = io.StringIO()

    with Progress(stream, "work", 4, lambda: 1):
        pass

    assert stream.getvalue() == ""


def test_a_missing_stream_shows_nothing() -> None:
    asked: list[bool] = []

    with Progress(None, "work", 4, lambda: asked.append(True) or 1):
        pass

    assert asked == []


def test_what_is_shown_already_is_not_written_again() -> None:
    terminal = Terminal()
    bar = Progress(terminal, "work", 4, lambda: 1)

    bar._draw(terminal)
    bar._draw(terminal)

    assert terminal.getvalue() == f"\rwork [{'#' * 10}{'.' * 30}]  25 %"
