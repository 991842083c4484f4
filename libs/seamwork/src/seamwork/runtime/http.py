"""
Answer health, metrics and read-only pages on threads of their own, so that a busy loop still answers.

Nothing here changes anything: only ``GET`` is served, on the loopback interface unless told otherwise.
"""

import errno
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry, generate_latest

from seamwork.errors import MisconfiguredError, RetryableError, SeamworkError

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """What was asked: the path, and the query's fields, the last of each name."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Response:
    """What is answered."""

    body: bytes
    status: str = "200 OK"
    content_type: str = "application/json"


Route = Callable[[Request], Response]

_NOT_ALLOWED = Response(b"only GET is served\n", "405 Method Not Allowed", "text/plain")


class HttpServer:
    """
    The pages of one process.

    Args:
        host: The interface to listen on, by its address; ``::`` is all of them, of IPv4 too.
        port: The port; 0 lets the system choose.
        routes: Pages by path prefix; the longest that fits answers.
        failed: Told of an error in a page; the asker gets a 500 without its text.

    Raises:
        RetryableError: Another program has the port.
        MisconfiguredError: This machine has no such address, or this user may not have the port.
    """

    def __init__(
        self,
        host: str,
        port: int,
        routes: Mapping[str, Route],
        failed: Callable[[str, Exception], None] = lambda _path, _error: None,
    ) -> None:
        self._routes = sorted(routes.items(), key=lambda one: -len(one[0]))
        self._failed = failed
        there = f"not found; there are {', '.join(sorted(routes))}\n"
        self._not_found = Response(there.encode(), "404 Not Found", "text/plain")
        try:
            self._server = _Server((host, port), _Handler)
        except OSError as error:
            raise _not_listening(host, port, error) from error
        self._server.set_app(self._app)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="http", daemon=True
        )

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and give the port back."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        response = self._answer(environ)
        headers = [("Content-Type", response.content_type), ("Content-Length", str(len(response.body)))]
        start_response(response.status, headers)
        return [response.body]

    def _answer(self, environ: WSGIEnvironment) -> Response:
        if environ.get("REQUEST_METHOD") != "GET":
            return _NOT_ALLOWED
        path = str(environ.get("PATH_INFO", "/"))
        request = Request(path, dict(parse_qsl(str(environ.get("QUERY_STRING", "")))))
        for prefix, route in self._routes:
            if path == prefix or path.startswith(prefix.rstrip("/") + "/"):
                try:
                    return route(request)
                except Exception as error:  # noqa: BLE001  # a page must not end the service; it is logged
                    self._failed(path, error)
                    return Response(b"internal error\n", "500 Internal Server Error", "text/plain")
        return self._not_found


def _not_listening(host: str, port: int, error: OSError) -> SeamworkError:
    if error.errno == errno.EADDRINUSE:
        return RetryableError(
            f"port {port} of {host} is another program's, so no pages can be served there; end that one, or set "
            "SEAMWORK_HTTP_PORT to a port that is free (0 takes any)"
        )
    return MisconfiguredError(
        f"no pages can be served on port {port} of {host} ({error.strerror}); set SEAMWORK_HTTP_HOST to an address "
        "of this machine, and SEAMWORK_HTTP_PORT to a port that this user may take (0 takes any)"
    )


def metrics_page(registry: CollectorRegistry) -> Route:
    """Make the page that Prometheus scrapes."""
    return lambda _request: Response(generate_latest(registry), content_type=_METRICS_TYPE)


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128  # who comes while five wait would be heard a second later, and later each time

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            # "::" is every interface, by whichever of the two a pod is spoken to; systems differ in what it means.
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # WSGIServer asks the resolver for the host's full name, which can take seconds; nobody needs it.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of an asker that went away or was silent; the base prints a trace into the log."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(WSGIRequestHandler):
    timeout = 10  # a silent client gives its thread back

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
        """Say nothing: pages are asked for every few seconds."""
