from collections.abc import Callable

import pytest

from licence_audit import extractor, extractor_drifted, planner
from licence_audit.agents import extractor as mended
from licence_audit.compliance import comply
from licence_audit.discover import Roots, discover
from licence_audit.exceptions import record
from licence_audit.facts import (
    AuditEntry,
    AuditReport,
    AuditRequest,
    DistributionRef,
    ExceptionRequest,
    LicenceFacts,
    ParsedMetadata,
    Payload,
)
from licence_audit.parser import parse
from licence_audit.planner import Delegation, UnexpectedAnswerError, answered, begin, next_step, refused
from licence_audit.policy import LicencePolicy
from licence_audit.report import INCOMPLETE, compose
from licence_audit.ungoverned import audit

APPROVED = True
Extract = Callable[[ParsedMetadata], LicenceFacts]


class Workers:
    """The steps behind their capabilities, with a seam that refuses what loses an identifier."""

    def __init__(self, roots: Roots, policy: LicencePolicy, extract: Extract, *, approve: bool) -> None:
        self.roots = roots
        self.policy = policy
        self.extract = extract
        self.approve = approve
        self.asked: list[str] = []

    def audit(self, ref: DistributionRef) -> AuditEntry:
        """Run the planner's loop for one distribution."""
        track = begin(AuditRequest(), ref)
        while isinstance(step := next_step(track), Delegation):
            self.asked.append(step.capability)
            answer = self.answer(step)
            track = refused(track, answer) if isinstance(answer, str) else answered(track, answer)
        return step

    def answer(self, step: Delegation) -> Payload | str:
        """Do one step, or say why it is refused."""
        match step.payload:
            case DistributionRef() as ref:
                return parse(ref, self.roots)
            case ParsedMetadata() as parsed:
                facts = self.extract(parsed)
                lost = set(parsed.expression_identifiers) - set(facts.identifiers)
                return "every-identifier-accounted-for" if lost else facts
            case LicenceFacts() as facts:
                return comply(facts, self.policy)
            case ExceptionRequest() as wish:
                return record(wish) if self.approve else "the approval expired"
        raise AssertionError(step)


@pytest.fixture
def joined(roots: Roots) -> DistributionRef:
    """The sample that is permissive by its first word and copyleft by its second."""
    refs = discover(AuditRequest(environment=False), roots).refs
    return next(ref for ref in refs if "joined" in ref.name)


def test_a_permissive_distribution_takes_three_steps(roots: Roots, policy: LicencePolicy) -> None:
    """Nobody is asked where the policy allows."""
    workers = Workers(roots, policy, extractor.extract, approve=False)
    ref = next(ref for ref in discover(AuditRequest(environment=False), roots).refs if "latin" in ref.name)

    assert "allowed" == workers.audit(ref).status
    assert ["parse-metadata", "extract-licence", "judge-licence"] == workers.asked


def test_a_copyleft_finding_asks_once(roots: Roots, policy: LicencePolicy, joined: DistributionRef) -> None:
    """One crossing more, with the effect that a person answers for, and the entry says so."""
    workers = Workers(roots, policy, extractor.extract, approve=APPROVED)

    assert "allowed-by-exception" == workers.audit(joined).status
    assert 1 == workers.asked.count("record-exception")


def test_no_answer_means_not_approved(roots: Roots, policy: LicencePolicy, joined: DistributionRef) -> None:
    """An approval that expires is reported with its reason."""
    entry = Workers(roots, policy, extractor.extract, approve=False).audit(joined)

    assert ("not-approved", "copyleft, and its use was not approved: the approval expired") == (
        entry.status,
        entry.reason,
    )


async def test_copyleft_may_wait_for_a_follow_up(
    roots: Roots, policy: LicencePolicy, joined: DistributionRef
) -> None:
    """Where the request says so nobody is asked, and the follow-up asks."""
    report = await audit(AuditRequest(only=(joined,)), mended.agent)
    again = planner.follow_up(report, "again")
    workers = Workers(roots, policy, extractor.extract, approve=APPROVED)

    assert 1 == report.counts.needs_approval
    assert ((joined,), "ask") == (again.only, again.exceptions)
    assert "allowed-by-exception" == workers.audit(joined).status


def test_a_refused_answer_makes_the_check_incomplete(
    roots: Roots, policy: LicencePolicy, joined: DistributionRef
) -> None:
    """The drift refused at its seam never reaches the judgement."""
    workers = Workers(roots, policy, extractor_drifted.extract, approve=APPROVED)
    entry = workers.audit(joined)

    assert ("incomplete", "extract", "every-identifier-accounted-for") == (
        entry.status,
        entry.step,
        entry.reason,
    )
    assert ["parse-metadata", "extract-licence"] == workers.asked


def test_three_acts_end_in_a_complete_report(roots: Roots, policy: LicencePolicy) -> None:
    """Act two is partial and says where; act three audits just that and joins it with the rest."""
    second, third = (
        Workers(roots, policy, extract, approve=False)
        for extract in (extractor_drifted.extract, extractor.extract)
    )
    request = AuditRequest(title="second")
    found = discover(request, roots)
    partial = compose(planner.report_request(request, tuple(map(second.audit, found.refs)), found.left_out))
    again = planner.follow_up(partial, "third")
    refs = discover(again, roots).refs
    final = compose(planner.report_request(again, tuple(map(third.audit, refs))))

    assert not planner.is_complete(partial)
    assert INCOMPLETE in partial.markdown
    assert partial.counts.incomplete == len(refs)
    assert planner.is_complete(final)
    assert {entry.ref for entry in partial.entries} == {entry.ref for entry in final.entries}
    # A machine without Java has one in its environment, under copyleft.
    assert 1 <= final.counts.not_approved
    assert final == AuditReport.model_validate_json(final.model_dump_json())


def test_what_the_limit_left_out_is_said_by_the_follow_up_too(roots: Roots, policy: LicencePolicy) -> None:
    """Nobody has looked at it meanwhile, so the joined report is as little about all of it as the first."""
    second, third = (
        Workers(roots, policy, extract, approve=False)
        for extract in (extractor_drifted.extract, extractor.extract)
    )
    request = AuditRequest(title="second", environment=False, limit=4)
    found = discover(request, roots)
    partial = compose(planner.report_request(request, tuple(map(second.audit, found.refs)), found.left_out))
    again = planner.follow_up(partial, "third")
    rest = discover(again, roots)
    final = compose(planner.report_request(again, tuple(map(third.audit, rest.refs)), rest.left_out))

    assert 0 < found.left_out
    assert (found.left_out, found.left_out) == (partial.left_out, final.left_out)
    assert f"{found.left_out} more distributions were found and not audited" in final.markdown


def test_an_answer_for_another_distribution_is_refused(roots: Roots) -> None:
    """Two tracks cannot be mixed up."""
    one, other = discover(AuditRequest(environment=False), roots).refs[:2]

    with pytest.raises(UnexpectedAnswerError, match="does not belong to the open step"):
        answered(begin(AuditRequest(), one), parse(other, roots))


def test_step_names_are_unique_and_short(roots: Roots) -> None:
    """A step's name identifies it within the task, and fits what the wire allows."""
    refs = [*discover(AuditRequest(), roots).refs]
    refs += [
        DistributionRef(name="x", version="1", source="samples", metadata_dir=f"{'x' * 199}{end}.dist-info")
        for end in "ab"
    ]
    names = [
        step.step for ref in refs if isinstance(step := next_step(begin(AuditRequest(), ref)), Delegation)
    ]

    assert len(refs) == len(set(names))
    assert max(map(len, names)) <= planner.MAX_STEP_CHARS


def test_there_is_nothing_to_follow_up_in_a_complete_report(roots: Roots) -> None:
    """Asking for it says so, and does not begin an empty task that would audit everything."""
    complete = compose(planner.report_request(AuditRequest(), ()))

    with pytest.raises(ValueError, match="nothing to follow up"):
        planner.follow_up(complete, "again")
