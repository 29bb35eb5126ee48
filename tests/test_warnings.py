"""A warning in any thread of the library is an error while the tests run, on every build."""

import threading
import warnings
from collections.abc import Callable, Generator

import pytest

import threadpool_mb as mb

type Told = list[tuple[str, threading.Thread]]


def warn() -> tuple[str, threading.Thread]:
    """Warn, and return what came of it, and on which thread."""
    try:
        warnings.warn("for a test", UserWarning, stacklevel=1)
    except UserWarning:
        return "raised", threading.current_thread()
    return "passed", threading.current_thread()


def in_a_generator_worker(told: Told) -> None:
    def worker(key: str) -> Generator[None, str]:
        yield
        told.append(warn())

    with mb.Pool(worker) as pool:
        pool.initialize("a")
        pool.dispatch("a", "message")


def in_a_function_worker(told: Told) -> None:
    def worker(key: str, mailbox: mb.Mailbox[str]) -> None:
        told.append(warn())

    with mb.Pool(worker) as pool:
        pool.initialize("a")


def in_a_hook_of_a_pool(told: Told) -> None:
    def worker(key: str) -> Generator[None, str]:
        yield

    with mb.Pool(worker, on_worker_exit=lambda _: told.append(warn())) as pool:
        pool.initialize("a")


def in_a_task(told: Told) -> None:
    with mb.KeyedExecutor(max_workers=1) as executor:
        told.append(executor.submit_keyed("a", warn).result())


def in_a_task_of_a_view(told: Told) -> None:
    with mb.KeyedExecutor(max_workers=1) as executor:
        told.append(executor.for_key("a").submit(warn).result())


def in_an_initializer(told: Told) -> None:
    with mb.KeyedExecutor(max_workers=1, initializer=lambda: told.append(warn())) as executor:
        executor.submit(int).result()


def in_a_callback_of_a_future(told: Told) -> None:
    go = threading.Event()
    with mb.KeyedExecutor(max_workers=1) as executor:
        executor.submit(go.wait).add_done_callback(lambda _: told.append(warn()))
        go.set()


def in_a_broker(told: Told) -> None:
    def create(key: str, message: str) -> int:
        told.append(warn())
        return 1

    config: mb.BrokerConfig[str, str, int] = mb.BrokerConfig(
        demultiplex=lambda message: message,
        create=create,
        handle=lambda *_: mb.KeepResource(),
        clean=lambda *_: None,
    )
    with mb.Broker(config) as broker:
        broker.input.deliver(mb.Initialize("a"))
        broker.close()
        broker.join()


PLACES = [
    in_a_generator_worker,
    in_a_function_worker,
    in_a_hook_of_a_pool,
    in_a_task,
    in_a_task_of_a_view,
    in_an_initializer,
    in_a_callback_of_a_future,
    in_a_broker,
]


@pytest.mark.parametrize("place", PLACES)
def test_a_warning_in_a_thread_of_the_library_is_an_error(place: Callable[[Told], None]) -> None:
    told: Told = []

    place(told)

    [(outcome, thread)] = told
    assert outcome == "raised"
    assert thread is not threading.current_thread()
