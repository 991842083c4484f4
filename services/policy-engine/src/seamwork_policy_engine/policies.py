"""
Find the rules that apply to one crossing.

Rule 1: a policy is asked only where its ``match`` fits; of each list one entry must fit, of the lists all.
Rule 2: a rule applies when its expression is true. One that cannot be evaluated applies as a denial.
Rule 3: of a plan only policies that name the kind ``plan`` are asked; the others were written for payloads.
Rule 4: a policy that names targets speaks only of the candidates it names; every other one of all.
Rule 5: what a desk puts back, and a drill, has two senders: who signed it, and the one in whose place that is done.
A policy that names either is asked, as flows are asked about the latter.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec

from seamwork.catalog import Catalog, PolicyEntry
from seamwork.documents import Policy
from seamwork.documents.policy import Match, PolicyRule
from seamwork.records.authority import Authority
from seamwork.records.base import tag_of
from seamwork.records.crossing import Handoff, Plan, Result
from seamwork.records.parties import AgentRef, DocumentRef, Target
from seamwork.rules import CROSSING_VARIABLES, Facts, Rule, RuleError, RuleSet, Verity


class Applied(msgspec.Struct, frozen=True):
    """
    A rule that applies: what it is called everywhere, and whom it speaks of (null: of every candidate).

    *mode* is its policy's: where it counts.
    """

    id: str
    effect: str
    rule: PolicyRule
    message: str
    agents: frozenset[str] | None = None
    mode: Literal["enforce", "shadow", "always"] = "enforce"

    def concerns(self, candidate: AgentRef) -> bool:
        """Say whether it speaks of *candidate*."""
        return self.agents is None or candidate.agent in self.agents


class Matter(msgspec.Struct, frozen=True):
    """What a policy's ``match`` looks at: facts that cost nothing. *senders* are who sent it and in whose place."""

    crossing: Handoff | Result | Plan
    senders: frozenset[str]
    candidates: tuple[AgentRef, ...]
    tenant: str
    team: str
    labels: dict[str, str]
    authority: Authority


class Asked(msgspec.Struct, frozen=True):
    """The rules that apply, and the policies that were asked."""

    applied: tuple[Applied, ...]
    consulted: tuple[DocumentRef, ...]


class Ready(msgspec.Struct, frozen=True):
    """A policy's rules, compiled, or why they are not; *uses* holds every variable that one of them may look at."""

    rules: RuleSet | RuleError
    uses: frozenset[str]


def ask(
    catalog: Catalog,
    policies: Sequence[PolicyEntry],
    matter: Matter,
    facts: Callable[[frozenset[str]], Facts],
) -> Asked:
    """
    Hold every policy against a crossing.

    Args:
        catalog: Keeps what was compiled, by digest.
        policies: Those in force, by name.
        matter: What ``match`` looks at.
        facts: Makes what rules may ask, given the variables that they look at; called only if a policy matches.
    """
    matching = [entry for entry in policies if _matches(entry.document.spec.match, matter)]
    if not matching:
        return Asked((), ())
    ready = [_ready(catalog, entry.document) for entry in matching]
    known = facts(frozenset().union(*(one.uses for one in ready)))
    applied = [
        found
        for entry, one in zip(matching, ready, strict=True)
        for found in _applied(entry.document, one.rules, known)
    ]
    return Asked(tuple(applied), tuple(entry.ref for entry in matching))


def _applied(policy: Policy, compiled: RuleSet | RuleError, facts: Facts) -> Iterable[Applied]:
    outcomes = () if isinstance(compiled, RuleError) else compiled.settled(facts)
    if not outcomes and not isinstance(compiled, RuleError):
        return  # as nearly always: nothing of it holds
    named, mode = frozenset(policy.spec.match.targets) or None, policy.spec.mode
    if isinstance(compiled, RuleError):
        # The publisher refuses such a policy; one that came by another way must not count as none.
        message = "the policy's rules do not compile; publish a version that passes the check"
        yield Applied(f"{policy.name}/broken", "deny", policy.spec.rules[0], message, named, mode)
        return
    rules = {rule.name: rule for rule in policy.spec.rules}
    for outcome in outcomes:
        rule = rules[outcome.rule.name]
        name = f"{policy.name}/{rule.name}"
        if outcome.verity is Verity.HOLDS:
            yield Applied(name, rule.effect, rule, rule.message, named, mode)
        elif outcome.verity is Verity.ERROR:
            message = f"the rule could not be evaluated on this crossing, which denies it: {rule.message}"
            yield Applied(name, "deny", rule, message, named, mode)


def _ready(catalog: Catalog, policy: Policy) -> Ready:
    return catalog.compiled("policy", policy, lambda: _compiled(policy))


def _compiled(policy: Policy) -> Ready:
    rules = [Rule(rule.name, rule.when, rule.message) for rule in policy.spec.rules]
    # Who looks at a variable writes its name. One that has it in a text alone only costs a look-up.
    uses = frozenset(name for name in CROSSING_VARIABLES if any(name in rule.expr for rule in rules))
    try:
        return Ready(RuleSet.compile(rules, CROSSING_VARIABLES), uses)
    except RuleError as error:
        return Ready(error, uses)


def _matches(match: Match, matter: Matter) -> bool:
    crossing, authority = matter.crossing, matter.authority
    kind = tag_of(crossing)
    if isinstance(crossing, Plan) and kind not in match.kinds:
        return False
    target = crossing.target if isinstance(crossing, Handoff) else None
    return (
        _names(match.kinds, kind)
        and _names(match.contracts, crossing.contract.name)
        and _meets(match.sources, matter.senders)
        and (not match.targets or not _meant(matter, target).isdisjoint(match.targets))
        and _names(match.capabilities, None if target is None else target.capability)
        and _names(match.tenants, matter.tenant)
        and _names(match.teams, matter.team)
        and all(matter.labels.get(name) == value for name, value in match.labels.items())
        and _meets(match.effects, authority.effects)
        and _meets(match.tools, authority.tools)
        and _meets(match.data, authority.data)
    )


def _names(wanted: Sequence[str], found: str | None) -> bool:
    """Say whether a list of ``match`` fits what is one; an empty list fits everything."""
    return not wanted or found in wanted


def _meets(wanted: Sequence[str], found: Iterable[str]) -> bool:
    """Say whether a list of ``match`` fits what are several; an empty list fits everything."""
    return not wanted or not set(wanted).isdisjoint(found)


def _meant(matter: Matter, target: Target | None) -> set[str | None]:
    """Return the agents that a handoff may go to, and the one that it names."""
    return {ref.agent for ref in matter.candidates} | ({target.agent} if target else set())
