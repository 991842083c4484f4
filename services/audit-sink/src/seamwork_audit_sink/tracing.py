"""Follow what is kept and send it on as spans, where an operator names a collector."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seamwork.errors import MisconfiguredError
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.wire import Received
from seamwork.runtime import Host
from seamwork_audit_sink.settings import Settings
from seamwork_audit_sink.spans import Spans

if TYPE_CHECKING:
    from seamwork_audit_sink.otlp import Collector


class Tracing:
    """What is under way, and the collector that is told."""

    def __init__(self, spans: Spans, collector: "Collector", host: Host) -> None:
        self._spans = spans
        self._collector = collector
        self._host = host

    def follow(self, records: Sequence[Received[AnyEnvelope]]) -> None:
        """Take in records that were kept; whatever is wrong here, the record goes on."""
        for found in records:
            try:
                self._collector.send(self._spans.take(found))
            except Exception:  # a view of the record must not stop the record
                self._host.metrics.count("seamwork_spans", "lost")
                self._host.logger.exception("span-failed", topic=found.raw.topic)

    def stop(self) -> None:
        """Send the last ones."""
        self._collector.stop()


def tracing(settings: Settings, host: Host) -> Tracing | None:
    """
    Return what follows the record, or None where nobody asked for traces.

    Raises:
        MisconfiguredError: A collector is named, and the libraries that speak to one are not installed.
    """
    if not settings.otlp_endpoint:
        return None
    try:
        from seamwork_audit_sink.otlp import Collector, read_headers  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise MisconfiguredError(
            f"SEAMWORK_AUDIT_SINK_OTLP_ENDPOINT is set and {error.name} is not installed; install "
            "seamwork[otel], or leave the setting out"
        ) from error
    about = {"service.namespace": host.settings.prefix, "seamwork.platform": host.platform}
    headers = read_headers(settings.otlp_headers_file)
    collector = Collector(settings.otlp_endpoint, headers, about, host.metrics)
    return Tracing(Spans(host.settings.prefix), collector, host)
