"""The planner: splits an audit into steps, hands them out side by side, and joins what comes back."""

import asyncio

from licence_audit.discover import Roots, discover
from licence_audit.facts import AuditEntry, AuditReport, AuditRequest, DistributionRef
from licence_audit.planner import (
    REPORT_CAPABILITY,
    REPORT_CEILING,
    REPORT_CONTRACT,
    Delegation,
    answer_type,
    answered,
    begin,
    is_complete,
    next_step,
    refused,
    report_request,
)
from seamwork.agent import Agent, HandoffError, Partial, Task
from seamwork.records.authority import Authority

# So many distributions are under way at once: enough to keep every agent busy, few enough to follow.
SIDE_BY_SIDE = 16

agent = Agent("planner", "1.0.0")


@agent.accepts("licence-audit", "1.0.0")
async def audit(request: AuditRequest, task: Task) -> AuditReport | Partial[AuditReport]:
    """Check every distribution that the request asks for; a report with gaps is labelled as a part."""
    found = await asyncio.to_thread(discover, request, Roots.of_this_process())
    room = asyncio.Semaphore(SIDE_BY_SIDE)
    entries = await asyncio.gather(*(check(request, ref, task, room) for ref in found.refs))
    report = await task.delegate(
        capability=REPORT_CAPABILITY,
        contract=REPORT_CONTRACT,
        payload=report_request(request, tuple(entries), found.left_out),
        returns=AuditReport,
        step="report",
        ceiling_micro_usd=REPORT_CEILING,
        authority=Authority(data=task.authority.data),
    )
    return report if is_complete(report) else task.partial(report)


async def check(
    request: AuditRequest, ref: DistributionRef, task: Task, room: asyncio.Semaphore
) -> AuditEntry:
    """Take one distribution through its steps; one that is refused ends its check, and no other's."""
    track = begin(request, ref)
    async with room:
        while isinstance(step := next_step(track), Delegation):
            try:
                answer = await task.delegate(
                    capability=step.capability,
                    contract=step.contract,
                    payload=step.payload,
                    returns=answer_type(step.stage),
                    step=step.step,
                    ceiling_micro_usd=step.ceiling,
                    authority=Authority(data=task.authority.data, effects=step.effects),
                    timeout_s=step.within_s,
                )
            except HandoffError as error:
                track = refused(track, f"{error.rule}: {error.reason}")
            else:
                track = answered(track, answer)
    return step


if __name__ == "__main__":
    agent.run()
