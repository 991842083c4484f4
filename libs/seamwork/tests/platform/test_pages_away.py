"""What answers at a service's port may be another program, or end while it speaks; whoever asks says so."""

import json
import os
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.platform.asking import opened
from seamwork.platform.audit import Audit
from seamwork.platform.home import PlatformHome
from seamwork.platform.known import lagging
from seamwork.platform.state import RunState, ServiceState, write_state
from seamwork.platform.supervisor import is_ready
from seamwork.platform.vitals import look
from seamwork.records.parties import Revision

ANSWERS = {
    "another-protocol": b"-ERR unknown command\r\n",
    "nothing": b"",
    "no-json": b"HTTP/1.0 200 OK\r\n\r\nhello",
    "another-json": b"HTTP/1.0 200 OK\r\n\r\n5",
    "another-shape": b'HTTP/1.0 200 OK\r\n\r\n{"revision": "5"}',
    "broken-off": b"HTTP/1.0 200 OK\r\ncontent-length: 100\r\n\r\n{",
    "broken-off-refusal": b"HTTP/1.0 503 No\r\ncontent-length: 100\r\n\r\n{",
}
HTTP_200 = {"no-json", "another-json", "another-shape", "broken-off"}


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Answer each question in the same way, whatever is asked, and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    asked, _ = listening.accept()
                except OSError:
                    return
                with asked:
                    asked.recv(65_536)
                    asked.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.fixture(params=ANSWERS)
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Return a port at which something else answers."""
    with answering(ANSWERS[request.param]) as found:
        yield found


async def test_status_says_that_a_service_does_not_answer(
    port: int, request: pytest.FixtureRequest, home: PlatformHome
) -> None:
    """With what it said; and the audit as what cannot be asked."""
    running(home, port)
    vitals = await look(home)
    (service,) = vitals.services

    assert (request.node.callspec.params["port"] in HTTP_200 - {"broken-off"}) == service.ready
    assert "audit-sink" in vitals.unknown["audit-sink"]


async def test_publishing_ends_although_a_service_does_not_say_what_it_knows(
    port: int, home: PlatformHome
) -> None:
    """It is named as one that lags."""
    running(home, port)

    assert ("audit-sink",) == await lagging(home, Revision(contracts=1, registry=1, policies=1), within_s=0)


def test_a_start_goes_on_waiting(port: int, request: pytest.FixtureRequest) -> None:
    """Until its time is up."""
    assert is_ready(port) == (request.node.callspec.params["port"] in HTTP_200)


def test_whoever_asks_the_audit_is_told_in_a_sentence(port: int) -> None:
    """Each question of it."""
    audit = Audit(f"http://127.0.0.1:{port}")
    for ask in (lambda: audit.tasks(1), audit.breakers, audit.positions, lambda: audit.records("t")):
        with pytest.raises(MisconfiguredError, match=r"audit-sink .*; see `seamwork status`|answered 503"):
            ask()


def test_a_task_that_is_not_known_is_named_as_it_was_asked_for() -> None:
    """Ids are the agents' own words, and not those of an address."""
    with (
        answering(b"HTTP/1.0 404 Not Found\r\n\r\n{}") as port,
        pytest.raises(UnprocessableError, match="knows nothing of größe/1; is the id right, and whole"),
    ):
        Audit(f"http://127.0.0.1:{port}").trace("größe/1")


async def test_a_proxy_is_not_asked_for_what_runs_here(
    home: PlatformHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would ask its own machine; and whoever installed a proxy seldom thought of 127.0.0.1."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr(urllib.request, "_opener", None)  # urlopen keeps the first opener that it made
    page = json.dumps({"revision": {"contracts": 1, "registry": 1, "policies": 1}}).encode()
    with answering(b"HTTP/1.0 200 OK\r\n\r\n" + page) as port:
        running(home, port)
        assert is_ready(port)
        assert () == await lagging(home, Revision(contracts=1, registry=1, policies=1), within_s=0)
        assert ["audit-sink"] == [service.name for service in (await look(home)).services if service.ready]
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises(MisconfiguredError, match="no audit-sink of this release"):
                Audit(f"http://{host}:{port}").positions()

    with pytest.raises(OSError, match="refused"):  # what is elsewhere is the proxy's to find
        opened("http://audit.example:80/v1/positions", 5)


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> PlatformHome:
    """Return the folder of a platform."""
    return PlatformHome(tmp_path_factory.mktemp("home") / "default")


def running(home: PlatformHome, port: int) -> None:
    """Note that an audit sink runs there, in this very process."""
    service = ServiceState(
        name="audit-sink", pid=os.getpid(), http_port=port, restarts=0, exit_code=None, log=""
    )
    write_state(home.state_file, RunState(supervisor=os.getpid(), state="ready", services=(service,)))
