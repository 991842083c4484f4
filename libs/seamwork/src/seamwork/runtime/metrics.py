"""Name every metric once, as data, and make them."""

from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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
        "Records fetched or known of, not decided on.",
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
    Metric("seamwork_documents_rejected", "gauge", "Records of the document topics that did not count."),
)


class Metrics:
    """The metrics of one process, bound to its service."""

    def __init__(self, service: str, registry: CollectorRegistry | None = None) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        self._service = service
        self._made: dict[str, Counter | Gauge | Histogram] = {}
        self._children: dict[tuple[str, ...], Counter | Gauge | Histogram] = {}
        for metric in METRICS:
            match metric.kind:
                case "counter":
                    made: Counter | Gauge | Histogram = Counter(
                        metric.name, metric.help, metric.labels, registry=self.registry
                    )
                case "gauge":
                    made = Gauge(metric.name, metric.help, metric.labels, registry=self.registry)
                case "histogram":
                    made = Histogram(
                        metric.name,
                        metric.help,
                        metric.labels,
                        buckets=metric.buckets,
                        registry=self.registry,
                    )
            self._made[metric.name] = made

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        child = self._child(name, labels)
        assert isinstance(child, Counter)  # noqa: S101  # a name in METRICS has one kind
        child.inc(by)

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge."""
        child = self._child(name, labels)
        assert isinstance(child, Gauge)  # noqa: S101
        child.set(value)

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Take down one observation of a histogram."""
        child = self._child(name, labels)
        assert isinstance(child, Histogram)  # noqa: S101
        child.observe(value)

    def _child(self, name: str, labels: tuple[str, ...]) -> Counter | Gauge | Histogram:
        at = (name, *labels)
        child = self._children.get(at)
        if child is None:
            child = self._children[at] = self._made[name].labels(self._service, *labels)
        return child
