"""What observers are told of tasks."""

import contextvars
import functools
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.helpers import run_together, until
from tests.observing.recording import Recording, whole
from threadpool_mb import KeyedExecutor, Observer, Rate
from threadpool_mb.threads.watchers import Watcher
from threadpool_mb.values import MISSING

_where: Final = contextvars.ContextVar("_where", default="nowhere")


def twice(number: int) -> int:
    return 2 * number


def fail(*arguments: object) -> None:
    del arguments
    raise ValueError("the task's")


@pytest.mark.parametrize(
    "limits", [{}, {"max_waiting": 9}, {"rate": Rate(1e6)}, {"pinned": True}, {"context": "empty"}]
)
def test_a_task_is_told_as_sent_then_begun_then_done(limits: dict[str, Any]) -> None:
    observer = Recording()

    with KeyedExecutor(observe=observer, thread_name_prefix="tasks", **limits) as executor:
        assert executor.submit_keyed("a", twice, 2).result() == 4
        assert isinstance(executor.submit_keyed("b", fail).exception(), ValueError)

    assert observer.events == [
        ("attach", "tasks"),
        *whole("a", twice),
        *whole("b", fail, 'ValueError("the task\'s")'),
        ("detach", "tasks"),
    ]


type Submit = Callable[[KeyedExecutor], Any]

WAYS: Final[dict[str, tuple[Submit, object]]] = {
    "submit": (lambda executor: executor.submit(twice, 1), MISSING),
    "map": (lambda executor: list(executor.map(twice, [1])), MISSING),
    "map_keyed": (lambda executor: list(executor.map_keyed(twice, [1], key=str)), "1"),
    "for_key": (lambda executor: executor.for_key("a").submit(twice, 1), "a"),
    "submit_later": (lambda executor: executor.submit_later(0.001, "a", twice, 1).result(), "a"),
    "submit_multi": (lambda executor: executor.submit_multi(["a", "b"], twice, 1), ("a", "b")),
    "submit_exclusive": (lambda executor: executor.submit_exclusive(twice, 1), MISSING),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_submit_tells(way: str) -> None:
    observer = Recording()
    submit, key = WAYS[way]

    with KeyedExecutor(observe=observer) as executor:
        submit(executor)

    assert observer.of("sent", "begun", "done") == whole(key, twice)


def test_a_task_that_is_cancelled_before_it_begins_is_only_sent() -> None:
    observer = Recording()
    inside, go_on = threading.Event(), threading.Event()

    def stay() -> None:
        inside.set()
        go_on.wait(15)

    with KeyedExecutor(observe=observer) as executor:
        executor.submit_keyed("a", stay)
        inside.wait(15)
        assert executor.submit_keyed("a", twice, 1).cancel()
        go_on.set()

    assert [each for each in observer.events if each[1:3] == ("a", twice)] == [("sent", "a", twice)]


def test_a_task_runs_in_its_submitters_context_and_what_begun_sets_there_is_seen() -> None:
    class Binding(Observer):
        def sent(self, key: object, message: object, /) -> str:
            return _where.get()

        def begun(self, key: object, message: object, sent: str, /) -> contextvars.Token[str]:
            return _where.set(f"{_where.get()}, sent {sent}")

        def done(
            self, key: object, message: object, begun: contextvars.Token[str], error: object, /
        ) -> None:
            _where.reset(begun)
            after.append(_where.get())

    after = list[str]()
    with KeyedExecutor(observe=Binding()) as executor:
        _where.set("here")
        assert executor.submit_keyed("a", _where.get).result() == "here, sent here"

    assert after == ["here"]


def test_libraries_that_take_tasks_back_find_the_functions_that_were_submitted() -> None:
    inside, go_on = threading.Event(), threading.Event()

    def stay() -> None:
        inside.set()
        go_on.wait(15)

    with KeyedExecutor(1, observe=Recording()) as executor:
        executor.submit(stay)
        inside.wait(15)
        executor.submit(twice, 3)
        taken: Any = executor._work_queue.get_nowait()
        go_on.set()

    assert (taken.fn, taken.args) == (twice, (3,))


def test_done_is_told_before_the_future_has_its_result() -> None:
    order = list[str]()

    class Done(Observer):
        def done(self, key: object, message: object, begun: object, error: object, /) -> None:
            order.append("done")

    with KeyedExecutor(observe=Done()) as executor:
        inside = threading.Event()
        future = executor.submit(inside.wait, 15)
        future.add_done_callback(lambda _: order.append("result"))
        inside.set()

    assert order == ["done", "result"]


def test_the_error_of_a_task_keeps_nothing_of_its_arguments() -> None:
    class Argument:
        pass

    class Done(Observer):
        def done(self, key: object, message: object, begun: object, error: object, /) -> None:
            pass

    freed = threading.Event()
    with KeyedExecutor(observe=Done()) as executor:
        argument = Argument()
        weakref.finalize(argument, freed.set)
        future = executor.submit_keyed("a", fail, argument)
        del argument
        error = future.exception()
        executor.submit_keyed("a", twice, 1).result()
        until(freed.is_set)

    assert isinstance(error, ValueError)


def test_an_executor_that_was_dropped_is_detached() -> None:
    observer = Recording()

    executor = KeyedExecutor(observe=observer)
    executor.submit_keyed("a", twice, 1).result()
    del executor

    until(lambda: observer.of("detach"))


def test_an_executors_figures_can_be_read_also_after_its_end() -> None:
    observer = Recording()
    inside, go_on = threading.Event(), threading.Event()

    def stay() -> None:
        inside.set()
        go_on.wait(15)

    with KeyedExecutor(1, observe=observer, thread_name_prefix="tasks") as executor:
        executor.submit_keyed("a", stay)
        inside.wait(15)
        executor.submit_keyed("a", twice, 1)
        stats = observer.stats()
        go_on.set()

    assert (stats.name, stats.state, stats.keys, stats.waiting) == ("tasks", "running", 1, 1)
    assert stats.threads == 1
    assert observer.stats().state == "ended"
    assert observer.stats().keys == observer.stats().threads == 0


@pytest.mark.racing
def test_each_task_is_begun_with_its_own() -> None:
    told = list[tuple[object, object]]()

    class Watching(Observer):
        def sent(self, key: object, message: object, /) -> object:
            return (key, message)

        def begun(self, key: object, message: object, sent: object, /) -> object:
            return sent, (key, message)

        def done(
            self, key: object, message: object, begun: tuple[object, object], error: object, /
        ) -> None:
            told.append(begun)

    def submit(sender: int) -> None:
        for number in range(300):
            task = functools.partial(twice, number)
            if number % 9 == 0:
                executor.submit_multi([number % 5, "all"], task)
            else:
                executor.submit_keyed((sender, number % 5), task)

    with KeyedExecutor(3, observe=Watching()) as executor:
        run_together(*(lambda sender=sender: submit(sender) for sender in range(3)))

    assert len(told) == 900
    assert all(sent == handled for sent, handled in told)


def test_what_a_thread_had_in_hand_before_it_has_again_afterwards() -> None:
    watcher = Watcher("stuck", 60.0)
    outer = watcher.begun("outer", 1, None)
    inner = watcher.begun("inner", 2, None)
    assert [busy.key for busy in watcher._now()] == ["inner"]

    watcher.done("inner", 2, inner, None)
    assert [busy.key for busy in watcher._now()] == ["outer"]
    watcher.done("outer", 1, outer, None)

    assert watcher._now() == []
    watcher.detach("never attached")
    assert watcher.look() == (0.0, ())
