"""What it costs to be observed: `python -m benchmarks.observing`.

Messages to 50 generator workers, tasks of 50 keys, and tasks of a `ThreadPoolExecutor`; nothing
observed, an observer that overrides nothing, one whose methods of the message plane do nothing,
Prometheus read ten times a second, with a histogram of each message, OpenTelemetry with a span for
each message that is exported to nowhere, and what the same costs a `ThreadPoolExecutor` that does
it by hand. Each round runs all of them, in an order that changes; the figures are medians, and the
ratios those within a round. What is not installed is left out:
`pip install --group observer-libraries`.
"""

import argparse
import concurrent.futures
import contextlib
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

import threadpool_mb as mb

KEYS: Final = 50

type Send = Callable[[int], object]
type Run = Callable[[int], float]
"""Sends so many; returns the seconds that it took until all were handled."""


class Nothing(mb.Observer):
    """Is told of each message, and does nothing."""

    def sent(self, key: object, message: object, /) -> None:
        """Do nothing."""

    def begun(self, key: object, message: object, sent: object, /) -> None:
        """Do nothing."""

    def done(self, key: object, message: object, begun: object, error: object, /) -> None:
        """Do nothing."""


def _worker(_key: object) -> Generator[None, Any]:
    while True:
        yield


def _task() -> None:
    pass


def messages(observe: Any = None) -> Run:  # noqa: ANN401 - whatever a pool takes
    """Return what sends messages to a pool."""

    def run(count: int) -> float:
        pool: mb.Pool[int, int] = mb.Pool(_worker, observe=observe)
        for key in range(KEYS):
            pool.initialize(key)
        pool.flush()
        dispatch = pool.dispatch
        start = time.perf_counter()
        with pool:
            for number in range(count):
                dispatch(number % KEYS, number)
        return time.perf_counter() - start

    return run


def tasks(observe: Any = None) -> Run:  # noqa: ANN401 - whatever an executor takes
    """Return what submits tasks by key."""

    def run(count: int) -> float:
        start = time.perf_counter()
        with mb.KeyedExecutor(observe=observe) as executor:
            submit = executor.submit_keyed
            for number in range(count):
                submit(number % KEYS, _task)
        return time.perf_counter() - start

    return run


def theirs(submit: Callable[[concurrent.futures.ThreadPoolExecutor], object]) -> Run:
    """Return what submits tasks to a `ThreadPoolExecutor`."""

    def run(count: int) -> float:
        start = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor() as executor:
            for _ in range(count):
                submit(executor)
        return time.perf_counter() - start

    return run


def _plain(executor: concurrent.futures.ThreadPoolExecutor) -> None:
    executor.submit(_task)


def _read(read: Callable[[], object], run: Run) -> Run:
    """Return what does the same while something is read ten times a second."""

    def while_read(count: int) -> float:
        over = threading.Event()

        def reading() -> None:
            while not over.wait(0.1):
                read()

        thread = threading.Thread(target=reading)
        thread.start()
        try:
            return run(count)
        finally:
            over.set()
            thread.join()

    return while_read


def _with_prometheus() -> dict[str, Run]:
    from prometheus_client import CollectorRegistry, Histogram, generate_latest  # noqa: PLC0415

    from threadpool_mb.observers.prometheus import Prometheus  # noqa: PLC0415

    registry = CollectorRegistry()
    figures = Prometheus(registry)
    each = Prometheus(CollectorRegistry(), histograms=True)
    label = {"labelnames": ("pool",), "registry": CollectorRegistry()}
    waiting, handling = (
        Histogram(name, name, **label).labels("theirs") for name in ("waiting", "handling")
    )

    def timed(sent: float) -> None:
        begun = time.perf_counter()
        waiting.observe(begun - sent)
        _task()
        handling.observe(time.perf_counter() - begun)

    def read() -> bytes:
        return generate_latest(registry)

    return {
        "messages: Prometheus, read": _read(read, messages(figures)),
        "messages: Prometheus, histograms": messages(each),
        "tasks: Prometheus, histograms": tasks(each),
        "ThreadPoolExecutor: Prometheus, histograms": theirs(
            lambda executor: executor.submit(timed, time.perf_counter())
        ),
    }


def _with_opentelemetry() -> dict[str, Run]:
    from opentelemetry import context, trace  # noqa: PLC0415
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF  # noqa: PLC0415

    from threadpool_mb.observers.opentelemetry import OpenTelemetry  # noqa: PLC0415

    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SpanProcessor())
    unsampled = TracerProvider(ALWAYS_OFF, shutdown_on_exit=False)

    def observer(provider: TracerProvider) -> OpenTelemetry:
        meters = MeterProvider(shutdown_on_exit=False)
        return OpenTelemetry(tracer_provider=provider, meter_provider=meters, durations=False)

    tracer = tracers.get_tracer("benchmarks")
    attributes = {
        "messaging.system": "theirs",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "theirs",
    }

    def traced(given: Any) -> None:  # noqa: ANN401 - a context
        with tracer.start_as_current_span("process theirs", given, attributes=attributes):
            _task()

    del trace
    return {
        "messages: OpenTelemetry": messages(observer(tracers)),
        "messages: OpenTelemetry, none sampled": messages(observer(unsampled)),
        "tasks: OpenTelemetry": tasks(observer(tracers)),
        "ThreadPoolExecutor: OpenTelemetry": theirs(
            lambda executor: executor.submit(traced, context.get_current())
        ),
    }


def _with_structlog() -> dict[str, Run]:
    from threadpool_mb.observers.structlog import Structlog  # noqa: PLC0415

    return {"messages: structlog": messages(Structlog())}


def _all() -> Iterator[tuple[str, Run]]:
    yield "messages: nothing", messages()
    yield "messages: nothing, once more", messages()
    yield "messages: no-op observer", messages(mb.Observer())
    yield "messages: no-op message plane", messages(Nothing())
    yield "tasks: nothing", tasks()
    yield "tasks: no-op observer", tasks(mb.Observer())
    yield "tasks: no-op message plane", tasks(Nothing())
    yield "ThreadPoolExecutor: nothing", theirs(_plain)
    for make in (_with_prometheus, _with_opentelemetry, _with_structlog):
        with contextlib.suppress(ImportError):
            yield from make().items()


def compare(count: int, rounds: int) -> None:
    """Run all of them, and print what each costs."""
    runs = dict(_all())
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run(count // 10)
    draw = random.Random(1)  # noqa: S311 - no secret
    for _ in range(rounds):
        for name in draw.sample(list(runs), len(runs)):
            times[name].append(runs[name](count) / count * 1e6)
    for name, each in sorted(times.items()):
        base = times[f"{name.split(':')[0]}: nothing"]
        ratio = statistics.median(one / other for one, other in zip(each, base, strict=True))
        more = statistics.median(one - other for one, other in zip(each, base, strict=True))
        print(f"{name:45} {statistics.median(each):7.2f} µs  {ratio:6.2f} ×  {more:+7.2f} µs")


def main(words: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.observing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--count", type=int, default=20_000, help="messages in a run (20,000)")
    parser.add_argument("--rounds", type=int, default=9, help="how often (9)")
    arguments = parser.parse_args(words)
    print(f"CPython {sys.version}")
    compare(arguments.count, arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
