"""
Check documents that go together: each by itself, then each against the others.

This is what ``seamwork contracts check`` and ``seamwork publish`` run; it reads no file and asks no platform.
"""

from collections.abc import Iterable, Iterator

from seamwork.contracts.check import checked_contract, unknown_counter
from seamwork.contracts.codes import found
from seamwork.contracts.compiled import promises
from seamwork.contracts.flows import flow_problems, is_whole
from seamwork.contracts.shelf import Shelf
from seamwork.contracts.slips import slips
from seamwork.contracts.waivers import Checked, waive
from seamwork.documents.agent import Agent
from seamwork.documents.budget import Budget
from seamwork.documents.canonical import canonical
from seamwork.documents.contract import Contract
from seamwork.documents.flow import Flow
from seamwork.documents.gate import Gate
from seamwork.documents.kinds import AnyDocument
from seamwork.documents.person import Person
from seamwork.documents.policy import Policy
from seamwork.documents.problems import Problem, did_you_mean, json_path
from seamwork.documents.shape import Document
from seamwork.documents.versions import accepts
from seamwork.rules.cel import ExpressionError, environment
from seamwork.rules.ruleset import CROSSING_VARIABLES, rule_problems
from seamwork.rules.typed import TypedRules

_MATCHED = ("handoff", "result")
"""What a policy is about that names no kinds; a plan only where it is named."""


def check_documents(documents: Iterable[AnyDocument], published: Iterable[AnyDocument] = ()) -> Checked:
    """
    Return what is wrong with *documents*.

    Args:
        documents: What is checked.
        published: What is there already and may be referred to.
    """
    shelf = Shelf(documents, published)
    checked = [_checked(document, shelf) for document in shelf]
    problems = [*_twice(shelf), *(problem for one in checked for problem in one.problems)]
    return Checked(tuple(problems), tuple(waived for one in checked for waived in one.waived))


def _checked(document: AnyDocument, shelf: Shelf) -> Checked:
    match document:
        case Contract():
            alone = checked_contract(document)
            return Checked((*alone.problems, *_preconditions(document, shelf)), alone.waived)
        case Flow():
            problems = tuple(flow_problems(document, shelf))
            return waive(document, problems, complete=is_whole(document, shelf))
        case Agent():
            return Checked(tuple(_agent(document, shelf)))
        case Policy():
            return Checked(tuple(_policy(document, shelf)))
        case Gate():
            return Checked(tuple(_gate(document, shelf)))
        case _:
            return Checked()


def _twice(shelf: Shelf) -> Iterator[Problem]:
    seen: dict[tuple[str, str, str], tuple[Document, bytes]] = {}
    for document in shelf:
        key, written = (document.kind, document.name, document.version), canonical(document)
        first, first_written = seen.setdefault(key, (document, written))
        if first_written != written:
            message = f"{document.title} has other content in {first.place()}"
            yield found(document, ("metadata", "version"), "version-conflict", message)


def _preconditions(contract: Contract, shelf: Shelf) -> Iterator[Problem]:
    for index, condition in enumerate(contract.spec.preconditions):
        if condition.contract is None:
            continue
        path: tuple[str | int, ...] = ("spec", "preconditions", index)
        known = shelf.contracts(condition.contract)
        if not known:
            # A contract always stands on its own shelf, so only others say whether there is more to know.
            if len(shelf.names(Contract)) > 1:
                message = f"there is no contract {condition.contract!r}"
                mend = did_you_mean(condition.contract, shelf.names(Contract)) or None
                yield found(contract, (*path, "contract"), "unknown-contract", message, mend)
            continue
        has = {outcome for other in known for outcome in promises(other)}
        for position, outcome in enumerate(condition.outcome):
            if outcome not in has:
                message = f"no version of {condition.contract} has the outcome {outcome!r}"
                at = (*path, "outcome", position)
                yield found(contract, at, "precondition-unknown-outcome", message)


def _agent(agent: Agent, shelf: Shelf) -> Iterator[Problem]:
    for index, accepted in enumerate(agent.spec.accepts if shelf.has(Contract) else ()):
        path = ("spec", "accepts", index)
        known = shelf.contracts(accepted.contract)
        if not known:
            mend = did_you_mean(accepted.contract, shelf.names(Contract)) or None
            message = f"there is no contract {accepted.contract!r}"
            yield found(agent, (*path, "contract"), "unknown-contract", message, mend)
        elif not any(accepts(accepted.versions, contract.version) for contract in known):
            message = f"no version of {accepted.contract} lies in {accepted.versions}"
            yield found(agent, (*path, "versions"), "no-such-version", message)
    yield from unknown_counter(agent, agent.spec.context_tokens, ("spec", "contextTokens"))
    budget = agent.spec.budget
    if budget is not None and shelf.has(Budget) and budget not in shelf.names(Budget):
        mend = did_you_mean(budget, shelf.names(Budget)) or None
        yield found(agent, ("spec", "budget"), "unknown-budget", f"there is no budget {budget!r}", mend)


def _policy(policy: Policy, shelf: Shelf) -> Iterator[Problem]:
    named = policy.spec.match.contracts
    for index, name in enumerate(named if shelf.has(Contract) else ()):
        if not shelf.contracts(name):
            mend = did_you_mean(name, shelf.names(Contract)) or None
            path: tuple[str | int, ...] = ("spec", "match", "contracts", index)
            yield found(policy, path, "unknown-contract", f"there is no contract {name!r}", mend)
    if policy.spec.mode == "shadow":
        message = "the policy is in 'shadow': what its rules demand is recorded and nothing else"
        yield found(policy, ("spec", "mode"), "policy-not-enforced", message)
    env = environment(CROSSING_VARIABLES)
    seen = list(_payloads(policy, shelf))
    kinds = policy.spec.match.kinds or _MATCHED
    for index, rule in enumerate(policy.spec.rules):
        path = ("spec", "rules", index, "when")
        place = policy.place(*path)
        try:
            env.compile(rule.when)
        except ExpressionError as error:
            yield from rule_problems(rule.name, error, place, CROSSING_VARIABLES)
            continue
        told = {p for typed in seen for p in typed.problems(rule.name, rule.when, place, json_path(path))}
        told |= set(slips(kinds, CROSSING_VARIABLES, rule.name, rule.when, place, json_path(path)))
        yield from sorted(told, key=lambda problem: (problem.place.line, problem.place.column))
        approvers = rule.approvers
        if approvers is not None and shelf.has(Person):
            able = len(shelf.people(approvers.roles))
            if able < approvers.count:
                who = " or ".join(approvers.roles)
                message = f"{approvers.count} must say yes, and {able} people are {who}"
                at = ("spec", "rules", index, "approvers")
                yield found(policy, at, "approvers-missing", message)


def _payloads(policy: Policy, shelf: Shelf) -> Iterator[TypedRules]:
    """Yield what a policy's expressions look at, where it says that it is about handoffs of certain contracts."""
    match = policy.spec.match
    if match.kinds != ("handoff",):
        return
    for name in match.contracts:
        for contract in shelf.contracts(name):
            yield TypedRules({"this": contract.spec.input.json_schema}, CROSSING_VARIABLES)


def _gate(gate: Gate, shelf: Shelf) -> Iterator[Problem]:
    replaced = gate.spec.replaces
    if replaced is not None and len(shelf.names(Gate)) > 1 and replaced not in shelf.names(Gate):
        mend = did_you_mean(replaced, shelf.names(Gate)) or None
        yield found(gate, ("spec", "replaces"), "unknown-gate", f"there is no gate {replaced!r}", mend)
