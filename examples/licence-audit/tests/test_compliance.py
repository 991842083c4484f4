import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from licence_audit import expression
from licence_audit.compliance import comply
from licence_audit.exceptions import NothingToExceptError, record
from licence_audit.facts import DistributionRef, ExceptionRequest, LicenceFacts
from licence_audit.policy import LicencePolicy


def facts_of(text: str | None) -> LicenceFacts:
    """Facts that consist of one expression."""
    return LicenceFacts(
        ref=DistributionRef(name="made", version="1", source="samples", metadata_dir="made-1.dist-info"),
        metadata_sha256="0" * 64,
        basis="none" if text is None else "expression",
        expression=text,
        identifiers=() if text is None else expression.identifiers(expression.parse(text)),
        evidence=(),
        disagreeing=(),
    )


@pytest.mark.parametrize(
    ("text", "status", "rule"),
    [
        ("MIT", "allowed", "all-allowed"),
        ("GPL-3.0-only", "needs-approval", "copyleft"),
        ("MIT AND GPL-3.0-or-later", "needs-approval", "copyleft"),
        ("MIT OR GPL-3.0-or-later", "allowed", "all-allowed"),
        ("GPL-3.0-only OR AGPL-3.0-only", "needs-approval", "copyleft"),
        ("MIT AND (GPL-3.0-only OR ISC)", "allowed", "all-allowed"),
        ("Apache-2.0 WITH LLVM-exception", "allowed", "all-allowed"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "allowed", "all-allowed"),
        ("GPL-2.0-only WITH LLVM-exception", "needs-approval", "copyleft"),
        ("MIT WITH Bison-exception-2.2", "unknown", "not-listed"),
        ("LicenseRef-Own", "unknown", "not-listed"),
        ("MIT AND LicenseRef-Own", "unknown", "not-listed"),
        ("SSPL-1.0", "not-approved", "forbidden"),
        ("MIT AND SSPL-1.0", "not-approved", "forbidden"),
        ("MIT OR SSPL-1.0", "allowed", "all-allowed"),
        (None, "no-licence", "nothing-declared"),
    ],
)
def test_an_expression_is_judged_by_its_branches(
    policy: LicencePolicy, text: str | None, status: str, rule: str
) -> None:
    """AND is as good as its worst branch, OR as good as its best, and the unknown is never allowed."""
    finding = comply(facts_of(text), policy)

    assert (status, rule) == (finding.status, finding.rule)


leaves = st.sampled_from(("MIT", "GPL-3.0-only", "LicenseRef-Own", "SSPL-1.0", "ISC"))


@given(st.lists(leaves, min_size=1, max_size=5, unique=True))
def test_every_identifier_is_judged(policy: LicencePolicy, chosen: list[str]) -> None:
    """The judgement names each identifier of the facts once, in their order."""
    finding = comply(facts_of(" AND ".join(chosen)), policy)

    assert chosen == [each.identifier for each in finding.judged]


@given(st.lists(leaves, min_size=2, max_size=4, unique=True))
def test_a_choice_is_never_judged_worse_than_a_sum(policy: LicencePolicy, chosen: list[str]) -> None:
    """Whoever may choose has at least what somebody has to whom all branches apply."""
    ranks = ("allowed", "needs-approval", "unknown", "not-approved")
    choice, both = (
        ranks.index(comply(facts_of(f" {word} ".join(chosen)), policy).status) for word in ("OR", "AND")
    )

    assert choice <= both


def test_a_licence_may_not_stand_under_two_headings() -> None:
    """A policy that contradicts itself is refused, with the licence's name."""
    with pytest.raises(ValidationError, match="listed under two headings, keep one: MIT"):
        LicencePolicy(version="1", allowed=frozenset({"MIT"}), copyleft=frozenset({"MIT"}))


def test_an_exception_is_recorded_for_exactly_what_was_judged(policy: LicencePolicy) -> None:
    """The record carries the digest of the metadata that the person saw the finding of."""
    finding = comply(facts_of("MIT AND GPL-3.0-only"), policy)

    recorded = record(ExceptionRequest(finding=finding, use="a test"))

    assert (finding.ref, finding.metadata_sha256, finding.expression) == (
        recorded.ref,
        recorded.metadata_sha256,
        recorded.expression,
    )


def test_what_is_allowed_needs_no_exception(policy: LicencePolicy) -> None:
    """Asking for an exception without need is a mistake of the caller, and said."""
    with pytest.raises(NothingToExceptError, match="needs no exception"):
        record(ExceptionRequest(finding=comply(facts_of("MIT"), policy), use="a test"))
