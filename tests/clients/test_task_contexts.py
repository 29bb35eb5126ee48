"""Tracing and logging contexts reach an executor's tasks, and stay in the task that sets them."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
import structlog
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.contextvars import bind_contextvars, bound_contextvars, get_contextvars

import threadpool_mb as mb

SPANS = InMemorySpanExporter()
PROVIDER = TracerProvider()
PROVIDER.add_span_processor(SimpleSpanProcessor(SPANS))
TRACER = PROVIDER.get_tracer("tests")

type Submit = Callable[..., Future[object]]

DOORS: dict[str, Callable[[mb.KeyedExecutor], Submit]] = {
    "submit_keyed": lambda executor: lambda *call: executor.submit_keyed("key", *call),
    "submit": lambda executor: executor.submit,
    "for_key": lambda executor: executor.for_key("key").submit,
}


@pytest.fixture(params=DOORS)
def submit(request: pytest.FixtureRequest, executor: mb.KeyedExecutor) -> Submit:
    """Submit to the executor through one of its doors."""
    return DOORS[request.param](executor)


@pytest.fixture(autouse=True)
def _no_spans() -> Iterator[None]:
    SPANS.clear()
    yield
    SPANS.clear()


def test_a_span_in_a_task_is_a_child_of_the_submitters(submit: Submit) -> None:
    def task() -> None:
        with TRACER.start_as_current_span("in the task"):
            pass

    with TRACER.start_as_current_span("request"):
        submit(task).result()

    inner, outer = SPANS.get_finished_spans()
    assert (inner.name, outer.name) == ("in the task", "request")
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id


def test_each_task_has_the_span_in_which_it_was_submitted(submit: Submit) -> None:
    def current() -> str:
        return getattr(trace.get_current_span(), "name", "none")

    futures: list[Future[object]] = []
    for number in range(20):
        with TRACER.start_as_current_span(f"request {number}"):
            futures.append(submit(current))
    futures.append(submit(current))

    assert [future.result() for future in futures] == [
        *(f"request {number}" for number in range(20)),
        "none",
    ]


def test_baggage_arrives(submit: Submit) -> None:
    token = context.attach(baggage.set_baggage("user", "ada"))
    try:
        future = submit(baggage.get_baggage, "user")
    finally:
        context.detach(token)

    assert future.result() == "ada"


def test_the_exception_of_a_task_is_recorded_in_the_span_that_it_opened(submit: Submit) -> None:
    def task() -> None:
        with TRACER.start_as_current_span("in the task"):
            raise LookupError("not there")

    with TRACER.start_as_current_span("request"), pytest.raises(LookupError):
        submit(task).result()

    inner, outer = SPANS.get_finished_spans()
    assert [event.name for event in inner.events] == ["exception"]
    assert inner.context is not None
    assert outer.context is not None
    assert inner.context.trace_id == outer.context.trace_id


def test_what_the_submitter_has_bound_is_in_the_log_lines_of_the_task(submit: Submit) -> None:
    lines: list[dict[str, object]] = []

    def keep(_logger: object, _method: str, event: dict[str, object]) -> str:
        lines.append(dict(event))
        raise structlog.DropEvent

    logger = structlog.wrap_logger(None, processors=[structlog.contextvars.merge_contextvars, keep])

    with bound_contextvars(request="r-1"):
        future = submit(logger.info, "handled")
    future.result()
    submit(logger.info, "handled later").result()

    assert lines == [
        {"request": "r-1", "event": "handled"},
        {"event": "handled later"},
    ]


def test_what_a_task_binds_is_seen_by_no_other_task_and_not_by_the_submitter(
    submit: Submit,
) -> None:
    with bound_contextvars(request="r-1"):
        submit(lambda: bind_contextvars(user="ada"))
        seen = [submit(get_contextvars).result() for _ in range(20)]
        here = get_contextvars()

    assert seen == [{"request": "r-1"}] * 20
    assert here == {"request": "r-1"}


def test_map_and_map_keyed_run_in_the_context_of_their_call(executor: mb.KeyedExecutor) -> None:
    def bound(_item: int) -> object:
        return get_contextvars().get("request")

    with bound_contextvars(request="r-1"):
        results = [
            executor.map(bound, range(10)),
            executor.for_key("key").map(bound, range(10)),
            executor.map_keyed(bound, range(10), key=bool),
        ]

    assert [list(each) for each in results] == [["r-1"] * 10] * 3


def test_a_task_behind_one_that_binds_has_its_submitters_context_alone(
    executor: mb.KeyedExecutor,
) -> None:
    with bound_contextvars(request="r-1"):
        executor.submit_keyed("key", lambda: bind_contextvars(user="ada"))
    with bound_contextvars(request="r-2"):
        seen = executor.submit_keyed("key", get_contextvars)

    assert seen.result() == {"request": "r-2"}


def test_an_executor_that_is_told_so_runs_tasks_in_empty_contexts() -> None:
    with mb.KeyedExecutor(max_workers=1, context="empty") as executor:
        with TRACER.start_as_current_span("request"), bound_contextvars(request="r-1"):
            bound = executor.submit_keyed("key", get_contextvars)
            span = executor.submit_keyed("key", trace.get_current_span)

        assert bound.result() == {}
        assert not span.result().get_span_context().is_valid
