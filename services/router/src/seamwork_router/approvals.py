"""
Verify what people agreed to: their own signatures over this action, of enough different people with the right role.

The approval workflow counts answers; the router believes signatures alone, so a workflow that counts wrongly, or
that somebody took over, lets nothing through.
"""

from seamwork.grants.keys import verifies
from seamwork.ids import request_id
from seamwork.records.envelope import EnvelopeError, decode
from seamwork.records.people import Reply
from seamwork.records.verdict import Approvers, SignedRecord, Verdict
from seamwork.records.wire import signed_bytes
from seamwork_router.memory import Holding
from seamwork_router.problem import Problem
from seamwork_router.scene import Scene

ANSWERS = "answers.v1"


def agreed(scene: Scene, holding: Holding, verdict: Verdict, at: int) -> tuple[str, ...] | Problem:
    """
    Return who agreed, or why it is not enough.

    Args:
        scene: The crossing that is held.
        holding: What was asked of whom.
        verdict: The workflow's ``ALLOW`` with its evidence.
        at: When the verdict was appended; the people's keys must count then.
    """
    people: set[str] = set()
    for number, record in enumerate(verdict.evidence):
        reply = _reply(scene, record, at)
        if isinstance(reply, str):
            return Problem("evidence-invalid", f"evidence {number}: {reply}")
        wanted = request_id(scene.facts.partition, scene.facts.offset, holding.plan.action_sha256)
        if (reply.request, reply.action_sha256) != (wanted, holding.plan.action_sha256):
            return Problem("evidence-invalid", f"evidence {number}: it answers another request or action")
        if reply.task != scene.facts.task or reply.answer != "approve":
            return Problem(
                "evidence-invalid", f"evidence {number}: it is no approval of this task's crossing"
            )
        people.add(reply.person)
    for demand in holding.approvers:
        having = {person for person in people if _is_asked(scene, person, demand)}
        if len(having) < max(1, demand.count):
            return Problem(
                "approval-incomplete",
                f"{demand.count} different people of {demand.named} must agree, {len(having)} did",
            )
    return tuple(sorted(people))


def _reply(scene: Scene, record: SignedRecord, at: int) -> Reply | str:
    if record.topic != ANSWERS:
        return "it does not come from answers"
    try:
        envelope = record.envelope.encode("ascii")
        reply = decode(envelope)
    except (EnvelopeError, UnicodeEncodeError):
        return "its envelope cannot be read"
    if not isinstance(reply, Reply):
        return "it is no reply"
    public = scene.catalog.public_of(record.kid, f"person:{reply.person}", at)
    if public is None:
        return "its key is not that person's, or does not count any more"
    if record.key != reply.task:
        return "its key is not its task id"
    data = signed_bytes(scene.place.platform, record.topic, record.key.encode(), envelope)
    return reply if verifies(public, data, record.sig) else "its signature does not verify"


def _is_asked(scene: Scene, name: str, demand: Approvers) -> bool:
    person = scene.catalog.person(name, scene.now)
    return person is not None and (
        name in demand.people or not set(person.spec.roles).isdisjoint(demand.roles)
    )
