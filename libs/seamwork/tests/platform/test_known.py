"""Publishing ends when the services that run know of it."""

import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from seamwork.platform.home import PlatformHome
from seamwork.platform.known import lagging
from seamwork.platform.state import RunState, ServiceState, write_state
from seamwork.records.parties import Revision


class Page(http.server.BaseHTTPRequestHandler):
    """A service's page; what it has read grows by one with each look."""

    read = 0
    status = 200

    def do_GET(self) -> None:
        """Answer as a service does."""
        Page.read += 1
        self.send_response(Page.status)
        self.end_headers()
        self.wfile.write(json.dumps({"revision": {"registry": Page.read}}).encode())

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[PlatformHome]:
    """Return the folder of a platform with one service that runs here."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Page.read, Page.status = 0, 200
    made = PlatformHome(tmp_path / "lab")
    service = ServiceState(
        name="router", pid=os.getpid(), http_port=server.server_port, restarts=0, exit_code=None, log=""
    )
    write_state(made.state_file, RunState(supervisor=os.getpid(), state="ready", services=(service,)))
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("status", [200, 503])
async def test_it_waits_until_the_service_has_read_so_far(home: PlatformHome, status: int) -> None:
    """Ready or not: what counts is how far it has read."""
    Page.status = status

    assert () == await lagging(home, Revision(registry=3))
    assert 3 == Page.read


async def test_who_does_not_get_there_in_time_is_named(home: PlatformHome) -> None:
    """The publisher is told; what is published stays."""
    assert ("router",) == await lagging(home, Revision(registry=1000), within_s=0.01)


async def test_where_nothing_runs_there_is_nobody_to_wait_for(tmp_path: Path) -> None:
    """A platform on a cluster has its services elsewhere."""
    assert () == await lagging(PlatformHome(tmp_path), Revision(registry=1))
