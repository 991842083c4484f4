"""
Step three: hold the licence facts against the policy of allowed licences.

Rule 1: ``AND`` is as good as its worst branch, ``OR`` as good as its best, because we choose.
Rule 2: what is not known is never allowed: an unlisted licence is "unknown", no licence is "no-licence".
Rule 3: every identifier that the facts mention appears in the judgement.
"""

from typing import assert_never

from licence_audit import expression
from licence_audit.facts import ComplianceFinding, FindingStatus, Judgement, LicenceFacts, Standing
from licence_audit.policy import LicencePolicy

# From best to worst. "unlisted" is worse than "copyleft": of the latter we know what it asks.
_ORDER: tuple[Standing, ...] = ("allowed", "copyleft", "unlisted", "forbidden")

_VERDICTS: dict[Standing, tuple[FindingStatus, str, str]] = {
    "allowed": ("allowed", "all-allowed", "the policy allows what the expression asks for"),
    "copyleft": ("needs-approval", "copyleft", "copyleft applies, and using it needs a person's approval"),
    "unlisted": ("unknown", "not-listed", "the policy does not list a licence or exception that applies"),
    "forbidden": ("not-approved", "forbidden", "the policy forbids a licence that applies"),
}


def comply(facts: LicenceFacts, policy: LicencePolicy) -> ComplianceFinding:
    """Judge one distribution's licence facts."""
    if facts.expression is None:
        return _finding(facts, policy, ("no-licence", "nothing-declared", "no place names a licence"), ())
    tree = expression.parse(facts.expression)
    status, rule, reason = _VERDICTS[_weigh(tree, policy)]
    judged = tuple(_judge(identifier, tree, policy) for identifier in facts.identifiers)
    culprits = [each.identifier for each in judged if each.standing != "allowed"]
    if status != "allowed" and culprits:
        reason = f"{reason}: {', '.join(culprits)}"
    return _finding(facts, policy, (status, rule, reason[:500]), judged)


def _weigh(tree: expression.Expression, policy: LicencePolicy) -> Standing:
    match tree:
        case expression.Licence():
            return policy.standing(tree)
        case expression.Compound("AND", branches):
            return max((_weigh(branch, policy) for branch in branches), key=_ORDER.index)
        case expression.Compound(_, branches):
            return min((_weigh(branch, policy) for branch in branches), key=_ORDER.index)
    assert_never(tree)


def _judge(identifier: str, tree: expression.Expression, policy: LicencePolicy) -> Judgement:
    if identifier in expression.licences(tree):
        return Judgement(identifier=identifier, standing=policy.standing(expression.Licence(identifier)))
    known = identifier in policy.exceptions.keeps | policy.exceptions.lifts
    return Judgement(identifier=identifier, standing="allowed" if known else "unlisted")


def _finding(
    facts: LicenceFacts,
    policy: LicencePolicy,
    verdict: tuple[FindingStatus, str, str],
    judged: tuple[Judgement, ...],
) -> ComplianceFinding:
    status, rule, reason = verdict
    return ComplianceFinding(
        ref=facts.ref,
        metadata_sha256=facts.metadata_sha256,
        expression=facts.expression,
        status=status,
        rule=rule,
        reason=reason,
        judged=judged,
        policy_version=policy.version,
    )
