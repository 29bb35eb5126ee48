"""OpenTelemetry: a span for each message, and figures of pools.

```python
observer = OpenTelemetry()
pool = Pool(worker, name="orders", observe=observer)
```

Needs `opentelemetry-api` (`threadpool-mb[opentelemetry]`); what is done with spans and figures, the
program's SDK says.

**Spans.** A message's span is that of a consumer, with the attributes that the semantic conventions
have for messaging: `process orders`. It is current while the message is handled, in the worker's
context, and so is whatever else was in the sender's OpenTelemetry context, its baggage. Where the
sender waits for the answer, or can (a call, a task of an executor), the span is a child of the
sender's span. Otherwise, with `dispatch`, it begins a trace of its own, and links to the sender's.

**Figures.** What `stats()` returns, read when the SDK asks; and histograms of how long messages
take, and have waited.
"""

import contextvars
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, final, override

from opentelemetry import context as contexts
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, TracerProvider

from threadpool_mb.arguments import describe
from threadpool_mb.calls.messages import Call
from threadpool_mb.observer import Kind, Observer
from threadpool_mb.observers.figures import FIGURES, Figure, Figures, OfPool, encodable
from threadpool_mb.values import MISSING

__all__ = ["OpenTelemetry"]

_SCOPE: Final = "threadpool_mb"

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Seconds, as the semantic conventions have them."""

_in_hand: Final = contextvars.ContextVar[object]("threadpool_mb.observers.opentelemetry")
"""The span that was made current in a context: whether `done` comes in that one."""


@final
class OpenTelemetry(Observer):
    """Tells OpenTelemetry of messages and pools. Threads: one may be given to any number of pools.

    Make one for a program: a second one would make the same instruments again, of which the SDK
    warns.
    """

    __slots__ = ("_durations", "_figures", "_tracer", "_waits")

    def __init__(
        self,
        *,
        spans: bool = True,
        durations: bool = True,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Make the instruments.

        Args:
            spans: whether each message has a span.
            durations: whether it is measured how long each message takes, and has waited.
            tracer_provider: where spans go; the program's, if it is not given.
            meter_provider: where figures go; the program's, if it is not given.
        """
        meter = metrics.get_meter(_SCOPE, meter_provider=meter_provider)
        self._tracer: Final = (
            trace.get_tracer(_SCOPE, tracer_provider=tracer_provider) if spans else None
        )
        self._durations: Final = (
            meter.create_histogram(
                "messaging.process.duration",
                unit="s",
                description="Duration of processing operation.",
                explicit_bucket_boundaries_advisory=_BUCKETS,
            )
            if durations
            else None
        )
        self._waits: Final = (
            meter.create_histogram(
                "threadpool_mb.wait.duration",
                unit="s",
                description="How long messages have waited.",
                explicit_bucket_boundaries_advisory=_BUCKETS,
            )
            if durations
            else None
        )
        self._figures: Final = Figures()
        for figure in FIGURES:
            _instrument(meter, figure, self._figures)

    @override
    def for_owner(self, name: str, kind: Kind, /) -> Observer:
        """Return what is told of one pool."""
        if self._tracer is None and self._durations is None:
            return OfPool(self._figures)
        return _OfMessages(self._figures, name, kind, self._tracer, self._durations, self._waits)


def _instrument(meter: Meter, figure: Figure, figures: Figures) -> None:
    """Make the instrument of a figure."""

    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        for pool, label, value in figures.values(figure, figures.read()):
            attributes = {"threadpool_mb.name": pool}
            if figure.label is not None:
                attributes[f"threadpool_mb.{figure.label}"] = label
            yield Observation(value, attributes)

    make: Callable[..., object] = (
        meter.create_observable_gauge if figure.kind == "gauge" else meter.create_observable_counter
    )
    make(
        f"threadpool_mb.{figure.name}",
        callbacks=[observe],
        unit=figure.unit,
        description=figure.text,
    )


@final
class _Sent:
    """A message on its way."""

    __slots__ = ("at", "context")

    def __init__(self, context: Context) -> None:
        self.context: Final = context
        """The sender's."""
        self.at: Final = time.perf_counter()


@final
class _Begun:
    """A message in hand."""

    __slots__ = ("at", "context", "span", "token", "undo")

    def __init__(
        self,
        span: Span | None,
        context: Context,
        token: Any,  # noqa: ANN401 - OpenTelemetry's
        undo: Any,  # noqa: ANN401 - of the context variable
    ) -> None:
        self.span: Final = span
        self.context: Final = context
        self.token: Final = token
        self.undo: Final = undo
        self.at: Final = time.perf_counter()


@final
class _OfMessages(OfPool):
    """One pool: its figures, and its messages."""

    __slots__ = ("_attributes", "_durations", "_kind", "_tracer", "_waits")

    def __init__(  # noqa: PLR0917 - what the observer has
        self,
        figures: Figures,
        name: str,
        kind: Kind,
        tracer: Tracer | None,
        durations: Histogram | None,
        waits: Histogram | None,
    ) -> None:
        super().__init__(figures)
        self._kind: Final = kind
        self._tracer: Final = tracer
        self._durations: Final = durations
        self._waits: Final = waits
        self._attributes: Final = {
            "messaging.system": "threadpool_mb",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": encodable(name),
        }

    @override
    def sent(self, key: Any, message: Any, /) -> _Sent:
        return _Sent(contexts.get_current())

    @override
    def begun(self, key: Any, message: Any, sent: _Sent | None, /) -> _Begun:
        given = Context() if sent is None else sent.context
        if self._waits is not None and sent is not None:
            self._waits.record(time.perf_counter() - sent.at, self._attributes, context=given)
        if self._tracer is None:
            return _Begun(None, given, None, None)
        span = self._span(self._tracer, key, message, given)
        context = trace.set_span_in_context(span, given)
        return _Begun(span, context, contexts.attach(context), _in_hand.set(span))

    def _span(self, tracer: Tracer, key: object, message: object, given: Context) -> Span:
        attributes: dict[str, str] = self._attributes
        if key is not MISSING:
            shown = encodable(key) if isinstance(key, str) else describe(key)
            attributes = {**attributes, "threadpool_mb.key": shown}
        name = f"process {attributes['messaging.destination.name']}"
        if self._kind == "executor":
            return tracer.start_span(name, given, SpanKind.INTERNAL, attributes)
        if isinstance(message, Call):
            return tracer.start_span(name, given, SpanKind.CONSUMER, attributes)
        sender = trace.get_current_span(given).get_span_context()
        links = [Link(sender)] if sender.is_valid else []
        return tracer.start_span(name, Context(), SpanKind.CONSUMER, attributes, links)

    @override
    def done(self, key: Any, message: Any, begun: _Begun, error: BaseException | None, /) -> None:
        span = begun.span
        attributes = self._attributes
        if error is not None:
            attributes = {**attributes, "error.type": type(error).__qualname__}
        if self._durations is not None:
            seconds = time.perf_counter() - begun.at
            self._durations.record(seconds, attributes, context=begun.context)
        if span is None:
            return
        # A worker that receives in a task of asyncio, and leaves the loop over its mailbox, is done
        # in another context than it has begun in. There, nothing was attached.
        if _in_hand.get(None) is span:
            contexts.detach(begun.token)
            _in_hand.reset(begun.undo)
        try:
            if error is not None:
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                # Last: both ask the error for its text, which may raise.
                span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        finally:
            span.end()
