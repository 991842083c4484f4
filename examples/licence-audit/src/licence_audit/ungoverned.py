"""
Act one: the agents wired to each other as everybody does it, each function calling the next, nothing in between.

Run it with ``python -m licence_audit.ungoverned``. Every step succeeds, every object passes its type, and the
report is wrong; ``falsehoods`` says where, which nobody in this wiring would have asked.
"""

import asyncio
from dataclasses import dataclass

from licence_audit.agents import compliance, extractor_drifted, parser, planner, report
from licence_audit.facts import AuditReport, AuditRequest, EntryStatus
from seamwork.agent import Agent
from seamwork.agent.direct import Direct


@dataclass(frozen=True, slots=True)
class Falsehood:
    """One distribution about which a report is wrong: what it says, and what is so."""

    name: str
    version: str
    reported: str | None
    reported_status: EntryStatus
    actual: str | None
    actual_status: EntryStatus

    @property
    def hides_a_problem(self) -> bool:
        """Whether the report calls something allowed that is not."""
        return self.reported_status == "allowed" != self.actual_status


async def audit(request: AuditRequest, extractor: Agent = extractor_drifted.agent) -> AuditReport:
    """Audit what the request asks for, with the extractor that it is given."""
    # Without a gate nobody can be asked, so copyleft is only reported.
    unasked = request.model_copy(update={"exceptions": "report"})
    wired = Direct(planner.agent, parser.agent, extractor, compliance.agent, report.agent)
    answer = await wired.call("planner", "licence-audit/1.0.0", unasked, returns=AuditReport)
    return answer.value


def falsehoods(told: AuditReport, true: AuditReport) -> tuple[Falsehood, ...]:
    """Name the distributions about which a report differs from one that read everything."""
    return tuple(
        Falsehood(
            name=said.ref.name,
            version=said.ref.version,
            reported=said.expression,
            reported_status=said.status,
            actual=so.expression,
            actual_status=so.status,
        )
        for said, so in zip(told.entries, true.entries, strict=True)
        if (said.expression, said.status) != (so.expression, so.status)
    )


def main() -> None:
    """Print the report of this environment, as somebody would who trusts it."""
    print(asyncio.run(audit(AuditRequest(title="Licence audit, ungoverned"))).markdown)


if __name__ == "__main__":
    main()
