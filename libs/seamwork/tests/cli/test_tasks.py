"""Who asks after a task hears what became of it, and of an id that is none hears that."""

import asyncio
import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from seamwork.cli import seamwork
from seamwork.cli.tasks import (
    began_since,
    end_of,
    followed,
    places_of,
    see_how_it_stands,
    see_that_it_was_begun,
    tasks,
)
from seamwork.errors import UnprocessableError
from seamwork.platform.audit import Audit
from seamwork.platform.door import Door
from seamwork.platform.home import PlatformHome
from seamwork.platform.state import KafkaState, RunState, ServiceState, read_state, write_state
from seamwork.records.partition import partition_of
from seamwork.records.wire import compose
from seamwork.testing.builders import envelope
from seamwork.testing.clock import SettableClock
from seamwork.testing.simlog import SimBroker, SimLog

TASK = "t-1"


class Page(http.server.BaseHTTPRequestHandler):
    """Answers as the audit sink does of the traces that it has."""

    traces: dict[str, dict[str, object]]

    def do_GET(self) -> None:  # http.server's own name
        """Tell of a task, or that there is none."""
        found = self.traces.get(self.path.split("/")[3])
        body = json.dumps({"error": "none"} if found is None else found).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Be silent."""


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """Return the way into a platform that runs an audit sink and nothing else."""
    home = PlatformHome(tmp_path / "lab")
    identity = home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    Page.traces = {}
    server = http.server.HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    audit = ServiceState(
        name="audit-sink", pid=os.getpid(), http_port=server.server_port, restarts=0, exit_code=None, log=""
    )
    write_state(home.state_file, RunState(supervisor=os.getpid(), state="ready", services=(audit,)))
    yield Door(home, identity, "nowhere:9092")
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def log() -> SimLog:
    """Return a log with the two topics in which a task is heard of, and somebody else's task in them."""
    broker = SimBroker()
    for topic in ("decisions.v1", "approvals.v1"):
        broker.create_topic(topic, 4)
    return SimLog(broker)


async def say(door: Door, log: SimLog, tag: str, task: str = TASK, **fields: object) -> None:
    """Let the router say something of a task."""
    record = envelope(tag, task=task, **fields)
    await log.publish(
        [compose(door.identity.id, "decisions.v1", task, record, partition=partition_of(task.encode(), 4))]
    )


async def test_an_id_that_is_none_is_not_followed_for_ever(door: Door, log: SimLog) -> None:
    """The log ends, the audit has nothing either, and a mistyped id is what that means."""
    with pytest.raises(UnprocessableError, match="nothing of task t-1 is in the log; is the id right"):
        await see_that_it_was_begun(door, TASK, 0)
    with pytest.raises(UnprocessableError, match="is the id right"):
        await anext(followed(door, log, TASK))
    with pytest.raises(UnprocessableError, match="is the id right"):
        await see_how_it_stands(door, log, TASK)


async def test_a_task_that_waits_to_be_decided_is_waited_for(door: Door, log: SimLog) -> None:
    """Its handoff is in the log though the router has said nothing; a lone order of somebody is no task."""
    Page.traces[TASK] = {"task": TASK, "state": "running"}
    with pytest.raises(UnprocessableError, match="is the id right"):
        await see_that_it_was_begun(door, TASK, 0)
    Page.traces[TASK] = {"task": TASK, "state": "running", "begun_at": 1}

    async with asyncio.timeout(30):
        _, said = await asyncio.gather(say(door, log, "task-ended"), anext(followed(door, log, TASK)))

        assert "task-ended" == said.record.__struct_config__.tag
    assert None is await end_of(door, log, "t-2", 0)


async def test_what_is_long_over_is_not_waited_for(door: Door, log: SimLog) -> None:
    """The log keeps thirty days, the audit all of them."""
    Page.traces[TASK] = {"task": TASK, "state": "completed", "begun_at": 1, "ended_at": 2}
    with pytest.raises(UnprocessableError, match=r"is over \(completed\).*seamwork trace t-1"):
        await anext(followed(door, log, TASK))


def test_what_the_audit_says_of_its_refusal_is_passed_on(door: Door) -> None:
    """A task that it does not know is a matter of the id; anything else it says itself."""
    audit = Audit.of(door)

    with pytest.raises(
        UnprocessableError, match="the audit knows nothing of t-9; is the id right, and whole"
    ):
        audit.trace("t-9")
    with pytest.raises(UnprocessableError, match=r"^none$"):
        audit.flow("no-such-flow")


async def test_the_end_of_a_task_is_found_without_the_audit(door: Door, log: SimLog) -> None:
    """A cancellation has to work though the audit is behind."""
    door.home.state_file.unlink()
    await say(door, log, "task-ended", outcome="cancelled")
    over = await see_how_it_stands(door, log, TASK)

    assert over is not None
    assert "cancelled" == over.outcome
    assert over == await end_of(door, log, TASK, 30)
    assert None is await see_how_it_stands(door, log, "t-2")
    assert None is await end_of(door, log, "t-2", 0.01)


async def test_what_was_decided_before_an_order_is_not_gone_through_again(door: Door, log: SimLog) -> None:
    """A month of decisions takes longer than anybody waits for the end of one task."""
    await say(door, log, "task-ended", outcome="complete")
    since = await log.end_offsets(places_of(door, TASK))

    before = await end_of(door, log, TASK, 0.1, since)
    await say(door, log, "task-ended", outcome="cancelled")
    after = await end_of(door, log, TASK, 30, since)

    assert None is before
    assert after is not None
    assert "cancelled" == after.outcome


def test_so_long_ago_may_be_longer_than_there_is_time() -> None:
    """Then it is since the beginning; what is no length of time is said to be none."""
    context = click.Context(seamwork)
    since = next(param for param in tasks.params if param.name == "since")

    assert 0 == began_since(context, since, "99999999999d")
    assert 0 == began_since(context, since, "1969-12-31T23:59:59Z")
    assert 1_767_225_600_000 == began_since(context, since, "2026-01-01T00:00:00Z")
    for value in ("", "d", "5", "-5m", "5y", "9" * 5_000 + "d"):
        with pytest.raises(click.BadParameter, match="write 30m, 12h, 2d"):
            began_since(context, since, value)


@pytest.mark.parametrize(
    "arguments", [["--stuck", "--quiet-for", "99999999999"], ["--since", "1900-01-01T00:00:00Z"]]
)
def test_the_audit_is_asked_of_no_time_before_its_own(
    door: Door, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts from 1970, and would refuse what lies before in words of its own."""
    asked: list[str] = []

    def answer(page: Page) -> None:
        asked.append(page.path)
        page.send_response(200)
        page.end_headers()
        page.wfile.write(b"[]")

    state = read_state(door.home.state_file)
    assert state is not None
    kafka = KafkaState(
        rung="given", bootstrap=door.bootstrap, protocol="SASL_PLAINTEXT", mechanism="SCRAM-SHA-512", ca_file=None,
        replication=1, where=door.bootstrap,
    )  # fmt: skip
    write_state(door.home.state_file, replace(state, kafka=kafka))
    monkeypatch.setattr(Page, "do_GET", answer)
    monkeypatch.setenv("SEAMWORK_HOME", str(door.home.root.parent))
    found = CliRunner().invoke(seamwork, ["tasks", "--platform", door.home.name, *arguments])

    assert (0, "There are no tasks.\n") == (found.exit_code, found.output)
    assert "since=0" in asked[0]
