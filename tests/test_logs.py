"""What a log handler or filter raises is nobody's business: what was going on is finished."""

import concurrent.futures
import functools
import logging
from collections.abc import Callable

import pytest

import threadpool_mb as mb
from tests.broker.doubles import Boom, Callbacks, brokering, raising
from tests.helpers import RaisingHandler, until
from threadpool_mb.logs import Logger
from threadpool_mb.threads import exit_hook


@pytest.mark.parametrize("level", ["warning", "error", "exception", "critical"])
def test_what_a_handler_or_a_filter_raises_is_dropped(
    raising_log: RaisingHandler, level: str
) -> None:
    log, fails = getattr(Logger("threadpool_mb.somewhere"), level), raising(Boom())
    if level == "critical":
        log = functools.partial(log, exc_info=True)

    log("said %d", 1)
    logging.getLogger("threadpool_mb.somewhere").addFilter(fails)
    log("said %d", 2)
    logging.getLogger("threadpool_mb.somewhere").removeFilter(fails)

    assert raising_log.emitted == ["said 1"]


def test_a_record_names_the_line_that_logs(caplog: pytest.LogCaptureFixture) -> None:
    logger = Logger("threadpool_mb.somewhere")
    error = Boom()

    logger.warning("here")
    logger.error("here", exc_info=error)
    try:
        raise error
    except Boom:
        logger.exception("here")
        logger.critical("here", exc_info=True)

    assert {record.funcName for record in caplog.records} == {
        "test_a_record_names_the_line_that_logs"
    }
    assert {record.name for record in caplog.records} == {"threadpool_mb.somewhere"}
    assert [record.levelno for record in caplog.records] == [
        logging.WARNING,
        logging.ERROR,
        logging.ERROR,
        logging.CRITICAL,
    ]
    assert [record.exc_info and record.exc_info[1] for record in caplog.records] == [
        None,
        error,
        error,
        error,
    ]


def test_a_broker_accounts_for_a_message_whose_demultiplex_raises(
    raising_log: RaisingHandler,
) -> None:
    callbacks = Callbacks(demultiplex=raising(Boom()))
    with brokering(callbacks) as broker:
        broker.input.deliver("lost?")
        broker.input.deliver("and this one")
        until(lambda: len(callbacks.dead) == 2)

    assert [letter.message for letter in callbacks.dead] == ["lost?", "and this one"]
    assert len(raising_log.emitted) == 2


def test_a_future_has_all_its_callbacks_called(raising_log: RaisingHandler) -> None:
    called: list[object] = []
    with mb.KeyedExecutor(max_workers=1) as executor:
        future = executor.submit_keyed("key", int)
        concurrent.futures.wait([future])
        future.add_done_callback(raising(Boom()))
        future.add_done_callback(called.append)

    assert called == [future]
    assert len(raising_log.emitted) == 1


class RaisingOwner:
    """Something to be closed at exit that cannot be."""

    close = waits_for = staticmethod(raising(Boom()))


def test_the_exit_closes_what_is_behind_one_that_cannot_be_closed(
    raising_log: RaisingHandler, monkeypatch: pytest.MonkeyPatch
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
    assert len(raising_log.emitted) == 2
