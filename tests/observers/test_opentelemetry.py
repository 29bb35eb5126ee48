"""Spans and figures, as the real SDK exports them."""

import asyncio
import collections
import itertools
import threading
from collections.abc import Generator
from typing import Any, Final

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import threadpool_mb as mb
from tests.helpers import run_together, until
from tests.pool.doubles import Intercepting
from threadpool_mb import aio
from threadpool_mb.observers.opentelemetry import OpenTelemetry

REQUESTS: Final = 1000


class Order(mb.Command[int]):
    """Asks for what becomes of an order."""

    def __init__(self, number: int) -> None:
        self.number: Final = number


class Telemetry:
    """An SDK whose exports can be read, and an observer that tells it."""

    def __init__(self, **given: Any) -> None:  # noqa: ANN401 - as the observer has them
        self._exporter: Final = InMemorySpanExporter()
        self.tracers: Final = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader: Final = InMemoryMetricReader()
        self.meters: Final = MeterProvider([self._reader], shutdown_on_exit=False)
        self.tracer: Final = self.tracers.get_tracer("tests")
        self.observer: Final = OpenTelemetry(
            tracer_provider=self.tracers, meter_provider=self.meters, **given
        )

    def spans(self) -> list[ReadableSpan]:
        """Return the spans that have ended, in that order."""
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        """Return those with a name."""
        return [span for span in self.spans() if span.name == name]

    def figures(self) -> dict[str, dict[tuple[Any, ...], Any]]:
        """Return the value of each instrument, by what its attributes are."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: {
                tuple(sorted((point.attributes or {}).items())): (
                    point.count if isinstance(point, HistogramDataPoint) else point.value  # type: ignore[union-attr]
                )
                for point in metric.data.data_points
            }
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def id_of(span: ReadableSpan) -> int:
    return span.get_span_context().span_id  # type: ignore[union-attr]


def trace_of(span: ReadableSpan) -> int:
    return span.get_span_context().trace_id  # type: ignore[union-attr]


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def links_of(span: ReadableSpan) -> list[int]:
    return [link.context.span_id for link in span.links]


def number_of(span: ReadableSpan) -> int:
    assert span.attributes is not None
    number = span.attributes["n"]
    assert isinstance(number, int)
    return number


def counting(_key: object) -> Generator[None, Any]:
    while True:
        yield


def traces_of(
    spans: list[ReadableSpan],
) -> tuple[list[dict[str, ReadableSpan]], list[dict[str, ReadableSpan]]]:
    """Return the traces of requests, and the others; of each its spans by their names."""
    of_trace = collections.defaultdict[int, dict[str, ReadableSpan]](dict)
    for span in spans:
        assert span.name not in of_trace[trace_of(span)]
        of_trace[trace_of(span)][span.name] = span
    return (
        [each for each in of_trace.values() if "GET /order" in each],
        [each for each in of_trace.values() if "GET /order" not in each],
    )


def chain_of(spans: dict[str, ReadableSpan]) -> tuple[int, int]:
    """Check a request's trace; return its number, and the span that its audit is to link to."""
    chain = ["GET /order", "process orders", "process save", "process store", "SQL"]
    assert sorted(spans) == sorted(chain)
    assert parent_of(spans[chain[0]]) is None
    for above, below in itertools.pairwise(chain):
        assert parent_of(spans[below]) == id_of(spans[above])
        assert links_of(spans[below]) == []
    # The same request all the way down.
    assert number_of(spans["SQL"]) == number_of(spans["GET /order"])
    return number_of(spans["SQL"]), id_of(spans["process save"])


def link_of(spans: dict[str, ReadableSpan]) -> tuple[int, int]:
    """Check the trace of an audit; return its number, and the span that it links to."""
    assert sorted(spans) == ["audit", "process store"]
    assert parent_of(spans["process store"]) is None
    assert parent_of(spans["audit"]) == id_of(spans["process store"])
    (link,) = links_of(spans["process store"])
    return number_of(spans["audit"]), link


def test_a_trace_of_a_request_goes_through_workers_and_tasks_under_1000_requests_at_once() -> None:
    """From a web handler, a coroutine, to a function worker; each parent and each link is right."""
    telemetry = Telemetry()
    observer, tracer = telemetry.observer, telemetry.tracer

    def store(_key: object, mailbox: mb.Mailbox[Any]) -> None:
        for message in mailbox:
            if isinstance(message, mb.Call):
                with tracer.start_as_current_span("SQL", attributes={"n": message.command.number}):
                    message.reply_box.reply(message.command.number)
            else:
                tracer.start_span("audit", attributes={"n": message}).end()

    def save(number: int) -> int:
        stored.dispatch("audit", number)
        return mb.call(stored.ref(number % 7), Order(number))

    def orders(key: object) -> Generator[Any, Any]:
        while True:
            match (yield):
                case mb.Call(command, box):
                    box.reply((yield from mb.wait(tasks.submit_keyed(key, save, command.number))))

    async def request(number: int) -> int:
        with tracer.start_as_current_span("GET /order", attributes={"n": number}):
            return await aio.call(accepted.ref(number % 50), Order(number))

    async def serve() -> list[int]:
        return await asyncio.gather(*(request(number) for number in range(REQUESTS)))

    with (
        mb.Pool[object, Any](store, name="store", observe=observer, start="on_demand") as stored,
        mb.KeyedExecutor(thread_name_prefix="save", observe=observer) as tasks,
        mb.Pool[object, Any](
            orders, name="orders", observe=observer, start="on_demand"
        ) as accepted,
    ):
        assert asyncio.run(serve()) == list(range(REQUESTS))

    whole, audits = traces_of(telemetry.spans())
    assert len(whole) == len(audits) == REQUESTS
    saved_by = dict(chain_of(spans) for spans in whole)
    assert sorted(saved_by) == list(range(REQUESTS))
    assert dict(map(link_of, audits)) == saved_by
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_span_has_the_attributes_that_the_conventions_have_for_messaging() -> None:
    telemetry = Telemetry()

    with mb.Pool[str, Any](
        counting, name="orders", observe=telemetry.observer, start="on_demand"
    ) as pool:
        pool.dispatch("a", "x")

    (span,) = telemetry.spans()
    assert span.kind is SpanKind.CONSUMER
    assert span.attributes == {
        "messaging.system": "threadpool_mb",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "orders",
        "threadpool_mb.key": "a",
    }
    assert span.status.status_code is StatusCode.UNSET


def test_a_task_without_a_key_has_a_span_without_one() -> None:
    telemetry = Telemetry()

    with mb.KeyedExecutor(1, observe=telemetry.observer) as executor:
        executor.submit(int)
        executor.submit_keyed("a", int)

    assert ["threadpool_mb.key" in span.attributes for span in telemetry.spans()] == [False, True]


def test_what_a_worker_raises_is_the_spans_error() -> None:
    telemetry = Telemetry()

    def worker(_key: object) -> Generator[None, Any]:
        yield
        raise ValueError("the worker's")

    with mb.Pool[str, Any](worker, observe=telemetry.observer, start="on_demand") as pool:
        pool.dispatch("a", "x")

    (span,) = telemetry.spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "ValueError: the worker's"
    assert (span.attributes or {})["error.type"] == "ValueError"
    assert [event.name for event in span.events] == ["exception"]


@pytest.mark.parametrize("kind", ["generator", "function", "task"])
def test_a_senders_baggage_arrives_and_nothing_is_left_of_it(kind: str) -> None:
    telemetry = Telemetry()
    seen = list[object]()

    def look(_: object = None) -> None:
        seen.append(baggage.get_baggage("tenant"))

    def generator(_key: object) -> Generator[None, Any]:
        look()
        try:
            while True:
                look((yield))
        finally:
            look()

    def function(_key: object, mailbox: mb.Mailbox[Any]) -> None:
        look()
        for _ in mailbox:
            look()
        look()

    token = context.attach(baggage.set_baggage("tenant", "acme"))
    try:
        if kind == "task":
            with mb.KeyedExecutor(observe=telemetry.observer, context="empty") as executor:
                executor.submit_keyed("a", look)
                before = executor._table.threads  # the same thread, after that
                assert before
                context.detach(token)
                token = context.attach(context.Context())
                executor.submit_keyed("a", look)
        else:
            worker: Any = generator if kind == "generator" else function
            with mb.Pool[str, Any](worker, observe=telemetry.observer) as pool:
                pool.initialize("a", "x")
    finally:
        context.detach(token)

    assert seen == (["acme", None] if kind == "task" else [None, "acme", None])


def test_a_worker_that_waits_in_the_midst_of_a_message_goes_on_in_its_span() -> None:
    telemetry = Telemetry()

    def worker(_key: object) -> Generator[Any, Any]:
        while True:
            yield
            yield from mb.sleep(0.001)
            telemetry.tracer.start_span("behind the wait").end()

    with mb.Pool[int, Any](
        worker, name="waits", observe=telemetry.observer, start="on_demand", max_threads=3
    ) as pool:
        for number in range(60):
            pool.dispatch(number % 20, number)

    spans = {id_of(span): span for span in telemetry.named("process waits")}
    behind = telemetry.named("behind the wait")
    assert len(spans) == len(behind) == 60
    assert {parent_of(span) for span in behind} == set(spans)


def test_a_call_that_is_handled_on_its_callers_thread_leaves_the_callers_span_as_it_was() -> None:
    telemetry = Telemetry()

    def worker(_key: object) -> Generator[None, Any]:
        while True:
            match (yield):
                case mb.Call(command, box):
                    box.reply(command.number)

    with mb.Pool[str, Any](
        worker, name="here", observe=telemetry.observer, start="on_demand", inline_calls=True
    ) as pool:
        pool.dispatch("a", "x")
        pool.flush("a")
        with telemetry.tracer.start_as_current_span("caller") as caller:
            for number in range(5):
                assert mb.call(pool.ref("a"), Order(number)) == number
                assert trace.get_current_span() is caller

    handled = telemetry.named("process here")[1:]
    assert [parent_of(span) for span in handled] == [caller.get_span_context().span_id] * 5


def test_a_function_that_leaves_its_loop_of_asyncio_with_a_message_in_hand_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    telemetry = Telemetry()
    current = list[object]()

    async def receive(mailbox: mb.Mailbox[Any]) -> None:
        async for _ in aio.messages(mailbox):
            current.append(trace.get_current_span())
            break

    def worker(_key: object, mailbox: mb.Mailbox[Any]) -> None:
        asyncio.run(receive(mailbox))
        current.append(trace.get_current_span())

    with mb.Pool[str, Any](worker, name="loop", observe=telemetry.observer) as pool:
        pool.initialize("a", "x")

    assert [id_of(span) for span in telemetry.spans()] == [
        current[0].get_span_context().span_id  # type: ignore[attr-defined]
    ]
    assert current[1] is trace.INVALID_SPAN
    assert caplog.records == []


@pytest.mark.parametrize("max_threads", [None, 2])
def test_a_brokers_message_links_to_its_senders_span(max_threads: int | None) -> None:
    telemetry = Telemetry()
    config: mb.BrokerConfig[str, str, str, None] = mb.BrokerConfig(
        lambda message: mb.Dispatch(message, message),
        lambda _key, _message: None,
        lambda _key, _message, _resource: mb.KeepResource(),
        lambda _key, _resource: None,
    )

    with (
        mb.Broker(
            config,
            name="files",
            observe=telemetry.observer,
            start="on_demand",
            max_threads=max_threads,
        ) as broker,
        telemetry.tracer.start_as_current_span("sender") as sender,
    ):
        broker.input.deliver("a")

    (span,) = telemetry.named("process files")
    assert links_of(span) == [sender.get_span_context().span_id]
    assert parent_of(span) is None


def test_figures_are_read_from_the_pools() -> None:
    telemetry = Telemetry(spans=False)
    inside, go_on = threading.Event(), threading.Event()

    def worker(key: object) -> Generator[None, Any]:
        while True:
            yield
            if key == "stays":
                inside.set()
                go_on.wait(15)

    with mb.Pool[str, Any](
        worker, name="orders", observe=telemetry.observer, on_dead_letter=lambda _: None
    ) as pool:
        name = (("threadpool_mb.name", "orders"),)
        for key in ("a", "stays"):
            pool.initialize(key)
        pool.dispatch_many("a", range(10))
        pool.flush("a")
        until(lambda: pool.stats().handled == 10)
        pool.dispatch_many("stays", range(3))
        inside.wait(15)
        pool.dispatch("nobody", "x")
        figures = telemetry.figures()
        go_on.set()

    assert figures["threadpool_mb.keys"] == {name: 2}
    assert figures["threadpool_mb.busy"] == {name: 1}
    assert figures["threadpool_mb.waiting"] == {name: 2}
    assert figures["threadpool_mb.handled"] == {name: 10}
    assert figures["threadpool_mb.started"] == {name: 2}
    reason = ("threadpool_mb.reason", "unknown key")
    assert figures["threadpool_mb.dead_letters"] == {(*name, reason): 1}
    # It has ended.
    ended = telemetry.figures()
    assert "threadpool_mb.keys" not in ended
    assert telemetry.spans() == []


def test_figures_are_read_from_executors_and_brokers() -> None:
    telemetry = Telemetry(spans=False)
    config: mb.BrokerConfig[Any, str, Any, None] = mb.BrokerConfig(
        lambda message: message,
        lambda _key, _message: None,
        lambda _key, _message, _resource: None,
        lambda _key, _resource: None,
    )
    with (
        mb.KeyedExecutor(1, thread_name_prefix="tasks", observe=telemetry.observer) as executor,
        mb.Broker(
            config, name="files", observe=telemetry.observer, on_dead_letter=lambda _: None
        ) as broker,
    ):
        executor.submit_keyed("a", len, "abc")
        executor.submit_keyed("a", len)  # raises
        executor.submit_later(60, "a", len, "abc").cancel()
        until(lambda: executor.stats().handled == 2)
        broker.input.deliver(mb.Initialize("a", "message"))
        broker.input.deliver(mb.Dispatch("nobody", "message"))
        # A dead letter counts at once, and is taken off what was taken before that is counted.
        until(lambda: bool(broker.stats().dead_letters) and broker.stats().handled == 1)
        figures = telemetry.figures()

    tasks, files = (("threadpool_mb.name", "tasks"),), (("threadpool_mb.name", "files"),)
    reason = ("threadpool_mb.reason", "unknown key")
    assert figures["threadpool_mb.keys"] == {tasks: 0, files: 1}
    assert figures["threadpool_mb.handled"] == {tasks: 2, files: 1}
    assert figures["threadpool_mb.failed"] == {tasks: 1, files: 0}
    assert figures["threadpool_mb.cancelled"] == {tasks: 1}
    assert figures["threadpool_mb.dead_letters"] == {(*files, reason): 1}


def test_how_long_messages_take_and_have_waited_is_measured() -> None:
    telemetry = Telemetry()

    def worker(_key: object) -> Generator[None, Any]:
        while True:
            if (yield) == "bad":
                raise ValueError

    with mb.Pool[str, Any](
        worker, name="orders", observe=telemetry.observer, start="on_demand"
    ) as pool:
        pool.dispatch_many("a", range(9))
        pool.dispatch("a", "bad")

    figures = telemetry.figures()
    attributes = (
        ("messaging.destination.name", "orders"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.system", "threadpool_mb"),
    )
    assert figures["threadpool_mb.wait.duration"] == {attributes: 10}
    assert figures["messaging.process.duration"] == {
        attributes: 9,
        (("error.type", "ValueError"), *attributes): 1,
    }


def test_without_spans_and_durations_no_message_is_observed() -> None:
    telemetry = Telemetry(spans=False, durations=False)

    with mb.Pool[str, Any](counting, observe=telemetry.observer) as pool:
        assert not pool._office.observers.messages


def test_where_a_program_has_no_sdk_nothing_happens() -> None:
    with mb.Pool[str, Any](counting, observe=OpenTelemetry(), start="on_demand") as pool:
        pool.dispatch("a", "x")


def test_many_threads_record_while_figures_are_read() -> None:
    telemetry = Telemetry()

    def send(sender: int) -> None:
        for number in range(200):
            pool.dispatch((sender, number % 5), number)

    def read() -> None:
        while sum(telemetry.figures().get("messaging.process.duration", {}).values()) < 600:
            pass

    with mb.Pool[Any, Any](
        counting, name="busy", observe=telemetry.observer, start="on_demand"
    ) as pool:
        run_together(*(lambda sender=sender: send(sender) for sender in range(3)), read)

    assert len(telemetry.named("process busy")) == 600


def test_without_durations_there_are_spans_and_no_histogram() -> None:
    telemetry = Telemetry(durations=False)

    with mb.Pool[str, Any](
        counting, name="orders", observe=telemetry.observer, start="on_demand"
    ) as pool:
        pool.dispatch_many("a", range(3))

    assert len(telemetry.named("process orders")) == 3
    assert not [name for name in telemetry.figures() if name.endswith("duration")]


def test_what_comes_through_a_users_own_kind_of_mailbox_begins_a_trace_and_has_not_waited() -> None:
    telemetry = Telemetry()

    def worker(_key: object, mailbox: mb.Mailbox[Any]) -> None:
        collections.deque(mailbox, 0)

    pool = mb.Pool[str, Any](
        worker, name="orders", observe=telemetry.observer, mailbox=Intercepting()
    )
    with pool, telemetry.tracer.start_as_current_span("sender"):
        pool.initialize("a")
        pool.dispatch("a", "x")

    assert "threadpool_mb.wait.duration" not in telemetry.figures()
    assert [parent_of(span) for span in telemetry.named("process orders")] == [None]
