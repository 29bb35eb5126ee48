"""What a log handler or filter raises is nobody's business: what was going on is finished."""

import concurrent.futures
import logging
from collections.abc import Callable, Iterator

import pytest

import threadpool_mb as mb
from tests.helpers import until
from threadpool_mb.logs import logger_of
from threadpool_mb.scheduling import exit_hook


class Boom(Exception):
    """What a handler raises."""


def boom(*_: object) -> bool:
    raise Boom


class RaisingHandler(logging.Handler):
    """One that lets its error pass, as a careless one does; it counts."""

    def __init__(self) -> None:
        super().__init__()
        self.emitted: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.emitted.append(record.getMessage())
        raise Boom


@pytest.fixture
def handler() -> Iterator[RaisingHandler]:
    logger, handler = logging.getLogger("threadpool_mb"), RaisingHandler()
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.mark.parametrize("level", ["debug", "warning", "error", "exception", "critical"])
def test_what_a_handler_or_a_filter_raises_is_dropped(
    handler: RaisingHandler, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "threadpool_mb")
    logger = logger_of("threadpool_mb.somewhere")

    getattr(logger, level)("said %d", 1)
    logger.logger.addFilter(boom)
    getattr(logger, level)("said %d", 2)
    logger.logger.removeFilter(boom)

    assert handler.emitted == ["said 1"]


def test_a_record_names_the_line_that_logs(caplog: pytest.LogCaptureFixture) -> None:
    logger_of("threadpool_mb.somewhere").warning("here")

    (record,) = caplog.records
    assert record.funcName == "test_a_record_names_the_line_that_logs"
    assert record.name == "threadpool_mb.somewhere"


def test_a_broker_accounts_for_a_message_whose_demultiplex_raises(handler: RaisingHandler) -> None:
    dead: list[mb.DeadLetter[object, object]] = []
    config: mb.BrokerConfig[str, object, object, None] = mb.BrokerConfig(
        demultiplex=boom,  # type: ignore[arg-type]
        create=lambda *_: None,
        handle=lambda *_: None,
        clean=lambda *_: None,
    )
    with mb.Broker(config, on_dead_letter=dead.append) as broker:
        broker.input.deliver("lost?")
        broker.input.deliver("and this one")
        until(lambda: len(dead) == 2)

    assert [letter.message for letter in dead] == ["lost?", "and this one"]
    assert len(handler.emitted) == 2


def test_a_future_has_all_its_callbacks_called(handler: RaisingHandler) -> None:
    called: list[object] = []
    with mb.KeyedExecutor(max_workers=1) as executor:
        future = executor.submit_keyed("key", int)
        concurrent.futures.wait([future])
        future.add_done_callback(boom)
        future.add_done_callback(called.append)

    assert called == [future]
    assert len(handler.emitted) == 1


class RaisingOwner:
    """Something to be closed at exit that cannot be."""

    close = waits_for = boom


def test_the_exit_closes_what_is_behind_one_that_cannot_be_closed(
    handler: RaisingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    class Owner:
        def close(self) -> None:
            closed.append("closed")

        def waits_for(self, _deadline: object) -> None:
            return None

    monkeypatch.setattr(exit_hook, "_owners", lambda: [RaisingOwner(), Owner()])
    exiting: Callable[[], None] = exit_hook._exiting.clear
    try:
        exit_hook._close_all()
    finally:
        exiting()

    assert closed == ["closed"]
    assert len(handler.emitted) == 2
