"""
Send spans to a collector (OTLP over HTTP), beside the path of work and beside the record.

Nothing waits for a collector: spans are put into a bounded queue, a thread of the SDK sends them, and what finds
the queue full, or the collector gone, is dropped and counted. The record keeps everything; a trace is a view of it.
"""

import logging
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import structlog
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from seamwork.errors import MisconfiguredError
from seamwork.runtime.metrics import Metrics
from seamwork.settings.environment import others_can_read, secret_text
from seamwork_audit_sink.spans import Span

_QUEUE = 16_384
_BATCH = 512
_EVERY_MS = 1_000
_TIMEOUT_S = 5.0
_LAST_WORDS_S = 3.0
_MOST_SERVICES = 512
_NS = 1_000_000
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]+")
"""What HTTP can carry as a header's name (RFC 9110, section 5.6.2) and, as Python writes it, as its value."""
_KINDS = {
    "internal": SpanKind.INTERNAL,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}


class Collector:
    """
    The way to one collector.

    Args:
        endpoint: Its address for traces, ``http://…/v1/traces``.
        headers: What is sent along, such as a token.
        about: The platform: attributes of every resource.
        metrics: Where to count.
    """

    def __init__(
        self, endpoint: str, headers: Mapping[str, str], about: Mapping[str, str], metrics: Metrics
    ) -> None:
        # The SDK says every failed batch; we say the first of a row and count the rest.
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        logging.getLogger("opentelemetry").propagate = False
        self._metrics = metrics
        self._about = dict(about)
        self._exporter = _Counting(
            OTLPSpanExporter(
                endpoint=endpoint, headers=dict(headers), timeout=_TIMEOUT_S, compression=Compression.Gzip
            ),
            metrics,
        )
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=_QUEUE,
            schedule_delay_millis=_EVERY_MS,
            max_export_batch_size=_BATCH,
        )
        self._ids = _Given()
        self._tracers: dict[tuple[str, str], Tracer] = {}
        self._put_in = 0

    def send(self, spans: Iterable[Span]) -> None:
        """Put spans into the queue; never waits, never fails."""
        made = lost = 0
        for span in spans:
            made += 1
            # The SDK would drop what is too much without a count, the oldest of it.
            if self._put_in - self._exporter.taken_out < _QUEUE:
                self._put(span)
                self._put_in += 1
            else:
                lost += 1
        for fate, number in (("made", made), ("lost", lost)):
            if number:
                self._metrics.count("seamwork_spans", fate, by=number)

    def stop(self) -> None:
        """Send what is in the queue, for a few seconds at most."""
        last = threading.Thread(target=self._processor.shutdown, name="otlp-stop", daemon=True)
        last.start()
        last.join(_LAST_WORDS_S)
        if last.is_alive():
            self._exporter.shutdown()  # ends its waiting for another try

    def _put(self, span: Span) -> None:
        self._ids.trace, self._ids.span = int(span.trace, 16), int(span.id, 16)
        parent = None
        if span.parent is not None:
            flags = TraceFlags(TraceFlags.SAMPLED)
            above = SpanContext(self._ids.trace, int(span.parent, 16), is_remote=True, trace_flags=flags)
            parent = set_span_in_context(NonRecordingSpan(above))
        made = self._tracer(span.service).start_span(
            span.name,
            context=parent,
            kind=_KINDS[span.kind],
            attributes=span.attributes,
            start_time=span.begun * _NS,
        )
        for event in span.events:
            made.add_event(event.name, event.attributes, timestamp=event.at * _NS)
        if span.error is not None:
            made.set_attribute("error.type", span.error)
            made.set_status(Status(StatusCode.ERROR, span.said or span.error))
        made.end(end_time=span.ended * _NS)

    def _tracer(self, service: tuple[str, str]) -> Tracer:
        """Return the tracer of a service or agent, each a resource of its own in the trace."""
        tracer = self._tracers.get(service)
        if tracer is None:
            if len(self._tracers) >= _MOST_SERVICES:
                self._tracers.clear()
            name, release = service
            attributes = {"service.name": name, **self._about}
            if release:
                attributes["service.version"] = release
            provider = TracerProvider(
                resource=Resource(attributes),
                sampler=ALWAYS_ON,
                id_generator=self._ids,
                shutdown_on_exit=False,
            )
            provider.add_span_processor(self._processor)
            tracer = self._tracers[service] = provider.get_tracer("seamwork")
        return tracer


def read_headers(path: Path | None) -> dict[str, str]:
    """
    Read what is sent to the collector along with spans: one ``name: value`` a line.

    Raises:
        MisconfiguredError: Others can read the file, or a line is no header; the message shows none of it.
    """
    if path is None:
        return {}
    if others_can_read(path):
        raise MisconfiguredError(f"{path} holds a secret and others can read it; run `chmod 600 {path}`")
    headers = {}
    lines = secret_text(path, "SEAMWORK_AUDIT_SINK_OTLP_HEADERS_FILE").splitlines()
    for number, line in enumerate(filter(None, map(str.strip, lines)), 1):
        name, value = (part.strip() for part in line.partition(":")[::2])
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise MisconfiguredError(
                f"{path}: entry {number} is no header that HTTP can carry; write `name: value`"
            )
        headers[name.lower()] = value
    return headers


class _Given(IdGenerator):
    """Gives each span the id that it has already: the one that its crossing's ``traceparent`` names."""

    trace = 0
    span = 0

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span


class _Counting(SpanExporter):
    """
    Counts what was sent and what was not, and says when either begins.

    *taken_out* is how many spans left the queue so far; the SDK's thread alone counts them.
    """

    def __init__(self, exporter: SpanExporter, metrics: Metrics) -> None:
        self._exporter = exporter
        self._metrics = metrics
        self._failing = False
        self.taken_out = 0
        self._logger = structlog.get_logger("otlp")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken_out += len(spans)
        result = self._exporter.export(spans)
        good = result is SpanExportResult.SUCCESS
        self._metrics.count("seamwork_spans", "sent" if good else "lost", by=len(spans))
        if good == self._failing:
            self._failing = not good
            if good:
                self._logger.info("collector-back")
            else:
                self._logger.warning("collector-gone", hint="spans are dropped; the record has everything")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()
