"""
Weigh what lies in ``answers`` against the requests that are open.

What does not count is named, never dropped silently: whoever is asked why an approval is missing finds it there.
"""

from seamwork.catalog import Context
from seamwork.catalog.replies import (
    Flaw,
    evidence_of,
    length_flaw,
    signature_flaw,
    standing_flaw,
    still_counts,
    subject_flaw,
)
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.people import Reply
from seamwork.records.wire import Malformed, Received
from seamwork_approval_workflow.state import Answered, Desk, ReplyIgnored, Request


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
        signature_flaw(received, reply, platform, context.catalog)
        or subject_flaw(received, reply, request.asked)
        or _over_flaw(reply, request)
        or standing_flaw(received, reply, request.asked, context.catalog)
        or _said_flaw(reply, request, context)
        or length_flaw(evidence_of(received), reply, request.asked)
    )
    if flaw is not None:
        return _ignored(received, reply, flaw)
    return Answered(
        request=reply.request,
        reply=reply.id,
        person=reply.person,
        answer=reply.answer,
        evidence=evidence_of(received),
    )


def _over_flaw(reply: Reply, request: Request) -> Flaw | None:
    if reply.id in request.replies:
        return Flaw("repeated", "this answer has been counted already")
    if request.how is not None:
        return Flaw("already-ended", f"the request was {request.how} before")
    return None


def _said_flaw(reply: Reply, request: Request, context: Context) -> Flaw | None:
    before = request.answers.get(reply.person)
    if (
        before is not None
        and before.answer == reply.answer
        and still_counts(reply.person, before.evidence, context.catalog, context.now)
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
