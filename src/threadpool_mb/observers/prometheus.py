"""Prometheus: the figures of pools, read at each scrape; histograms where they are asked for.

```python
observer = Prometheus()
pool = Pool(worker, name="orders", observe=observer)
```

Needs `prometheus-client` (`threadpool-mb[prometheus]`). Without histograms, a message costs nothing
more: a scrape reads what the pools count anyway.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, final, override

from prometheus_client import REGISTRY, CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from threadpool_mb.observer import Kind, Observer
from threadpool_mb.observers.figures import FIGURES, Figure, Figures, OfPool, encodable

__all__ = ["Prometheus"]


@final
class Prometheus(Observer, Collector):
    """A collector of the figures of pools. Threads: one may be given to any number of pools.

    All have a label `pool`, the name of the pool, executor or broker. Pools with one name are shown
    as one: their sum. A pool that has ended is not shown any more; what it has counted stays in the
    sum as long as there is another one with its name, so that no counter falls.
    """

    def __init__(
        self,
        registry: CollectorRegistry = REGISTRY,
        *,
        namespace: str = "threadpool_mb",
        histograms: bool = False,
        buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS,
    ) -> None:
        """Register with `registry`.

        Args:
            registry: where it is collected from.
            namespace: what the names of all figures begin with.
            histograms: whether it is measured how long each message takes, and has waited:
                `…_handling_seconds`, `…_waiting_seconds`.
            buckets: of these.

        Raises:
            ValueError: if the registry has figures with these names.
        """
        self._namespace: Final = namespace
        self._figures: Final = Figures()
        self._histograms: Final = (
            (
                Histogram(
                    "handling_seconds",
                    "How long messages take.",
                    ("pool",),
                    namespace=namespace,
                    registry=registry,
                    buckets=buckets,
                ),
                Histogram(
                    "waiting_seconds",
                    "How long messages have waited.",
                    ("pool",),
                    namespace=namespace,
                    registry=registry,
                    buckets=buckets,
                ),
            )
            if histograms
            else None
        )
        self._registry: Final = registry
        registry.register(self)

    def close(self) -> None:
        """Take itself out of the registry."""
        self._registry.unregister(self)
        for each in self._histograms or ():
            self._registry.unregister(each)

    def describe(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        """Return the families without values: what names they have, for the registry."""
        return [self._family(figure) for figure in FIGURES]

    @override
    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        """Read all pools. Blocks: never. Threads: any."""
        snapshots = self._figures.read()
        families: list[GaugeMetricFamily | CounterMetricFamily] = []
        for figure in FIGURES:
            family = self._family(figure)
            for pool, label, value in Figures.values(figure, snapshots):
                family.add_metric([pool] if figure.label is None else [pool, label], value)
            families.append(family)
        return families

    def _family(self, figure: Figure) -> GaugeMetricFamily | CounterMetricFamily:
        family = GaugeMetricFamily if figure.kind == "gauge" else CounterMetricFamily
        seconds = "_seconds" if figure.unit == "s" else ""
        labels = ["pool"] if figure.label is None else ["pool", figure.label]
        return family(f"{self._namespace}_{figure.name}{seconds}", figure.text, labels=labels)

    @override
    def for_owner(self, name: str, kind: Kind, /) -> Observer:
        """Return what is told of one pool."""
        if self._histograms is None:
            return OfPool(self._figures)
        handling, waiting = (each.labels(encodable(name)) for each in self._histograms)
        return _OfMessages(self._figures, handling, waiting)


@final
class _OfMessages(OfPool):
    """One pool: its figures, and how long its messages take."""

    __slots__ = ("_handling", "_waiting")

    def __init__(self, figures: Figures, handling: Histogram, waiting: Histogram) -> None:
        super().__init__(figures)
        self._handling: Final = handling
        self._waiting: Final = waiting

    @override
    def sent(self, key: Any, message: Any, /) -> float:
        return time.perf_counter()

    @override
    def begun(self, key: Any, message: Any, sent: float | None, /) -> float:
        now = time.perf_counter()
        if sent is not None:
            self._waiting.observe(now - sent)
        return now

    @override
    def done(self, key: Any, message: Any, begun: float, error: BaseException | None, /) -> None:
        self._handling.observe(time.perf_counter() - begun)
