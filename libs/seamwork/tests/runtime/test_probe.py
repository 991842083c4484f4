"""Whoever supervises a container asks the service in it, and hears yes or no."""

import pytest

from seamwork.runtime.http import HttpServer, Response
from seamwork.runtime.probe import ask


@pytest.mark.parametrize(("status", "code"), [("200 OK", 0), ("503 Service Unavailable", 1)])
def test_the_answer_is_the_services_own(status: str, code: int) -> None:
    """Ready is 0, everything else is 1."""
    server = HttpServer("127.0.0.1", 0, {"/health/ready": lambda _: Response(b"{}", status)})
    server.start()
    try:
        assert code == ask({"SEAMWORK_HTTP_PORT": str(server.port)})
    finally:
        server.stop()


def test_nobody_there_is_a_no() -> None:
    """A service that is not up yet, or not any more."""
    server = HttpServer("127.0.0.1", 0, {})
    port = server.port
    server.start()
    server.stop()

    assert 1 == ask({"SEAMWORK_HTTP_PORT": str(port)})
