"""A whole service in a process: settings, pages, pulse, signals, ways out."""

import asyncio
import base64
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from seamwork.broker.principal import agent
from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Partition
from seamwork.records.platform import Heartbeat
from seamwork.records.wire import Received, compose, read
from seamwork.testing.builders import PLATFORM, envelope
from seamwork.testing.keys import key_of
from seamwork.testing.testbed import KafkaPlatform

NAME = "policy-engine"
PROGRAM = Path(__file__).with_name("machine_service.py")
PATIENCE_S = 30.0


def environ(platform: KafkaPlatform, folder: Path, **more: str) -> dict[str, str]:
    """Tell a service what `seamwork up` would."""
    access = platform.access(NAME)
    key = folder / f"{NAME}-1.key"
    key.write_text(base64.b64encode(bytes(32)).decode())
    key.chmod(0o600)
    return {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": access.bootstrap,
        "SEAMWORK_KAFKA_SASL_USERNAME": access.username,
        "SEAMWORK_KAFKA_SASL_PASSWORD": access.password,
        "SEAMWORK_KAFKA_SECURITY_PROTOCOL": access.protocol,
        "SEAMWORK_PREFIX": platform.prefix,
        "SEAMWORK_PLATFORM_ID": PLATFORM,
        "SEAMWORK_ROOT_PUBLIC_KEY": key_of("root").public,
        "SEAMWORK_SIGNING_KEY_FILE": str(key),
        **more,
    }


class Running:
    """A service's process and what it has logged."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []

    async def event(self, name: str) -> dict[str, Any]:
        """Wait for a line of the log and return it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while line := await self.process.stdout.readline():
                self.lines.append(json.loads(line))
                if self.lines[-1]["event"] == name:
                    return self.lines[-1]
        raise AssertionError(f"no {name} in {self.lines}")

    async def ready(self) -> int:
        """Wait until its page says that it is ready, and return its port."""
        port = int((await self.event("starting"))["http_port"])
        deadline = time.monotonic() + PATIENCE_S
        while (await asyncio.to_thread(page, port, "/health/ready"))[0] != 200:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        return port


def page(port: int, path: str) -> tuple[int, str]:
    """Ask for a page."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@asynccontextmanager
async def service(given: Mapping[str, str]) -> AsyncIterator[Running]:
    """Run the service; it is gone at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), stdout=asyncio.subprocess.PIPE, env=dict(given)
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_service_works_shows_itself_and_stops_in_order(
    platform: KafkaPlatform, tmp_path: Path
) -> None:
    """It becomes ready, counts, beats signed, answers its pages, and ends with 0 on SIGTERM."""
    platform.join(agent("planner"))
    sender = KafkaLog(platform.access("agent-planner"), platform.prefix, client_id="sender")
    audit = KafkaLog(platform.access("router"), platform.prefix, client_id="reader")
    async with sender, audit, service(environ(platform, tmp_path)) as running:
        port = await running.ready()
        await sender.publish([compose(PLATFORM, "handoffs.v1", "t-1", envelope("handoff"))])
        reader = await audit.reader()
        verdicts = {Partition(f"verdicts.{NAME}.v1", number): 0 for number in range(4)}
        assert await reader.fetch(verdicts, max_records=1, max_wait_ms=20_000)
        beats = await reader.fetch({Partition("heartbeats.v1", 0): 0}, max_records=1, max_wait_ms=20_000)
        await reader.stop()
        async with asyncio.timeout(20):
            metrics = ""
            shown = (
                'seamwork_lag_records{partition="0",service="policy-engine"}',
                'seamwork_crossings_total{kind="handoff",service="policy-engine",topic="handoffs.v1"} 1.0',
            )
            while not all(one in metrics for one in shown):  # a batch is counted once its verdicts are out
                metrics = (await asyncio.to_thread(page, port, "/metrics"))[1]
        alive = await asyncio.to_thread(page, port, "/health/live")
        nothing = await asyncio.to_thread(page, port, "/nothing")
        running.process.send_signal(signal.SIGTERM)
        ended = await running.event("ended")

        assert 0 == await running.process.wait()
    assert ("stopped", 0) == (ended["why"], ended["code"])
    assert (200, '{"alive":true}\n') == alive
    assert 404 == nothing[0]
    ((raw,),) = beats.values()
    beat = read(raw, PLATFORM)
    assert isinstance(beat, Received)
    assert isinstance(beat.record, Heartbeat)
    assert (NAME, "service", f"{NAME}-1") == (beat.record.name, beat.record.kind, beat.kid)


async def test_a_service_that_still_looks_for_kafka_stops_in_order(
    platform: KafkaPlatform, tmp_path: Path
) -> None:
    """Also there, where it runs as the first process of a container, which no signal ends that it does not heed."""
    asked = asyncio.Event()

    async def be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(be_silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    given = environ(platform, tmp_path, KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{port}")
    async with server, service(given) as running:
        async with asyncio.timeout(PATIENCE_S):
            await asked.wait()
        running.process.send_signal(signal.SIGTERM)
        ended = await running.event("ended")

        assert 0 == await running.process.wait()
    assert ("stopped", 0) == (ended["why"], ended["code"])


async def test_a_misspelt_setting_ends_it_before_it_begins(platform: KafkaPlatform, tmp_path: Path) -> None:
    """Exit 78, and the line says what was meant."""
    async with service(environ(platform, tmp_path, SEAMWORK_POLICY_ENGINE_BATHC="1")) as running:
        ended = await running.event("ended")

        assert 78 == await running.process.wait()
    assert "did you mean SEAMWORK_POLICY_ENGINE_BATCH?" in ended["error"]


async def test_a_missing_right_ends_it_and_is_named(platform: KafkaPlatform, tmp_path: Path) -> None:
    """A service under another's principal cannot write its verdicts: exit 78, starting again would not help."""
    other = platform.access("cost-cap")
    given = environ(platform, tmp_path)
    given |= {"SEAMWORK_KAFKA_SASL_USERNAME": other.username, "SEAMWORK_KAFKA_SASL_PASSWORD": other.password}
    async with service(given) as running:
        ended = await running.event("ended")

        assert 78 == await running.process.wait()
    assert "misconfigured" == ended["why"]


async def test_it_ends_with_its_parent(platform: KafkaPlatform, tmp_path: Path) -> None:
    """Told of a parent that is not its own any more, it stops in order."""
    async with service(environ(platform, tmp_path, SEAMWORK_PARENT_PID="1")) as running:
        await running.event("parent-gone")
        ended = await running.event("ended")

        assert 0 == await running.process.wait()
    assert 0 == ended["code"]
