"""
What the planner does next, as values: which distributions, which step for each, what an answer changes.

The agent around it is a loop: ask ``next_step``, delegate what it says, tell ``answered`` or
``refused``, until there is an entry for the report. Nothing here waits, calls or catches.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from licence_audit.facts import (
    AuditEntry,
    AuditReport,
    AuditRequest,
    ComplianceFinding,
    DistributionRef,
    ExceptionRecord,
    ExceptionRequest,
    Exceptions,
    LicenceFacts,
    ParsedMetadata,
    Payload,
    ReportRequest,
)

Stage = Literal["parse", "extract", "comply", "except"]
CAPABILITIES: dict[Stage, str] = {
    "parse": "parse-metadata",
    "extract": "extract-licence",
    "comply": "judge-licence",
    "except": "record-exception",
}
CONTRACTS: dict[Stage, str] = {
    "parse": "licence-metadata/1.0.0",
    "extract": "licence-facts/1.0.0",
    "comply": "licence-compliance/1.0.0",
    "except": "licence-exception/1.0.0",
}
# What a step may cost at most, in micro-USD: the limits that its contract states.
CEILINGS: dict[Stage, int] = {"parse": 200, "extract": 500, "comply": 200, "except": 100}
REPORT_CAPABILITY = "compose-report"
REPORT_CONTRACT = "licence-report/1.0.0"
REPORT_CEILING = 1_000
ACCEPT_COPYLEFT = "accept-copyleft"
MAX_STEP_CHARS = 200
OPEN = frozenset({"incomplete", "needs-approval"})


class UnexpectedAnswerError(TypeError):
    """An answer of another type than the open step's came back; the wiring mixed two steps up."""


@dataclass(frozen=True, slots=True)
class Delegation:
    """
    One step to hand out: to whom by capability, under which contract and step name, what, for which effects.

    ``within_s`` is set where a person is waited for; ``ceiling`` is in micro-USD.
    """

    stage: Stage
    capability: str
    contract: str
    step: str
    payload: Payload
    ceiling: int
    effects: tuple[str, ...] = ()
    within_s: int | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """How far one distribution has come; ``begin`` makes one."""

    ref: DistributionRef
    exceptions: Exceptions
    answer_within_s: int
    parsed: ParsedMetadata | None = None
    facts: LicenceFacts | None = None
    finding: ComplianceFinding | None = None
    exception: ExceptionRecord | None = None
    stopped_at: Stage | None = None
    why: str = ""


def begin(request: AuditRequest, ref: DistributionRef) -> Track:
    """Start on one of the distributions that the request asks for."""
    return Track(ref, request.exceptions, request.answer_within_s)


def next_step(track: Track) -> Delegation | AuditEntry:
    """Say which step comes next, or the entry for the report when none does."""
    if track.stopped_at is not None:
        return _stopped(track, track.stopped_at)
    if track.parsed is None:
        return _delegate(track, "parse", track.ref)
    if track.facts is None:
        return _delegate(track, "extract", track.parsed)
    if track.finding is None:
        return _delegate(track, "comply", track.facts)
    needs_a_person = track.finding.status == "needs-approval" and track.exception is None
    if needs_a_person and track.exceptions == "ask":
        wish = ExceptionRequest(
            finding=track.finding, use="use unmodified, as a dependency of this environment"
        )
        asked = _delegate(track, "except", wish)
        return replace(asked, effects=(ACCEPT_COPYLEFT,), within_s=track.answer_within_s)
    return _found(track, track.finding)


def answered(track: Track, answer: Payload) -> Track:
    """
    Take the answer of the open step.

    Raises:
        UnexpectedAnswerError: The answer belongs to another step or another distribution.
    """
    step = next_step(track)
    if isinstance(step, Delegation):
        match step.stage, answer:
            case "parse", ParsedMetadata(ref=track.ref):
                return replace(track, parsed=answer)
            case "extract", LicenceFacts(ref=track.ref):
                return replace(track, facts=answer)
            case "comply", ComplianceFinding(ref=track.ref):
                return replace(track, finding=answer)
            case "except", ExceptionRecord(ref=track.ref):
                return replace(track, exception=answer)
            case _:
                pass
    raise UnexpectedAnswerError("the answer does not belong to the open step of this distribution")


def refused(track: Track, why: str) -> Track:
    """Take it that the open step has no answer: refused, failed, expired or rejected."""
    step = next_step(track)
    if not isinstance(step, Delegation):
        raise UnexpectedAnswerError("there is no open step that could be refused")
    return replace(track, stopped_at=step.stage, why=why or "no reason was given")


def answer_type(stage: Stage) -> type[Payload]:
    """Say which type the answer of a step has."""
    match stage:
        case "parse":
            return ParsedMetadata
        case "extract":
            return LicenceFacts
        case "comply":
            return ComplianceFinding
        case "except":
            return ExceptionRecord
    assert_never(stage)


def report_request(
    request: AuditRequest, entries: tuple[AuditEntry, ...], left_out: int = 0
) -> ReportRequest:
    """Say what the report step gets, once every distribution has its entry."""
    return ReportRequest(
        title=request.title,
        entries=entries,
        carried=request.carried,
        left_out=request.left_out + left_out,  # what nobody has looked at is still not looked at
    )


def follow_up(report: AuditReport, title: str) -> AuditRequest:
    """
    Ask for an audit of what a report leaves open, carrying the rest.

    Open are the checks that are incomplete, and copyleft that nobody was asked about yet.

    Raises:
        ValueError: The report leaves nothing open.
    """
    again = tuple(entry.ref for entry in report.entries if entry.status in OPEN)
    if not again:
        raise ValueError("the report leaves nothing open; there is nothing to follow up")
    carried = tuple(entry for entry in report.entries if entry.status not in OPEN)
    return AuditRequest(
        title=title,
        environment=False,
        samples=False,
        only=again,
        carried=carried,
        left_out=report.left_out,
    )


def is_complete(report: AuditReport) -> bool:
    """Whether every distribution of the report was checked to the end."""
    return report.counts.incomplete == 0


def _delegate(track: Track, stage: Stage, payload: Payload) -> Delegation:
    return Delegation(
        stage=stage,
        capability=CAPABILITIES[stage],
        contract=CONTRACTS[stage],
        step=_step_name(track.ref, stage),
        payload=payload,
        ceiling=CEILINGS[stage],
    )


def _step_name(ref: DistributionRef, stage: Stage) -> str:
    # The name of the metadata directory is unique under its source, so the step's name is, too.
    name = f"{stage}/{ref.source}/{ref.metadata_dir}"
    if len(name) <= MAX_STEP_CHARS:
        return name
    return f"{name[: MAX_STEP_CHARS - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _stopped(track: Track, stage: Stage) -> AuditEntry:
    finding = track.finding
    if stage == "except" and finding is not None:
        reason = f"copyleft, and its use was not approved: {track.why}"
        return AuditEntry(
            ref=track.ref,
            status="not-approved",
            expression=finding.expression,
            rule="exception-not-approved",
            reason=reason[:500],
            step=stage,
        )
    return AuditEntry(
        ref=track.ref,
        status="incomplete",
        expression=None,
        rule="step-refused",
        reason=track.why[:500],
        step=stage,
    )


def _found(track: Track, finding: ComplianceFinding) -> AuditEntry:
    if track.exception is not None:
        return AuditEntry(
            ref=track.ref,
            status="allowed-by-exception",
            expression=finding.expression,
            rule="exception-recorded",
            reason=track.exception.reason,
            step="done",
        )
    return AuditEntry(
        ref=track.ref,
        status=finding.status,
        expression=finding.expression,
        rule=finding.rule,
        reason=finding.reason,
        step="done",
    )
