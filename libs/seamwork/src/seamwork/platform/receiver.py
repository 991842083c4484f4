"""Receive notifications as somebody else's program would: verify, drop what came before, hand it on."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from seamwork.clock import SystemClock
from seamwork.grants.webhooks import SIGNED_HEADERS, webhook_verifies

_MOST_BYTES = 1 << 20


class Receiver:
    """
    A webhook on this machine.

    Args:
        secrets: The secrets that it believes.
        take: Is given each new notification: its id and what it says.
        answer: Decides what a genuine one is answered; a test lets it fail.
    """

    def __init__(
        self,
        secrets: Sequence[str],
        take: Callable[[str, dict[str, Any]], None],
        answer: Callable[[], HTTPStatus] = lambda: HTTPStatus.NO_CONTENT,
    ) -> None:
        self._secrets = secrets
        self._take = take
        self._answer = answer
        self._seen: set[str] = set()
        self._clock = SystemClock()
        self._lock = threading.Lock()

    @contextmanager
    def listening(self, port: int = 0) -> Iterator[str]:
        """Listen on loopback and yield the address."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(min(length, _MOST_BYTES))
                identity, timestamp, signatures = (self.headers.get(name) or "" for name in SIGNED_HEADERS)
                self.send_response(receiver.received(identity, timestamp, signatures, body))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
                """Say nothing: what was received is what counts."""

        with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
            thread = threading.Thread(
                target=server.serve_forever, name="receiver", kwargs={"poll_interval": 0.05}
            )
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}/"
            finally:
                server.shutdown()
                thread.join()

    def received(self, identity: str, timestamp: str, signatures: str, body: bytes) -> HTTPStatus:
        """Take one notification and say what it is answered."""
        if not webhook_verifies(
            self._secrets, identity, timestamp, signatures, body, now_s=self._clock.now_ms() // 1000
        ):
            return HTTPStatus.UNAUTHORIZED
        status = self._answer()
        if status >= HTTPStatus.BAD_REQUEST:
            return status
        with self._lock:
            if identity not in self._seen:
                self._take(identity, json.loads(body))
                self._seen.add(identity)  # not before: what could not be taken comes again
        return status
