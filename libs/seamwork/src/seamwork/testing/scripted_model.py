"""
Stand in for a model: a local HTTP endpoint that speaks OpenAI's chat completions and says what the test wrote.

It answers each request with the next turn of its script and keeps what it was asked, so that a test can say what
the model was shown, and how often anybody paid for it.
"""

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

_HELD_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """
    What the model does when it is asked once.

    Attributes:
        text: What it says, or null where it calls tools.
        calls: Tools that it calls, with their arguments.
        input_tokens: What the request is said to have used.
        output_tokens: What the answer is said to have used.
        cached_tokens: How many of the input tokens were cached.
        counted: Whether the endpoint says what was used at all.
        status: The HTTP status; anything but 200 is an error.
        held: Whether it answers only when the test ends, as an endpoint does that hangs.
    """

    text: str | None = None
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    input_tokens: int = 100
    output_tokens: int = 10
    cached_tokens: int = 0
    counted: bool = True
    status: int = 200
    held: bool = False


def says(value: Any, **more: Any) -> Turn:
    """Answer with *value*, as JSON unless it is a text."""
    return Turn(text=value if isinstance(value, str) else json.dumps(value), **more)


def calls(tool: str, arguments: Mapping[str, Any], **more: Any) -> Turn:
    """Call one tool."""
    return Turn(calls=((tool, arguments),), **more)


class ScriptedModel:
    """
    The endpoint; ``url`` is what a client takes as its base URL.

    Args:
        turns: The script. A request past its end is answered with status 500.
    """

    def __init__(self, turns: Iterable[Turn] = ()) -> None:
        self.requests: list[dict[str, Any]] = []
        self.asked = threading.Event()
        self._turns = list(turns)
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def plays(self, *turns: Turn) -> None:
        """Put other turns in the place of what is left of the script, and forget what was asked."""
        with self._lock:
            self._turns = list(turns)
            self.requests = []
            self.asked.clear()

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of whoever is held, and end."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Take the next turn."""
        with self._lock:
            self.requests.append(request)
            turn = self._turns.pop(0) if self._turns else Turn(status=500)
            number = len(self.requests)
        self.asked.set()
        if turn.held:
            self._released.wait(_HELD_S)
        if turn.status != 200:  # noqa: PLR2004  # what HTTP calls "OK"
            return turn.status, {"error": {"message": "as scripted", "type": "scripted", "code": None}}
        return 200, _completion(turn, str(request.get("model")), number)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                known = self.path == "/v1/chat/completions"
                status, said = model.answer(json.loads(body)) if known else (404, {})
                answer = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it so
                """Keep the test's output to the test."""

        return Handler


def _completion(turn: Turn, model: str, number: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": turn.text}
    if turn.calls:
        message["tool_calls"] = [
            {
                "id": f"call-{number}-{i}",
                "type": "function",
                "function": {"name": tool, "arguments": json.dumps(arguments)},
            }
            for i, (tool, arguments) in enumerate(turn.calls)
        ]
    said: dict[str, Any] = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [
            {"index": 0, "message": message, "finish_reason": "tool_calls" if turn.calls else "stop"}
        ],
    }
    if turn.counted:
        said["usage"] = {
            "prompt_tokens": turn.input_tokens,
            "completion_tokens": turn.output_tokens,
            "total_tokens": turn.input_tokens + turn.output_tokens,
            "prompt_tokens_details": {"cached_tokens": turn.cached_tokens},
        }
    return said
