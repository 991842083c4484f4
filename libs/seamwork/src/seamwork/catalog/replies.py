"""
Tell a person's answer from everything else that may lie in ``answers``.

Nothing of an answer is believed but what its own signature covers, under a key that the person's document lists.
The approval workflow counts by this, and whoever shows how a request stands says the same.
"""

from dataclasses import dataclass

from seamwork.catalog.catalog import Catalog
from seamwork.grants.evidence import evidence_bytes, most_evidence
from seamwork.grants.keys import verifies
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.people import ApprovalRequest, Reply
from seamwork.records.verdict import Approvers, SignedRecord
from seamwork.records.wire import Received, signed_bytes


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why an answer does not count: a stable *rule* and a *reason* that names fields and no values."""

    rule: str
    reason: str


def has_role(catalog: Catalog, person: str, demand: Approvers, at: int) -> bool:
    """Say whether *person* is demanded, by name or by one of the roles."""
    document = catalog.person(person, at)
    if document is None:
        return False
    return person in demand.people or not set(demand.roles).isdisjoint(document.spec.roles)


def still_counts(person: str, evidence: SignedRecord, catalog: Catalog, at: int) -> bool:
    """Say whether an answer that counted does so at *at*: the router believes none whose key was revoked since."""
    return catalog.public_of(evidence.kid, f"person:{person}", at) is not None


def signature_flaw(
    received: Received[AnyEnvelope], reply: Reply, platform: str, catalog: Catalog
) -> Flaw | None:
    """Return why the answer is not the person's own word, signed with a key that counted when it was appended."""
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


def subject_flaw(received: Received[AnyEnvelope], reply: Reply, asked: ApprovalRequest) -> Flaw | None:
    """Return why the answer is about something else than *asked*."""
    if reply.task != asked.task or received.key != asked.task:
        return Flaw("another-task", "task, or the record's key, is not that of the request")
    if received.raw.partition != asked.subject.partition:
        return Flaw("wrong-partition", "the answer does not lie in the partition of its key")
    if reply.action_sha256 != asked.action_sha256:
        return Flaw("another-action", "action_sha256 is not that of the request")
    return None


def standing_flaw(
    received: Received[AnyEnvelope], reply: Reply, asked: ApprovalRequest, catalog: Catalog
) -> Flaw | None:
    """Return why the answer came too late, or from somebody who is not asked."""
    at = received.raw.appended_at
    if at >= asked.expires_at:
        return Flaw("too-late", "the answer was appended when the request had expired")
    if catalog.person(reply.person, at) is None:
        return Flaw("unknown-person", "no Person of this name is in force")
    if not any(has_role(catalog, reply.person, demand, at) for demand in asked.approvers):
        return Flaw("role-missing", "the person has none of the roles that are asked")
    return None


def length_flaw(evidence: SignedRecord, reply: Reply, asked: ApprovalRequest) -> Flaw | None:
    """Return why a yes has no room in a verdict, beside those of the others who must agree."""
    size, most = evidence_bytes(evidence), most_evidence(asked.approvers)
    if reply.answer == "approve" and size > most:
        reason = (
            f"the answer takes {size} bytes of a verdict, {most} are one person's; answer with a shorter note"
        )
        return Flaw("answer-too-long", reason)
    return None


def evidence_of(received: Received[AnyEnvelope]) -> SignedRecord:
    """Return an answer as it is carried in a verdict: with all that its signature covers."""
    return SignedRecord(
        topic=received.raw.topic,
        key=received.key,
        envelope=received.envelope.decode("ascii"),
        kid=received.kid or "",
        sig=received.sig or "",
    )
