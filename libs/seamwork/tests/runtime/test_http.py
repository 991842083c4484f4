"""Pages on a thread of their own: the longest prefix answers, nothing but GET, no error's text."""

import socket
import struct
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from seamwork.errors import MisconfiguredError, RetryableError
from seamwork.runtime import Request, Response
from seamwork.runtime.http import HttpServer
from seamwork.runtime.metrics import METRICS, Metrics


def broken(_request: Request) -> Response:
    """Fail."""
    raise ValueError("the payload said 42")


FAILED: list[str] = []


@pytest.fixture
def server() -> Iterator[HttpServer]:
    """Serve three pages."""
    routes = {
        "/tasks": lambda request: Response(f"{request.path} {request.query.get('limit')}".encode()),
        "/tasks/one": lambda _request: Response(b"one"),
        "/broken": broken,
    }
    made = HttpServer("127.0.0.1", 0, routes, lambda path, _error: FAILED.append(path))
    made.start()
    yield made
    made.stop()


def ask(server: HttpServer, path: str, method: str = "GET") -> tuple[int, bytes]:
    """Ask for a page."""
    asked = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", method=method)
    try:
        with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310  # our own
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/tasks", (200, b"/tasks None")),
        ("/tasks/t-1?limit=3", (200, b"/tasks/t-1 3")),
        ("/tasks/one", (200, b"one")),
        ("/tasksandmore", (404, b"not found; there are /broken, /tasks, /tasks/one\n")),
        ("/", (404, b"not found; there are /broken, /tasks, /tasks/one\n")),
    ],
)
def test_the_longest_prefix_answers(server: HttpServer, path: str, expected: tuple[int, bytes]) -> None:
    """A prefix ends at a slash."""
    assert expected == ask(server, path)


@pytest.mark.parametrize(("host", "asked"), [("::1", "[::1]"), ("::", "[::1]"), ("::", "127.0.0.1")])
def test_pages_are_served_by_ipv6_too(host: str, asked: str) -> None:
    """Where pods have no other address; and all interfaces are those of both."""
    made = HttpServer(host, 0, {"/one": lambda _request: Response(b"one")})
    made.start()
    try:
        with urllib.request.urlopen(f"http://{asked}:{made.port}/one", timeout=5) as answer:
            assert b"one" == answer.read()
    finally:
        made.stop()


def test_a_port_that_another_program_has_is_named() -> None:
    """It may be free again soon: that is no bug, and no setting that is wrong for ever."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(RetryableError, match=f"port {port} of 127.0.0.1 is another program's"):
            HttpServer("127.0.0.1", port, {})


def test_an_address_that_is_not_the_machines_is_named() -> None:
    """To start again changes nothing."""
    with pytest.raises(MisconfiguredError, match=r"port 0 of 192.0.2.1 .*SEAMWORK_HTTP_HOST"):
        HttpServer("192.0.2.1", 0, {})  # kept for documentation


def test_nothing_changes_by_asking(server: HttpServer) -> None:
    """Only GET is served."""
    assert 405 == ask(server, "/tasks", "POST")[0]


def test_a_broken_page_tells_the_log_and_not_the_asker(server: HttpServer) -> None:
    """An error's text may hold what nobody should see."""
    assert (500, b"internal error\n") == ask(server, "/broken")
    assert ["/broken"] == FAILED


def test_many_may_come_at_once() -> None:
    """A process has its hands full now and then; who is not let in is heard a second later, or never."""
    server = HttpServer("127.0.0.1", 0, {})
    with ExitStack() as waiting:
        for _ in range(100):
            waiting.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=0.5))
    server.start()
    server.stop()


@pytest.mark.parametrize("who", ["goes away", "says nothing"])
def test_who_connects_and_asks_nothing_is_no_line_of_the_log(
    server: HttpServer, who: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Browsers connect ahead, and whoever looks whether a port is open hangs up."""
    monkeypatch.setattr("seamwork.runtime.http._Handler.timeout", 0.05)
    with socket.create_connection(("127.0.0.1", server.port)) as asker:
        asker.sendall(b"GET /tas")
        if who == "goes away":
            asker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        else:
            assert b"" == asker.recv(1)  # hung up on

    assert 200 == ask(server, "/tasks")[0]
    assert ("", "") == capfd.readouterr()


def test_every_metric_is_made_and_named_once() -> None:
    """Names are data; a second of one name would be refused by the registry."""
    metrics = Metrics("router")

    assert len(METRICS) == len({metric.name for metric in METRICS})
    assert all(metric.name.startswith("seamwork_") and metric.help.endswith(".") for metric in METRICS)
    metrics.count("seamwork_claims")
    assert 1.0 == metrics.registry.get_sample_value("seamwork_claims_total", {"service": "router"})
