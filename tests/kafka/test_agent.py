"""An agent on the real broker: its group, its offsets, its rights, and its life as a program of its own."""

import asyncio
import base64
import hashlib
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from seamwork.agent import Agent, AgentSettings, Refused, Task, submit, wait
from seamwork.agent.settings import render
from seamwork.broker.principal import agent as agent_principal
from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Partition
from seamwork.ids import answer_id
from seamwork.records.crossing import Handoff, Progress, Result
from seamwork.testing.builders import PLATFORM
from seamwork.testing.keys import key_of
from seamwork.testing.scripted_router import ScriptedRouter
from seamwork.testing.testbed import KafkaPlatform, KafkaTestbed

INBOX = "inbox.extractor.v1"
GROUP = "agent-extractor.1-0-0"
PROGRAM = """
from seamwork.agent import Agent, Task

agent = Agent("extractor", "1.0.0")


@agent.accepts("licence-facts", "1.0.0")
async def extract(parsed: dict[str, str], task: Task) -> dict[str, str]:
    await task.progress("reading")
    return {"licence": parsed["name"]}


if __name__ == "__main__":
    agent.run()
"""


class Bench:
    """A platform with an extractor and an operator, and a router that does what the test says."""

    def __init__(self, platform: KafkaPlatform) -> None:
        self.platform = platform
        self._logs: list[KafkaLog] = []

    async def log(self, principal: str, **how: Any) -> KafkaLog:
        """Open the log as a principal."""
        log = KafkaLog(self.platform.access(principal), self.platform.prefix, client_id=principal, **how)
        await log.start()
        self._logs.append(log)
        return log

    async def router(self) -> ScriptedRouter:
        """Stand in for the router, with the router's own rights."""
        return ScriptedRouter(await self.log("router"))

    def settings(self, name: str, **how: Any) -> AgentSettings:
        """Return an agent's settings."""
        router = key_of("service:router")
        return AgentSettings(
            name=name,
            platform=PLATFORM,
            prefix=self.platform.prefix,
            key=key_of(f"agent:{name}"),
            kafka=self.platform.access(f"agent-{name}"),
            router_keys={router.kid: router.public},
            **{"grace_s": 2.0, **how},
        )

    async def close(self) -> None:
        """Close all logs."""
        for log in self._logs:
            await log.stop()


@pytest.fixture
async def bench(kafka: KafkaTestbed) -> AsyncIterator[Bench]:
    """Furnish a platform for one test."""
    platform = await asyncio.to_thread(
        kafka.platform, agent_principal("extractor"), agent_principal("operator")
    )
    made = Bench(platform)
    yield made
    await made.close()


def echo() -> Agent:
    """Return an agent that answers with what it got."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: dict[str, str]) -> dict[str, str]:
        return parsed

    return agent


async def test_finished_work_is_committed_and_not_run_again(bench: Bench) -> None:
    """A restarted agent goes on where everything before is finished."""
    router, agent = await bench.router(), echo()
    await agent.start(settings=bench.settings("extractor"))
    work = await router.dispatch("extractor", {"n": "first"})
    result = await router.next(Result)
    await router.tell("accepted", work, result.record.id)
    marker = await router.dispatch("extractor", {"n": "second"})
    await router.next(Result)
    await agent.stop()

    log = await bench.log("agent-extractor")
    committed = await log.committed(GROUP, [Partition(INBOX, 0)])
    await agent.start(settings=bench.settings("extractor"))
    again = await router.next(Result)
    await agent.stop()

    assert {Partition(INBOX, 0): 2} == committed
    assert answer_id(marker.dispatch, 0) == again.record.id
    await router.stop()


async def test_long_work_in_a_plain_function_keeps_the_partition(bench: Bench) -> None:
    """A function that computes for several sessions' length runs once: the group never misses a heartbeat."""
    router, agent = await bench.router(), Agent("extractor", "1.0.0")
    runs = list[str]()

    @agent.accepts("licence-facts", "1.0.0")
    def extract(parsed: dict[str, str]) -> dict[str, str]:
        runs.append(threading.current_thread().name)
        until = time.monotonic() + 4
        while time.monotonic() < until:
            hashlib.sha256(b"x" * 1000).hexdigest()
        return parsed

    log = await bench.log("agent-extractor", session_timeout_ms=1_500)
    await agent.start(settings=bench.settings("extractor"), log=log)
    await router.dispatch("extractor", {"n": "long"})
    await router.next(Result)
    await agent.stop()

    assert 1 == len(runs)
    await router.stop()


async def test_a_second_instance_takes_over_what_the_first_leaves(bench: Bench) -> None:
    """Whoever has the partition runs the work; the answer's id is the same, whoever sends it."""
    router, first, second = await bench.router(), _stuck(), echo()
    await first.start(settings=bench.settings("extractor", grace_s=0.1))
    work = await router.dispatch("extractor", {"n": "1"})
    await router.next(Progress)
    await second.start(settings=bench.settings("extractor"))
    await first.stop()
    result = await router.next(Result)
    await second.stop()

    assert answer_id(work.dispatch, 0) == result.record.id
    await router.stop()


async def test_finished_work_is_not_run_again_by_another_instance(bench: Bench) -> None:
    """
    What was accepted behind work that hangs is not committed yet; whoever takes over passes over it all the same.

    Only the one that hung runs again.
    """
    router, ran = await bench.router(), list[str]()
    first, second = _noting(ran, "first"), _noting(ran, "second")
    await first.start(settings=bench.settings("extractor", grace_s=0.1))
    stuck = await router.dispatch("extractor", {"n": "stuck"})
    await router.next(Progress)
    done = await router.dispatch("extractor", {"n": "done"})
    result = await router.next(Result)
    await router.tell("accepted", done, result.record.id)
    await first.stop()
    log = await bench.log("agent-extractor")
    committed = await log.committed(GROUP, [Partition(INBOX, 0)])
    await second.start(settings=bench.settings("extractor", grace_s=0.1))
    await router.next(Progress)
    fresh = await router.dispatch("extractor", {"n": "fresh"})
    again = await router.next(Result)
    await second.stop()

    assert {} == committed or {Partition(INBOX, 0): 0} == committed
    assert (answer_id(done.dispatch, 0), answer_id(fresh.dispatch, 0)) == (result.record.id, again.record.id)
    assert ["first stuck", "first done", "second stuck", "second fresh"] == ran
    assert stuck.dispatch != done.dispatch
    await router.stop()


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_an_agent_stops_though_the_log_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker is frozen, so that nothing is refused and nothing answered; the agent does not wait for it."""
    for place in ("bus.membership.GOODBYE_S", "bus.kafka.GOODBYE_S", "agent.desk._LAST_BEAT_S"):
        monkeypatch.setattr(f"seamwork.{place}", 0.5)
    testbed = await asyncio.to_thread(KafkaTestbed, tmp_path)
    try:
        platform = await asyncio.to_thread(testbed.platform, agent_principal("extractor"))
        bench, agent = Bench(platform), _stuck()
        router = await bench.router()
        await agent.start(settings=bench.settings("extractor", grace_s=0.1))
        await router.dispatch("extractor", {"n": "1"})
        await router.next(Progress)
        await router.stop()
        await bench.close()
        os.kill(testbed.broker.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(30):
                await agent.stop()
        finally:
            os.kill(testbed.broker.pid, signal.SIGCONT)
    finally:
        await asyncio.to_thread(testbed.close)


async def test_an_initiator_begins_a_task_and_hears_of_it(bench: Bench) -> None:
    """The root handoff has no stamp; its answer or its refusal comes to the initiator's inbox."""
    router, log = await bench.router(), await bench.log("agent-operator")
    settings = bench.settings("operator")
    asked: dict[str, Any] = {"contract": "licence-facts/1.0.0", "intent": "audit", "to": "extractor"}

    begun = await submit(log, settings, payload={"n": 1}, **asked)
    handoff = await router.next(Handoff)
    await router.answer(handoff, {"licence": "MIT"})
    async with asyncio.timeout(10):
        answer = await wait(log, settings, begun, returns=dict[str, str])
    refused = await submit(log, settings, payload={"n": 2}, **asked)
    handoff = await router.next(Handoff)
    await router.tell_sender(
        "refused", handoff, gate="cost-cap", rule="over-budget", reason="nothing is left"
    )
    with pytest.raises(Refused, match="over-budget") as error:
        async with asyncio.timeout(10):
            await wait(log, settings, refused)

    assert ("success", {"licence": "MIT"}) == (answer.outcome, answer.value)
    assert (refused.task, None) == (handoff.record.task, handoff.record.stamp)
    assert "cost-cap" == error.value.gate
    await router.stop()


async def test_an_agent_is_a_program_that_stops_on_a_signal(bench: Bench, tmp_path: Path) -> None:
    """Ten lines and a settings file: it starts, works, and leaves with status 0."""
    program, settings = _write_program(bench, tmp_path)
    environ = {**os.environ, "SEAMWORK_AGENT_SETTINGS": str(settings)}
    router = await bench.router()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), env=environ,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        await router.dispatch("extractor", {"name": "mortar"})
        async with asyncio.timeout(30):
            result = await _patient(router)
        process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert {"licence": "mortar"} == json.loads(result.payload)
    assert 0 == process.returncode, output.decode()
    assert ["agent starting", "agent ready", "agent stopped"] == re.findall(
        r"agent (?:st\w+|ready)", output.decode()
    )
    assert b"\x1b" not in output  # it is no terminal
    await router.stop()


async def test_a_program_without_rights_says_so_and_leaves(bench: Bench, tmp_path: Path) -> None:
    """An agent whose principal may not read the inbox ends with a sentence, not with silence."""
    program, settings = _write_program(bench, tmp_path, principal="agent-operator")
    environ = {**os.environ, "SEAMWORK_AGENT_SETTINGS": str(settings)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), env=environ,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 45)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert process.returncode in (70, 78), output.decode()
    assert b"may not" in output


async def _patient(router: ScriptedRouter) -> Any:
    while True:
        try:
            return await router.next(Result)
        except TimeoutError:
            continue


def _stuck() -> Agent:
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: dict[str, str], task: Task) -> dict[str, str]:
        await asyncio.Event().wait()
        return parsed

    return agent


def _noting(ran: list[str], name: str) -> Agent:
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: dict[str, str], task: Task) -> dict[str, str]:
        ran.append(f"{name} {parsed['n']}")
        if parsed["n"] == "stuck":
            await task.progress("waiting")
            await asyncio.Event().wait()
        return parsed

    return agent


def _write_program(bench: Bench, folder: Path, principal: str = "agent-extractor") -> tuple[Path, Path]:
    program, key, settings = folder / "extractor.py", folder / "extractor.key", folder / "extractor.toml"
    program.write_text(PROGRAM)
    seed = hashlib.sha256(b"seamwork test key of agent:extractor").digest()
    access, router = bench.platform.access(principal), key_of("service:router")
    text = render(
        name="extractor", platform=PLATFORM, prefix=bench.platform.prefix, kid="agent:extractor",
        key_file=key.name, bootstrap=access.bootstrap, username=access.username, password=access.password,
        protocol=access.protocol, mechanism=access.mechanism, router_keys={router.kid: router.public},
    )  # fmt: skip
    for path, content in ((key, base64.b64encode(seed).decode()), (settings, text)):
        path.touch(mode=0o600)
        path.write_text(content)
    return program, settings
