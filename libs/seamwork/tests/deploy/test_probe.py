"""Whoever supervises a container asks the service in it, and hears yes or no."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from seamwork.deploy.probe import ask
from seamwork.runtime.http import HttpServer, Response

DOCKERFILE = Path(__file__).parents[4] / "deploy" / "Dockerfile"


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


def test_asking_loads_nothing_that_a_service_is_made_of() -> None:
    """Seven containers ask every ten seconds: what a service loads would take half a core, and 70 MB in each."""
    found = re.search(r'"-m", "(seamwork[a-z.]+probe)"', DOCKERFILE.read_text(encoding="utf-8"))
    assert found is not None
    script = f"import {found[1]}, sys; print(*(name for name in sys.modules if name.startswith('seamwork.')))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert {found[1], found[1].rpartition(".")[0]} == set(loaded.split())
