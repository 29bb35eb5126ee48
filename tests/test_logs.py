"""What a log handler or filter raises is nobody's business: what was going on is finished."""

import concurrent.futures
import logging
from collections.abc import Callable

import pytest

import threadpool_mb as mb
from tests.broker.doubles import Boom, Callbacks, brokering, raising
from tests.helpers import RaisingHandler, until
from threadpool_mb.logs import logger_of
from threadpool_mb.scheduling import exit_hook


@pytest.mark.parametrize("level", ["debug", "warning", "error", "exception", "critical"])
def test_what_a_handler_or_a_filter_raises_is_dropped(
    raising_log: RaisingHandler, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "threadpool_mb")
    logger, fails = logger_of("threadpool_mb.somewhere"), raising(Boom())

    getattr(logger, level)("said %d", 1)
    logger.logger.addFilter(fails)
    getattr(logger, level)("said %d", 2)
    logger.logger.removeFilter(fails)

    assert raising_log.emitted == ["said 1"]


def test_a_record_names_the_line_that_logs(caplog: pytest.LogCaptureFixture) -> None:
    logger_of("threadpool_mb.somewhere").warning("here")

    (record,) = caplog.records
    assert record.funcName == "test_a_record_names_the_line_that_logs"
    assert record.name == "threadpool_mb.somewhere"


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
