"""
Audit licences on the platform that is being broken: the example's own agents, one audit after the other.

What may become of one: the true report; a report that says of some distributions that they are incomplete, and of
all others the truth; or no report, said so. Anything else is a violation.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from licence_audit import ungoverned
from licence_audit.agents import extractor
from licence_audit.facts import AuditEntry, AuditReport, AuditRequest
from licence_audit.show.governed import Governed, documents
from seamwork.agent import HandoffError
from seamwork.errors import SeamworkError
from seamwork.platform.supervisor import Supervisor
from seamwork.platform.trust import OPERATOR
from seamwork.testing.stage import Stage

AGENTS = ("planner", "parser", "extractor", "compliance", "exceptions", "report")
_DRIFTED = "agent-extractor-2.0.0.yaml"
_REQUEST = AuditRequest(title="Under faults", limit=12, exceptions="report")
_INTENT = "Say under which licences these distributions may be used, whatever breaks meanwhile."
_WITHIN_S = 120.0


@dataclass
class Audited:
    """How often an audit came out in each way, and what none may say."""

    whole: int = 0
    labelled: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)


class Audits:
    """
    The audits of one run.

    Attributes:
        found: What became of them.
        tasks: Those that were begun.
    """

    def __init__(self, governed: Governed, true: AuditReport) -> None:
        self.found = Audited()
        self.tasks: set[str] = set()
        self._stopping = asyncio.Event()
        self._governed = governed
        self._true = {entry.ref: _told(entry) for entry in true.entries}

    async def keep_auditing(self) -> None:
        """Audit until stopped; the last one comes to its end."""
        while not self._stopping.is_set():
            await self._audit()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1)

    def stop(self) -> None:
        """Begin no other one."""
        self._stopping.set()

    async def _audit(self) -> None:
        try:
            submitted = await self._governed.submit(_REQUEST, _INTENT, _WITHIN_S)
            self.tasks.add(submitted.task)
            answer = await self._governed.result(submitted)
        except HandoffError:
            self.found.refused += 1  # it says itself that there is none, and why
            return
        except SeamworkError:
            return  # the operator's own connection was cut: nobody was told anything
        self._hold(answer.value, answer.outcome)

    def _hold(self, report: AuditReport, outcome: str) -> None:
        missing = {entry.ref for entry in report.entries if entry.status == "incomplete"}
        self.found.wrong += [
            f"an audit says of {entry.ref.name} what is not so"
            for entry in report.entries
            if entry.ref not in missing and _told(entry) != self._true.get(entry.ref)
        ]
        if {entry.ref for entry in report.entries} != self._true.keys():
            self.found.wrong.append("an audit leaves distributions out and does not say so")
        if missing and outcome == "success":
            self.found.wrong.append("an audit with gaps is not labelled as partial")
        if missing or outcome != "success":
            self.found.labelled += 1
        else:
            self.found.whole += 1


def _told(entry: AuditEntry) -> tuple[str, str | None]:
    return entry.status, entry.expression


@asynccontextmanager
async def auditing(
    stage: Stage, until_ended: Callable[[set[str], float], Awaitable[object]]
) -> AsyncIterator[Audits]:
    """Bring the example's agents in, and have them work while in here; *until_ended* waits for tasks."""
    true = await ungoverned.audit(_REQUEST, extractor.agent)
    async with AsyncExitStack() as stack:
        agents = Supervisor()
        stack.push_async_callback(agents.stop_all)
        operator = await stack.enter_async_context(stage.door.log(f"agent-{OPERATOR}"))
        governed = Governed(stage.running, agents, stack, operator)
        await governed.publish(documents(without=_DRIFTED))
        await governed.add_counsel()
        await asyncio.gather(*map(governed.start_agent, AGENTS))
        audits = Audits(governed, true)
        working = asyncio.create_task(audits.keep_auditing())
        try:
            yield audits
        finally:
            audits.stop()
            await working
            # Of one whose operator was cut off nobody waited for the end.
            await until_ended(audits.tasks, 2 * _WITHIN_S)
