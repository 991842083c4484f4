"""
Hold the platform that the audit runs on: its documents, its agents, the tasks that are begun on it.

Everything here could be typed: `seamwork up`, `publish`, `agents add`, `people add`, `submit`.
"""

import asyncio
import os
import secrets
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from licence_audit.facts import AuditReport, AuditRequest
from licence_audit.own_files import own_directory
from seamwork.agent import AgentSettings, Labelled, Submitted, submit, wait
from seamwork.broker.principal import agent as agent_principal
from seamwork.bus.port import Log
from seamwork.cli.documents import checked
from seamwork.clock import SystemClock
from seamwork.documents import Agent, AnyDocument
from seamwork.errors import MisconfiguredError
from seamwork.ids import uuid7
from seamwork.platform.audit import Audit
from seamwork.platform.door import Door
from seamwork.platform.files import gather, read_files, with_any_key
from seamwork.platform.home import PlatformHome
from seamwork.platform.known import lagging
from seamwork.platform.members import add_person, write_agent_settings
from seamwork.platform.people import ask
from seamwork.platform.supervisor import Supervisor
from seamwork.platform.trust import OPERATOR
from seamwork.platform.up import Running, bring_up
from seamwork.records.parties import Revision
from seamwork.records.people import ApprovalRequest, Reply

PLATFORM = "licence-audit"
OPERATOR_VERSION = "1.1.0"
COUNSEL, COUNSEL_ROLE = "legal-counsel", "legal"
CONTRACT = "licence-audit/1.0.0"


@dataclass
class Governed:
    """
    The platform, running.

    Attributes:
        running: Broker and services.
        agents: The agents' processes, by their modules.
    """

    running: Running
    agents: Supervisor
    _stack: AsyncExitStack = field(repr=False)
    _operator: Log = field(repr=False)

    @classmethod
    async def begin(cls, home: PlatformHome, tell: Callable[[str], None]) -> "Governed":
        """
        Start broker and services, making the platform if it does not exist.

        Raises:
            MisconfiguredError: A part did not start; says which, and why.
        """
        stack = AsyncExitStack()
        try:
            running = await bring_up(home, layout="apart", tell=tell)  # one gate is stopped on its own
            stack.push_async_callback(running.stop)
            agents = Supervisor()
            stack.push_async_callback(agents.stop_all)
            operator = await stack.enter_async_context(running.door.log(f"agent-{OPERATOR}"))
        except BaseException:
            await stack.aclose()
            raise
        return cls(running, agents, stack, operator)

    async def end(self) -> None:
        """Stop agents, services and broker, in this order."""
        await self._stack.aclose()

    @property
    def door(self) -> Door:
        """The way into the platform."""
        return self.running.door

    @property
    def audit(self) -> Audit:
        """The audit sink's pages."""
        return Audit.of(self.door)

    # ── documents ────────────────────────────────────────────────────────────────────────

    async def publish(self, files: Iterable[Path]) -> int:
        """
        Check, sign, publish and activate documents, and return how many were new.

        Agents get their inbox, credential and settings first. What an earlier run has retired comes back. Returns
        once every service knows the documents.
        """
        documents = checked(read_files(files, self.door.home))
        agents = [each for each in documents if isinstance(each, Agent)]
        principals = {each.name: agent_principal(each.name) for each in agents}
        if principals:
            registrar = self.door.registrar()
            await asyncio.to_thread(registrar.furnish, tuple(principals.values()), self.door.home.credentials)
        async with self.door.publisher() as publisher:
            told, revision = await publisher.publish(documents, again=True)
        for name in principals:
            write_agent_settings(self.door, name)
        await self._known(revision)
        return sum(each.written for each in told)

    async def retire(self, agent: str, version: str, reason: str) -> None:
        """Take an agent's version out of force, if it is in force; what it was given already it may finish."""
        async with self.door.publisher() as publisher:
            catalog = await publisher.catalog()
            entry = catalog.entry("Agent", agent, version)
            if entry is None or not entry.in_force(SystemClock().now_ms()):
                return
            revision = await publisher.activate("Agent", agent, version, "retired", None, reason)
        await self._known(revision)

    async def add_counsel(self) -> None:
        """Bring in the person whom the policy asks."""
        await add_person(self.door, COUNSEL, (COUNSEL_ROLE,))

    async def _known(self, revision: Revision) -> None:
        behind = await lagging(self.door.home, revision)
        if behind:
            logs = self.door.home.logs
            raise MisconfiguredError(
                f"{', '.join(behind)} has not read the documents that were published; see {logs}"
            )

    # ── agents ───────────────────────────────────────────────────────────────────────────

    async def start_agent(self, module: str) -> None:
        """Start a process that runs the agent of this module."""
        home = self.door.home
        environ = {key: value for key, value in os.environ.items() if not key.startswith("SEAMWORK_")}
        environ |= {
            "SEAMWORK_HOME": str(home.root.parent),
            "SEAMWORK_PLATFORM": home.name,
            # Whoever interrupts the show wants it to end now.
            "SEAMWORK_AGENT_GRACE_S": "2",
        }
        process = self.agents.add(
            module, "licence_audit.agents", lambda: environ, home.logs / f"agent-{module}.log", 0
        )
        process.command = (*process.command, module)
        await self.agents.start(module)

    # ── tasks ────────────────────────────────────────────────────────────────────────────

    async def submit(self, request: AuditRequest, intent: str, within_s: float) -> Submitted:
        """Begin an audit."""
        return await submit(
            self._operator,
            self._operator_settings(),
            contract=CONTRACT,
            payload=request,
            intent=intent,
            capability="audit-licences",
            timeout_s=within_s,
            version=OPERATOR_VERSION,
        )

    async def result(self, submitted: Submitted) -> Labelled[AuditReport]:
        """
        Wait for an audit's report.

        Raises:
            HandoffError: There is none.
        """
        return await wait(
            self._operator,
            self._operator_settings(),
            submitted,
            returns=AuditReport,
            version=OPERATOR_VERSION,
        )

    async def answer(self, request: ApprovalRequest, said: Literal["approve", "reject"]) -> None:
        """Answer a request as the counsel, signed with the counsel's key."""
        now = SystemClock().now_ms()

        def reply(person: str) -> Reply:
            return Reply(
                id=uuid7(now, secrets.token_bytes(10)),
                request=request.id,
                task=request.task,
                action_sha256=request.action_sha256,
                person=person,
                answer=said,
                answered_at=now,
            )

        await ask(self.door, COUNSEL, "answers.v1", request.task, reply)

    def _operator_settings(self) -> AgentSettings:
        return AgentSettings.from_file(self.door.home.agents / f"{OPERATOR}.toml")


def documents(*, without: str = "") -> list[Path]:
    """Return the example's documents, contracts first, but for the one named *without*."""
    found = [*sorted(own_directory("contracts").glob("*.yaml"))]
    found += [path for path in sorted(own_directory("documents").glob("*.yaml")) if path.name != without]
    return found


def read_documents() -> tuple[AnyDocument, ...]:
    """Read the example's documents as they lie in its folder, for looking at them."""
    return gather(documents(), with_any_key)[0]


def document(name: str) -> Path:
    """Return one of the example's documents."""
    return own_directory("documents") / name
