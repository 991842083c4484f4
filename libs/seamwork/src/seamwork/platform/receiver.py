"""Receive notifications as somebody else's program would: verify, drop what came before, hand it on."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from seamwork.clock import SystemClock
from seamwork.grants.webhooks import SIGNED_HEADERS, sign_webhook, webhook_verifies

_MOST_BYTES = 1 << 20
_MOST_DIGITS = 18
_SILENT_S = 10


class Receiver:
    """
    A webhook on this machine.

    Args:
        secrets: The secrets that it believes.
        take: Is given each new notification: its id and what it says.
        answer: Decides what a genuine one is answered; a test lets it fail.
        passed_over: Told of each that is not genuine.

    Raises:
        WebhookSecretError: There is no secret, or one is not written as it must be.
    """

    def __init__(
        self,
        secrets: Sequence[str],
        take: Callable[[str, dict[str, Any]], None],
        answer: Callable[[], HTTPStatus] = lambda: HTTPStatus.NO_CONTENT,
        passed_over: Callable[[], None] = lambda: None,
    ) -> None:
        sign_webhook(secrets, "", 0, b"")  # what cannot be used is told now, and not to each who asks
        self._secrets = secrets
        self._take = take
        self._answer = answer
        self._passed_over = passed_over
        self._seen: set[str] = set()
        self._clock = SystemClock()
        self._lock = threading.Lock()

    @contextmanager
    def listening(self, port: int = 0) -> Iterator[str]:
        """Listen on loopback and yield the address."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            timeout = _SILENT_S  # who says less than was announced gives the thread back

            def do_POST(self) -> None:
                self.send_response(self._received())
                self.send_header("content-length", "0")
                self.end_headers()

            def _received(self) -> HTTPStatus:
                said = self.headers.get("content-length") or "0"
                # Python reads other signs as digits, too, and refuses thousands of them with an error of its own.
                if not (said.isascii() and said.isdecimal() and len(said) <= _MOST_DIGITS):
                    return HTTPStatus.BAD_REQUEST
                body = self.rfile.read(min(int(said), _MOST_BYTES))
                identity, timestamp, signatures = (self.headers.get(name) or "" for name in SIGNED_HEADERS)
                try:
                    return receiver.received(identity, timestamp, signatures, body)
                except OSError:  # nothing reads what is printed any more, for one
                    return HTTPStatus.SERVICE_UNAVAILABLE

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
            self._passed_over()
            return HTTPStatus.UNAUTHORIZED
        status = self._answer()
        if status >= HTTPStatus.BAD_REQUEST:
            return status
        with self._lock:
            if identity not in self._seen:
                self._take(identity, json.loads(body))
                self._seen.add(identity)  # not before: what could not be taken comes again
        return status
