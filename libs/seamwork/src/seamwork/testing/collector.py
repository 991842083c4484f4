"""Be a collector of traces: take OTLP over HTTP as a real one does, and show what came."""

import gzip
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

PATH = "/v1/traces"


@dataclass(frozen=True)
class Seen:
    """One span as it came: the service whose resource it has, and what it says."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    begun: int
    ended: int
    attributes: dict[str, Any]
    resource: dict[str, Any]
    error: bool
    said: str
    events: tuple[str, ...]


@dataclass
class Requests:
    """What was asked of the collector besides spans."""

    headers: list[dict[str, str]] = field(default_factory=list)


class TestCollector:
    """
    A collector on the loopback interface, while the block runs.

    *answer* says with which status it takes a request; anything but 200 makes it one that is not well.
    """

    __test__ = False

    def __init__(self, answer: Callable[[], int] = lambda: 200) -> None:
        self.requests = Requests()
        self._spans: list[Seen] = []
        self._came = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = answer() if self.path == PATH else 404
                if status == 200:  # noqa: PLR2004  # OK
                    collector._take(self.headers, body)  # its own
                reply = ExportTraceServiceResponse().SerializeToString()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def endpoint(self) -> str:
        """Where it takes traces."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{PATH}"

    @property
    def spans(self) -> tuple[Seen, ...]:
        """What came so far."""
        with self._came:
            return tuple(self._spans)

    def wait_for(
        self, enough: Callable[[tuple[Seen, ...]], bool], within_s: float = 20.0
    ) -> tuple[Seen, ...]:
        """Wait until *enough* holds of what came, and return it."""
        with self._came:
            if not self._came.wait_for(lambda: enough(tuple(self._spans)), within_s):
                names = sorted({f"{seen.service}: {seen.name}" for seen in self._spans})
                message = f"what was waited for did not come within {within_s} s; there came {names}"
                raise TimeoutError(message)
            return tuple(self._spans)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _take(self, headers: Any, body: bytes) -> None:
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        found = [
            _seen(span, _plain(of_resource.resource.attributes))
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]
        with self._came:
            self.requests.headers.append({name.lower(): value for name, value in headers.items()})
            self._spans += found
            self._came.notify_all()


def _seen(span: Span, resource: dict[str, Any]) -> Seen:
    return Seen(
        service=str(resource.get("service.name", "")),
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        begun=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        attributes=_plain(span.attributes),
        resource=resource,
        error=span.status.code == Status.STATUS_CODE_ERROR,
        said=span.status.message,
        events=tuple(event.name for event in span.events),
    )


def _plain(attributes: Any) -> dict[str, Any]:
    def value(pair: KeyValue) -> Any:
        kind = pair.value.WhichOneof("value")
        return None if kind is None else getattr(pair.value, kind)

    return {pair.key: value(pair) for pair in attributes}
