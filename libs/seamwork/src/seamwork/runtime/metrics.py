"""
Name every metric once, as data, and keep them.

Each commit counts a dozen things, so what is counted lies in dictionaries, and becomes Prometheus's samples when
somebody asks for them. Its own counters take a lock, a check and an object for each bucket they pass.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.utils import floatToGoString

from seamwork.errors import MisconfiguredError

_LATENCY_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 5, 10, 30)
_BYTES = tuple(float(256 << (2 * n)) for n in range(9))  # 256 B to 16 MiB


@dataclass(frozen=True)
class Metric:
    """One metric: its name without labels, its help, its labels."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ("service",)
    buckets: tuple[float, ...] = _LATENCY_S


METRICS: tuple[Metric, ...] = (
    Metric(
        "seamwork_crossings", "counter", "Records taken in, by topic and kind.", ("service", "topic", "kind")
    ),
    Metric("seamwork_outputs", "counter", "Records published and confirmed, by topic.", ("service", "topic")),
    Metric(
        "seamwork_verdicts",
        "counter",
        "Verdicts of a gate, by outcome; those that object by rule as well.",
        ("service", "outcome", "rule"),
    ),
    Metric(
        "seamwork_decisions",
        "counter",
        "Decisions of the router; why is the rule that refuses or holds, what closed it or put it before people, "
        "or the outcome of a task.",
        ("service", "decision", "why"),
    ),
    Metric("seamwork_undeliverable", "counter", "Outputs that can never be published.", ("service", "error")),
    Metric("seamwork_stage_seconds", "histogram", "Time per batch and stage.", ("service", "stage")),
    Metric(
        "seamwork_crossing_age_seconds",
        "histogram",
        "Age of a crossing, from its append, at each stage: taken in, decided (a verdict, or the router's tally), "
        "journalled, out (the verdict published, or handed to an inbox).",
        ("service", "stage"),
    ),
    Metric("seamwork_input_age_seconds", "histogram", "From append of an input to its decision made final."),
    Metric(
        "seamwork_batch_inputs",
        "histogram",
        "Inputs per commit.",
        buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
    ),
    Metric("seamwork_commit_bytes", "histogram", "Size of commit records.", buckets=_BYTES),
    Metric(
        "seamwork_lag_records",
        "gauge",
        "Records that lie ahead of what was decided, all topics of a partition together; as of every five seconds.",
        ("service", "partition"),
    ),
    Metric(
        "seamwork_remembered",
        "gauge",
        "What a machine's state holds, by partition and kind; it shrinks as work ends.",
        ("service", "partition", "of"),
    ),
    Metric("seamwork_claims", "counter", "Partitions taken over."),
    Metric("seamwork_fenced", "counter", "Partitions lost to another owner."),
    Metric("seamwork_ticks", "counter", "Commits that a timer caused."),
    Metric(
        "seamwork_too_much", "counter", "Inputs set aside because what followed did not fit into one commit."
    ),
    Metric("seamwork_restore_seconds", "histogram", "From claim to restored state."),
    Metric("seamwork_snapshots", "counter", "Snapshots written."),
    Metric("seamwork_owned_partitions", "gauge", "Partitions owned and restored."),
    Metric("seamwork_catalog_offset", "gauge", "The catalog's revision, by topic.", ("service", "topic")),
    Metric(
        "seamwork_spans",
        "counter",
        "Spans for a collector: made, sent, lost on the way to it.",
        ("service", "fate"),
    ),
    Metric(
        "seamwork_notifications",
        "counter",
        "What owners were told of, by kind; drill is yes where nobody's work is concerned.",
        ("service", "kind", "owner", "drill"),
    ),
    Metric(
        "seamwork_deprecated_seams",
        "counter",
        "Times an owner was told that a deprecated contract is still used.",
        ("service", "contract", "version", "owner"),
    ),
    Metric(
        "seamwork_error_budget_burned",
        "counter",
        "Refusals and late answers at seams with an error budget.",
        ("service", "contract", "what"),
    ),
    Metric(
        "seamwork_error_budget_left",
        "gauge",
        "What is left of a seam's error budget in this period; negative when overdrawn.",
        ("service", "contract", "what"),
    ),
    Metric(
        "seamwork_budget_micro_usd",
        "gauge",
        "A budget of an agent or a team in this period, in micro-USD: its limit, and what is reserved, spent and "
        "overrun of it; as of every fifteen seconds.",
        ("service", "budget", "of"),
    ),
    Metric(
        "seamwork_deliveries",
        "counter",
        "Tries to deliver to a webhook: delivered, failed, given-up.",
        ("service", "owner", "outcome"),
    ),
    Metric(
        "seamwork_notifications_pending",
        "gauge",
        "Notifications that wait for a webhook.",
        ("service", "owner"),
    ),
    Metric(
        "seamwork_obstacles",
        "gauge",
        "What stands against new tasks, as the router knows: 1 for each rule.",
        ("service", "rule"),
    ),
    Metric("seamwork_documents_rejected", "gauge", "Records of the document topics that did not count."),
)


_BY_NAME = {metric.name: metric for metric in METRICS}


class _Observed:
    """The observations of a histogram under one set of labels: how many in each bucket, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def buckets(self) -> list[tuple[str, float]]:
        """Return how many were at most as large as each bound, the last of which is infinite."""
        names = (*map(floatToGoString, self.bounds), "+Inf")
        return [(name, float(count)) for name, count in zip(names, accumulate(self.counts), strict=True)]


class Metrics:
    """
    The metrics of one process, bound to its service; any thread may count.

    Attributes:
        registry: Where they are to be seen.
    """

    def __init__(self, service: str, registry: CollectorRegistry | None = None) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        self._service = service
        self._lock = threading.Lock()
        self._values: dict[tuple[str, ...], float] = {}
        self._observed: dict[tuple[str, ...], _Observed] = {}
        self.registry.register(self)

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._add((name, *labels), by)

    def count_each(self, name: str, each: Iterable[tuple[str, ...]]) -> None:
        """Add one to a counter for each of several things, which are told apart by these labels."""
        with self._lock:
            for labels in each:
                self._add((name, *labels), 1)

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge."""
        at = (name, *labels)
        with self._lock:
            if at not in self._values:
                _named(at, "gauge")
            self._values[at] = value

    def forget(self, name: str, *labels: str) -> None:
        """Show no more what a gauge said under labels that begin with these."""
        begin = (name, *labels)
        with self._lock:
            for at in [at for at in self._values if at[: len(begin)] == begin]:
                del self._values[at]

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Take down one observation of a histogram."""
        self.observe_all(name, (value,), *labels)

    def observe_all(self, name: str, values: Iterable[float], *labels: str) -> None:
        """Take down several observations of a histogram."""
        at = (name, *labels)
        with self._lock:
            held = self._observed.get(at)
            if held is None:
                held = self._observed[at] = _Observed(_named(at, "histogram").buckets)
            for value in values:
                held.counts[bisect_left(held.bounds, value)] += 1
                held.total += value

    def _add(self, at: tuple[str, ...], by: float) -> None:
        value = self._values.get(at)
        if value is None:
            _named(at, "counter")
            value = 0.0
        self._values[at] = value + by

    def collect(self) -> Iterator[Family]:
        """Return all that was counted, as the registry asks for it."""
        families: dict[str, CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily] = {
            metric.name: _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
            for metric in METRICS
        }
        with self._lock:
            for (name, *labels), value in self._values.items():
                family = families[name]
                assert not isinstance(family, HistogramMetricFamily)  # noqa: S101  # a name has one kind
                family.add_metric((self._service, *labels), value)
            for (name, *labels), held in self._observed.items():
                family = families[name]
                assert isinstance(family, HistogramMetricFamily)  # noqa: S101
                family.add_metric((self._service, *labels), held.buckets(), held.total)
        yield from families.values()


_FAMILIES = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


def _named(at: tuple[str, ...], kind: str) -> Metric:
    """Return the metric that is counted for the first time under these labels, if it is one of that kind."""
    name, *labels = at
    metric = _BY_NAME.get(name)
    if metric is None or metric.kind != kind or len(metric.labels) != len(labels) + 1:
        raise MisconfiguredError(
            f"there is no {kind} {name} with {len(labels) + 1} labels; write it down in METRICS as it is used"
        )
    return metric
