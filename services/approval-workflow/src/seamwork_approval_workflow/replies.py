"""
Tell a person's answer from everything else that may lie in ``answers``.

Nothing of an answer is believed but what its own signature covers, under a key that the person's document lists.
What does not count is named, never dropped silently: whoever is asked why an approval is missing finds it there.
"""

from dataclasses import dataclass

from seamwork.catalog import Catalog, Context
from seamwork.grants.evidence import evidence_bytes, most_evidence
from seamwork.grants.keys import verifies
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.people import ApprovalRequest, Reply
from seamwork.records.verdict import Approvers, SignedRecord
from seamwork.records.wire import Malformed, Received, signed_bytes
from seamwork_approval_workflow.state import Answered, Desk, ReplyIgnored, Request


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why an answer does not count: a stable *rule* and a *reason* that names fields and no values."""

    rule: str
    reason: str


def weigh(
    desk: Desk, platform: str, received: Received[AnyEnvelope] | Malformed, context: Context
) -> Answered | ReplyIgnored:
    """Say whether a record of ``answers`` counts, and if not, why."""
    if isinstance(received, Malformed):
        return _ignored(received, None, Flaw(received.rule, received.reason))
    reply = received.record
    if not isinstance(reply, Reply):
        return _ignored(received, None, Flaw("wrong-type", "answers carries replies alone"))
    request = desk.requests.get(reply.request)
    if request is None:
        return _ignored(received, reply, Flaw("unknown-request", "nothing was asked under this request id"))
    flaw = (
        _signature_flaw(received, reply, platform, context.catalog)
        or _subject_flaw(received, reply, request.asked)
        or _standing_flaw(received, reply, request, context)
    )
    if flaw is not None:
        return _ignored(received, reply, flaw)
    evidence = SignedRecord(
        topic=received.raw.topic,
        key=received.key,
        envelope=received.envelope.decode("ascii"),
        kid=received.kid or "",
        sig=received.sig or "",
    )
    size, most = evidence_bytes(evidence), most_evidence(request.asked.approvers)
    if reply.answer == "approve" and size > most:
        reason = (
            f"the answer takes {size} bytes of a verdict, {most} are one person's; answer with a shorter note"
        )
        return _ignored(received, reply, Flaw("answer-too-long", reason))
    return Answered(
        request=reply.request,
        reply=reply.id,
        person=reply.person,
        answer=reply.answer,
        evidence=evidence,
    )


def has_role(catalog: Catalog, person: str, demand: Approvers, at: int) -> bool:
    """Say whether *person* is demanded, by name or by one of the roles."""
    document = catalog.person(person, at)
    if document is None:
        return False
    return person in demand.people or not set(demand.roles).isdisjoint(document.spec.roles)


def still_counts(person: str, evidence: SignedRecord, context: Context) -> bool:
    """Say whether an answer that counted does so now: the router believes none whose key was revoked since."""
    return context.catalog.public_of(evidence.kid, f"person:{person}", context.now) is not None


def _signature_flaw(
    received: Received[AnyEnvelope], reply: Reply, platform: str, catalog: Catalog
) -> Flaw | None:
    if received.kid is None or received.sig is None:
        return Flaw("unsigned", "the headers sw_sig and sw_kid are missing")
    key = catalog.key(received.kid)
    if key is None:
        return Flaw("unknown-key", "no document lists the key that sw_kid names")
    if key.holder != f"person:{reply.person}":
        return Flaw("not-the-person", "the key that sw_kid names is not that person's")
    if catalog.public_of(key.kid, key.holder, received.raw.appended_at) is None:
        return Flaw("key-not-valid", "the person's key was not valid when the answer was appended")
    data = signed_bytes(platform, received.raw.topic, received.raw.key or b"", received.envelope)
    if not verifies(key.public, data, received.sig):
        return Flaw("forged", "sw_sig is not the signature of that key over this answer")
    return None


def _subject_flaw(received: Received[AnyEnvelope], reply: Reply, asked: ApprovalRequest) -> Flaw | None:
    if reply.task != asked.task or received.key != asked.task:
        return Flaw("another-task", "task, or the record's key, is not that of the request")
    if received.raw.partition != asked.subject.partition:
        return Flaw("wrong-partition", "the answer does not lie in the partition of its key")
    if reply.action_sha256 != asked.action_sha256:
        return Flaw("another-action", "action_sha256 is not that of the request")
    return None


def _standing_flaw(
    received: Received[AnyEnvelope], reply: Reply, request: Request, context: Context
) -> Flaw | None:
    at, asked, catalog = received.raw.appended_at, request.asked, context.catalog
    if reply.id in request.replies:
        return Flaw("repeated", "this answer has been counted already")
    if request.how is not None:
        return Flaw("already-ended", f"the request was {request.how} before")
    if at >= asked.expires_at:
        return Flaw("too-late", "the answer was appended when the request had expired")
    if catalog.person(reply.person, at) is None:
        return Flaw("unknown-person", "no Person of this name is in force")
    if not any(has_role(catalog, reply.person, demand, at) for demand in asked.approvers):
        return Flaw("role-missing", "the person has none of the roles that are asked")
    before = request.answers.get(reply.person)
    if (
        before is not None
        and before.answer == reply.answer
        and still_counts(reply.person, before.evidence, context)
    ):
        return Flaw("answered-already", "the person has given this answer before")
    return None


def _ignored(received: Received[AnyEnvelope] | Malformed, reply: Reply | None, flaw: Flaw) -> ReplyIgnored:
    return ReplyIgnored(
        position=received.position,
        digest=received.digest,
        request=reply.request if reply is not None else None,
        person=reply.person if reply is not None else None,
        rule=flaw.rule,
        reason=flaw.reason,
    )
