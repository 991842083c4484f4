"""
Act one: the audit as everybody wires it, each function calling the next, nothing in between.

Run it with ``python -m licence_audit.ungoverned``. Every step succeeds, every object passes its type,
and the report is wrong; ``wrong_about`` says where, which nobody in this wiring would have asked.
"""

from collections.abc import Callable
from dataclasses import dataclass

from licence_audit import extractor, extractor_drifted
from licence_audit.compliance import comply
from licence_audit.discover import Roots, discover
from licence_audit.facts import (
    AuditEntry,
    AuditReport,
    AuditRequest,
    DistributionRef,
    EntryStatus,
    LicenceFacts,
    ParsedMetadata,
)
from licence_audit.parser import parse
from licence_audit.planner import (
    Delegation,
    Track,
    UnexpectedAnswerError,
    answered,
    begin,
    next_step,
    report_request,
)
from licence_audit.policy import LicencePolicy, load_policy
from licence_audit.report import compose

Extract = Callable[[ParsedMetadata], LicenceFacts]


@dataclass(frozen=True, slots=True)
class Falsehood:
    """One distribution about which the report is wrong: what it says, and what is so."""

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


def audit(
    request: AuditRequest, roots: Roots, policy: LicencePolicy, extract: Extract = extractor_drifted.extract
) -> AuditReport:
    """Audit what the request asks for with plain function calls."""
    # Without a gate nobody can be asked, so copyleft is only reported.
    unasked = request.model_copy(update={"exceptions": "report"})
    found = discover(unasked, roots)
    entries = tuple(_audit_one(begin(unasked, ref), roots, policy, extract) for ref in found.refs)
    return compose(report_request(request, entries, found.left_out))


def wrong_about(request: AuditRequest, roots: Roots, policy: LicencePolicy) -> tuple[Falsehood, ...]:
    """Name the distributions about which the drifted audit differs from the one that reads everything."""
    told = audit(request, roots, policy)
    true = audit(request, roots, policy, extractor.extract)
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
    print(
        audit(
            AuditRequest(title="Licence audit, ungoverned"), Roots.of_this_process(), load_policy()
        ).markdown
    )


def _audit_one(track: Track, roots: Roots, policy: LicencePolicy, extract: Extract) -> AuditEntry:
    while isinstance(step := next_step(track), Delegation):
        match step.payload:
            case DistributionRef() as ref:
                track = answered(track, parse(ref, roots))
            case ParsedMetadata() as parsed:
                track = answered(track, extract(parsed))
            case LicenceFacts() as facts:
                track = answered(track, comply(facts, policy))
            case _:
                raise UnexpectedAnswerError("the ungoverned wiring has no step of this kind")
    return step


if __name__ == "__main__":
    main()
